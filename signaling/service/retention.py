"""Forgets, after a time, ended rooms with everything that belongs to them, and what was deleted."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from signaling.errors import StorageError

from .clock import Clock

INTERVAL = 3600.0
"""Seconds between two looks at what is due."""
BATCH_SIZE = 100
"""Rooms in one transaction, so that other writes wait only briefly."""
DELETED_COMPOSITIONS_KEPT = timedelta(days=30)
"""For which a deleted composition can still be asked for."""
PAUSE = 0.05
"""Seconds between two transactions."""

_log = structlog.get_logger(__name__)


class RetentionStore(Protocol):
    """The part of the store's face that this needs."""

    async def delete_ended_rooms(self, before: datetime, *, size: int) -> int:
        """Delete the oldest rooms that ended before a time; return how many there were."""

    async def forget_deleted_compositions(self, before: datetime, *, size: int) -> int:
        """Forget compositions that were deleted before a time; return how many there were."""


class Retention:
    """
    Deletes in the background.

    :param keep: How long an ended room is kept; None keeps it for ever.
    """

    def __init__(self, *, store: RetentionStore, clock: Clock, keep: timedelta | None) -> None:
        self._store = store
        self._clock = clock
        self._keep = keep
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, with a first look at once."""
        self._task = asyncio.create_task(self._run(), name="retention")

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def delete_due(self) -> int:
        """
        Delete all rooms that are due; return how many there were.

        :raises StorageError: if the store fails; what is left is due the next time.
        """
        now = self._clock.utc_now()
        forget, delete = self._store.forget_deleted_compositions, self._store.delete_ended_rooms
        await _in_batches(lambda: forget(now - DELETED_COMPOSITIONS_KEPT, size=BATCH_SIZE))
        keep = self._keep
        if keep is None:
            return 0
        return await _in_batches(lambda: delete(now - keep, size=BATCH_SIZE))

    async def _run(self) -> None:
        while True:
            try:
                deleted = await self.delete_due()
                if deleted:
                    _log.info("ended rooms deleted", rooms=deleted)
            except StorageError as error:
                _log.warning("ended rooms could not be deleted", error=str(error))
            await asyncio.sleep(INTERVAL)


async def _in_batches(delete: Callable[[], Awaitable[int]]) -> int:
    deleted = 0
    while count := await delete():
        deleted += count
        await asyncio.sleep(PAUSE)
    return deleted
