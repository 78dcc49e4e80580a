"""Opens the store when the server starts, and waits for a database that is not there yet."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from signaling.errors import StoreUnavailable
from signaling.ids import AccountSid
from signaling.storage.engines import Synchronous
from signaling.storage.sql_store import SqlStore

RETRY_INTERVAL = 1.0
"""Seconds between two attempts."""
LOG_INTERVAL = 10.0
"""Seconds between two lines that tell of them."""

_log = structlog.get_logger(__name__)


class StartStopped(Exception):
    """The server was told to stop while it waited."""


async def open_store(
    url: str,
    account_sid: AccountSid,
    *,
    call_timeout: float,
    synchronous: Synchronous,
    wait_seconds: float,
    waits: Callable[[], Awaitable[None]],
    stop: asyncio.Event,
) -> SqlStore:
    """
    Open the store; while its database cannot be reached, try again.

    :param call_timeout: Seconds that the store gives a call.
    :param synchronous: Of SQLite.
    :param wait_seconds: How long; 0 tries once.
    :param waits: Called once, before the first wait.
    :param stop: Ends the wait.
    :raises StorageError: if it cannot be opened; ``StoreUnavailable`` if the time is over.
    :raises StartStopped: if ``stop`` was set.
    """
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    logged_at: float | None = None
    while True:
        try:
            store = await SqlStore.open(
                url, account_sid, call_timeout=call_timeout, synchronous=synchronous
            )
        except StoreUnavailable as error:
            now = loop.time()
            left = began_at + wait_seconds - now
            if left <= 0:
                if logged_at is None:
                    raise
                waited = f"{now - began_at:.0f} s"
                raise StoreUnavailable(f"{error} (waited for {waited})") from error
            if logged_at is None:
                await waits()
            if logged_at is None or now - logged_at >= LOG_INTERVAL:
                logged_at = now
                _log.warning("waiting for the database", reason=str(error), gives_up_in=round(left))
        else:
            if logged_at is not None:
                _log.info("the database is there", waited=round(loop.time() - began_at, 1))
            return store
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(RETRY_INTERVAL, left)):
                await stop.wait()
        if stop.is_set():
            raise StartStopped
