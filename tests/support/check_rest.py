"""The executable check that came with the REST API's description; it lies beside the project."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from .server import Server

CHECK = Path(
    os.environ.get("PARLOUR_CHECK_REST")
    or Path(__file__).parents[2].parent / "shared/twilio/check_rest.py"
)
TURN = {
    "TURN_URLS": "stun:turn.example.com:3478,turn:turn.example.com:3478?transport=udp",
    "TURN_SECRET": "shared with the relay",
}
"""Settings that the cases on traversal tokens need."""


async def passes(server: Server, *options: str) -> str:
    """
    Run the check against a server and return its summary; fail the test when a case fails.

    :param options: Further options of the check's own command line.
    """
    if not CHECK.is_file():
        pytest.skip(f"there is no {CHECK}: the check of the REST API is not part of the project")
    account = server.account
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "ignore",
        str(CHECK),
        *("--base-url", server.url),
        *("--account-sid", account.account_sid),
        *("--api-key", account.api_key_sid),
        *("--api-secret", account.api_key_secret),
        *("--auth-token", account.auth_token),
        *options,
        "--",
        "-ra",
        "--rootdir",
        str(server.data_dir),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = output.decode(errors="replace")
    assert process.returncode == 0, text
    return text.splitlines()[-1]
