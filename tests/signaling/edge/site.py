"""A whole server on this loop, with settings of a test's own."""

import base64
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from signaling.app import Server
from signaling.auth.account import Account, make_account
from signaling.config import load_settings
from tests.signaling.support import place_database

ACCOUNT: Account = make_account(random.Random(1))
KEY = (ACCOUNT.api_key_sid, ACCOUNT.api_key_secret)


def basic(key: tuple[str, str]) -> dict[str, str]:
    """Return the header that holds a SID and its password."""
    return {"Authorization": "Basic " + base64.b64encode(":".join(key).encode()).decode()}


@asynccontextmanager
async def running(tmp_path: Path, **given: object) -> AsyncIterator[tuple[Server, str]]:
    """Run a server; yield it with its URL."""
    defaults = {"http_port": 0, "media_port": 0, "media_host": "127.0.0.1", "metrics_bind": "off"}
    settings = load_settings(defaults | {"media_threads": 1, "data_dir": tmp_path} | given)
    await place_database(tmp_path / "parlour.db")
    server = Server(settings, account=ACCOUNT, rng=random.Random(2))
    await server.start()
    try:
        yield server, f"http://127.0.0.1:{server.http_port}"
    finally:
        await server.close()
