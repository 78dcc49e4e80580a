"""
Writes what happens in rooms to the store, in order and off the critical path.

Only the newest state of each row waits: a store that is slow or down for long costs one record
for each row that changed meanwhile, not one for each change. Signaling never waits for it.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from signaling.errors import StorageError
from signaling.storage.store import Record, Store

RETRY_INITIAL = 0.1
"""Seconds before the first retry; doubles with each."""
RETRY_MAX = 10.0
"""Seconds."""
PENDING_MAX = 200_000
"""Rows that may wait; beyond it new rows are dropped and counted."""
BATCH_SIZE = 500
"""Rows in one transaction."""
ATTEMPTS_TOGETHER = 4
"""After so many failures rows are written one by one, so that a bad one does not block all."""

_log = structlog.get_logger(__name__)


class Recorder:
    """
    One queue and one task in front of a store.

    :param store: Where the records go.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        # By SID. A dict keeps the order of first appearance: a room comes before its participants.
        self._pending: dict[str, Record] = {}
        self._writing: dict[str, Record] = {}
        self._wake = asyncio.Event()
        self._waiters: list[_Waiter] = []
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.dropped = 0
        """Records that were lost because too many waited, or because the store refused them."""

    @property
    def backlog(self) -> int:
        """Return the number of rows that are not in the store yet."""
        return len(self._pending) + len(self._writing)

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name="recorder")

    async def close(self, wait_for: float = 2.0) -> None:
        """Write what waits, for at most ``wait_for`` seconds, and stop."""
        if self._task is None:
            return
        self._closing = True
        self._wake.set()
        await asyncio.wait({self._task}, timeout=wait_for)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
        if self.backlog:
            _log.error("records lost at shutdown", rows=self.backlog)
        self._task = None
        self._fail_waiters(StorageError("the recorder was closed"))

    def put(self, record: Record) -> None:
        """Let a record be written soon; never blocks, never raises."""
        if record.sid not in self._pending and len(self._pending) >= PENDING_MAX:
            if self.dropped % 1000 == 0:
                _log.error("the store does not keep up: records dropped", dropped=self.dropped)
            self.dropped += 1
            return
        self._pending[record.sid] = record
        self._wake.set()

    async def flush(self) -> None:
        """
        Wait until everything that was put so far is in the store.

        :raises StorageError: if the store fails; the records are kept and tried again later.
        """
        sids = {*self._pending, *self._writing}
        if not sids:
            return
        if self._task is None:
            raise StorageError("the recorder is not running")
        waiter = _Waiter(sids=sids, done=asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        # Ends the pause after a failure: whoever asks wants to know how the store is now.
        self._wake.set()
        await waiter.done

    async def _run(self) -> None:
        attempts = 0
        while self._pending or not self._closing:
            self._wake.clear()
            if not self._pending:
                await self._wake.wait()
                continue
            error = await self._write_batch(one_by_one=attempts >= ATTEMPTS_TOGETHER)
            if error is None:
                attempts = 0
                continue
            attempts += 1
            self._fail_waiters(error)
            _log.warning("the store failed", error=str(error), attempts=attempts, rows=self.backlog)
            await self._pause(min(RETRY_MAX, RETRY_INITIAL * 2.0 ** min(attempts - 1, 10)))

    async def _pause(self, delay: float) -> None:
        # Never shorter than the first delay: a store that is down is not hammered.
        await asyncio.sleep(RETRY_INITIAL)
        # Not wait_for: in Python 3.11 it loses a cancellation that comes as its coroutine ends, and
        # closing would then wait for good.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay - RETRY_INITIAL):
                await self._flush_wanted()

    async def _flush_wanted(self) -> None:
        while not self._waiters and not self._closing:
            self._wake.clear()
            await self._wake.wait()

    async def _write_batch(self, *, one_by_one: bool) -> StorageError | None:
        sids = list(self._pending)[:BATCH_SIZE]
        self._writing = {sid: self._pending.pop(sid) for sid in sids}
        try:
            if one_by_one:
                return await self._write_singly()
            await self._put_all(list(self._writing.values()))
            self._writing.clear()
            return None
        except StorageError as error:
            return error
        finally:
            self._settle(set(sids) - set(self._writing))
            # What was not written goes back to the front, unless a newer state is there already.
            self._pending = {**self._writing, **self._pending}
            self._writing = {}

    async def _write_singly(self) -> StorageError | None:
        failed: dict[str, StorageError] = {}
        count = len(self._writing)
        for sid, record in list(self._writing.items()):
            try:
                await self._put_all([record])
                del self._writing[sid]
            except StorageError as error:
                failed[sid] = error
        if len(failed) == count:
            return next(iter(failed.values()))
        for sid, refusal in failed.items():
            # The store works for the others, so it will never take this one.
            _log.error("the store refuses a record: dropped", sid=sid, error=str(refusal))
            del self._writing[sid]
            self.dropped += 1
        return None

    async def _put_all(self, records: Sequence[Record]) -> None:
        try:
            await self._store.put_all(records)
        except StorageError:
            raise
        except Exception as error:
            # Whatever the database driver raises must not end the only writer.
            raise StorageError(f"{type(error).__name__}: {error}") from error

    def _settle(self, written: set[str]) -> None:
        for waiter in self._waiters:
            waiter.sids -= written
            if not waiter.sids and not waiter.done.done():
                waiter.done.set_result(None)
        self._waiters = [waiter for waiter in self._waiters if waiter.sids]

    def _fail_waiters(self, error: StorageError) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done.done():
                waiter.done.set_exception(error)


@dataclass(slots=True, kw_only=True)
class _Waiter:
    """Somebody who waits for a flush."""

    sids: set[str]
    """The rows that were not written when it began to wait, and still are not."""
    done: asyncio.Future[None]
