"""The ``parlour`` command in a process of its own."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signaling.auth.account import Account
from signaling.ids import AccountSid, ApiKeySid

ROOT = Path(__file__).parents[3]
START_TIMEOUT = 20.0
COMMAND_TIMEOUT = 20.0
LOG_ROOM = 1 << 24
"""Bytes of log that are read ahead: a server that cannot write its log stands still."""


@dataclass(frozen=True)
class Outcome:
    """What a command that ended said."""

    code: int
    out: str
    err: str


def environment(settings: dict[str, str]) -> dict[str, str]:
    """Return our environment with these settings (upper case, without prefix) and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PARLOUR_")}
    kept["PYTHONPATH"] = str(ROOT)
    return kept | {f"PARLOUR_{name}": value for name, value in settings.items()}


async def run(*arguments: str, settings: dict[str, str]) -> Outcome:
    """Run a command to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "signaling",
        *arguments,
        env=environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(COMMAND_TIMEOUT):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Outcome(process.returncode, out.decode(), err.decode())


class Served:
    """A running server: all its ports were chosen by the kernel."""

    def __init__(self, process: asyncio.subprocess.Process, data_dir: Path) -> None:
        self.process = process
        self.data_dir = data_dir
        self.url = ""
        self.media_ports: list[int] = []
        self.metrics_url = ""
        self.log: list[dict[str, Any]] = []

    @property
    def account(self) -> Account:
        stored = json.loads((self.data_dir / "account.json").read_text())
        return Account(
            account_sid=AccountSid(stored["account_sid"]),
            auth_token=stored["auth_token"],
            api_key_sid=ApiKeySid(stored["api_key_sid"]),
            api_key_secret=stored["api_key_secret"],
        )

    async def read_log_until(self, event: str) -> dict[str, Any]:
        """Return the first log line not read yet that begins like this."""
        assert self.process.stderr is not None
        async with asyncio.timeout(START_TIMEOUT):
            while line := await self.process.stderr.readline():
                self.log.append(json.loads(line))
                if self.log[-1]["event"].startswith(event):
                    return self.log[-1]
        raise AssertionError(f"the server ended without {event!r}: {self.log}")

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    async def ended(self) -> Outcome:
        """Wait for the end and return the rest of what was said."""
        async with asyncio.timeout(COMMAND_TIMEOUT):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return Outcome(self.process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def served(
    data_dir: Path, *flags: str, module: str = "signaling", **settings: str
) -> AsyncIterator[Served]:
    """
    Run ``parlour serve`` until the block ends.

    :param module: What is run as the command.
    """
    defaults = {
        "HTTP_PORT": "0",
        "MEDIA_HOST": "127.0.0.1",
        "MEDIA_PORT": "0",
        "MEDIA_THREADS": "1",
        "METRICS_BIND": "127.0.0.1:0",
        "DATA_DIR": str(data_dir),
        "LOG_FORMAT": "json",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        "serve",
        *flags,
        env=environment(defaults | settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LOG_ROOM,
    )
    server = Served(process, data_dir)
    try:
        server.media_ports = (await server.read_log_until("media served"))["ports"]
        if defaults.get("METRICS_BIND") == (defaults | settings)["METRICS_BIND"]:
            line = await server.read_log_until("metrics served")
            server.metrics_url = f"http://127.0.0.1:{line['port']}/metrics"
        server.url = (await server.read_log_until("serving"))["url"]
        yield server
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
