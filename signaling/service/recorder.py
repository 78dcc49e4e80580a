"""
Writes what happens in rooms to the store, in order and off the critical path.

While the store takes it, only the newest state of each row waits. When the store is down or slow,
what waits goes to a journal on the disk instead, and what comes after it too, until the journal has
been replayed: nothing overtakes anything. Signaling waits for neither.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from signaling.errors import NameTaken, OutcomeUnknown, StorageError, StoreUnavailable
from signaling.storage.journal import Journal
from signaling.storage.records import RoomRecord
from signaling.storage.store import Record, Store

RETRY_INITIAL = 0.1
"""Seconds before the first retry; doubles with each."""
RETRY_MAX = 1.0
"""Seconds. A store that is down says so at once: asking costs little."""
FLUSH_TIMEOUT = 5.0
"""Seconds that a caller waits for the store to catch up."""
PENDING_MAX = 200_000
"""Rows that may wait in memory; beyond it new rows are dropped and counted."""
BATCH_SIZE = 500
"""Rows in one transaction."""
GATHER_SECONDS = 0.05
"""
From one transaction to the next, while nobody waits: it costs as much as dozens of rows, and a
change of threads. So long may what a client was told be lost in a crash.
"""
ATTEMPTS_TOGETHER = 4
"""After so many failures rows are written one by one, so that a bad one does not block all."""
_JOURNAL = "journal"
"""Stands for all that the journal holds, among the SIDs that somebody waits for."""

_log = structlog.get_logger(__name__)


class Recorder:
    """
    One queue and one task in front of a store.

    :param store: Where the records go.
    :param journal: Where they wait while the store is down; None keeps them in memory.
    """

    def __init__(self, store: Store, journal: Journal | None = None) -> None:
        self._store = store
        self._journal = journal
        # By SID. A dict keeps the order of first appearance: a room comes before its participants.
        self._pending: dict[str, Record] = {}
        self._writing: dict[str, Record] = {}
        self._wake = asyncio.Event()
        self._waiters: list[_Waiter] = []
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._attempts = 0
        self._tried_at = self._retry_at = 0.0
        self._gathering = False
        self.dropped = 0
        """Records that were lost because too many waited, or because the store refused them."""

    @property
    def backlog(self) -> int:
        """Return the number of rows that are neither in the store nor in the journal yet."""
        return len(self._pending) + len(self._writing)

    @property
    def has_journal(self) -> bool:
        """Return whether what the store does not take is kept on the disk."""
        return self._journal is not None

    @property
    def journal_bytes(self) -> int:
        """Return how much waits on the disk."""
        return 0 if self._journal is None else self._journal.size_bytes

    @property
    def journal_is_nearly_full(self) -> bool:
        """Return whether nothing new shall begin."""
        return self._journal is not None and self._journal.is_nearly_full

    async def recover(self) -> None:
        """
        Write what a former run left in the journal; before :meth:`start`.

        :raises StorageError: if the store fails; the journal keeps what is left.
        """
        size = self.journal_bytes
        while self._journaling:
            error = await self._replay(one_by_one=False)
            if error is not None:
                raise error
        if size:
            _log.info("the journal was replayed", bytes=size)

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name="recorder")

    async def close(self, wait_for: float = 2.5) -> None:
        """Write what waits, for at most ``wait_for`` seconds, and stop."""
        if self._task is None:
            return
        self._closing = True
        self._wake.set()
        await asyncio.wait({self._task}, timeout=wait_for)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._journal is not None:
            if self._pending:
                await self._journal_pending()
            self._journal.close()
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
        if not self._gathering or len(self._pending) >= BATCH_SIZE:
            self._wake.set()

    async def flush(self) -> None:
        """
        Wait until everything that was put so far is in the store.

        :raises StorageError: if the store fails; the records are kept and tried again later.
        """
        await self._wait(in_store=True)

    async def persist(self) -> None:
        """
        Wait until everything that was put so far is on the disk: in the store or in the journal.

        :raises StorageError: if neither takes it.
        """
        await self._wait(in_store=self._journal is None)

    async def _wait(self, *, in_store: bool) -> None:
        sids = {*self._pending, *self._writing}
        if in_store and self._journaling:
            sids.add(_JOURNAL)
        if not sids:
            return
        if self._task is None:
            raise StorageError("the recorder is not running")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(sids=sids, done=done, in_store=in_store)
        self._waiters.append(waiter)
        # Ends the pause after a failure: whoever asks wants to know how the store is now.
        self._wake.set()
        await asyncio.wait({done}, timeout=FLUSH_TIMEOUT)
        if not done.done():
            self._waiters.remove(waiter)
            raise StoreUnavailable("the store has not caught up yet")
        done.result()

    @property
    def _journaling(self) -> bool:
        return self._journal is not None and not self._journal.is_empty

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            if self._journaling:
                await self._journal_pending()
            if self._closing and (self._journaling or not self._pending):
                return
            if not self._pending and not self._journaling:
                await self._wake.wait()
                continue
            wait = self._next_attempt_at() - asyncio.get_running_loop().time()
            if wait > 0:
                self._gathering = self._attempts == 0
                await self._sleep(wait)
                self._gathering = False
                continue
            await self._attempt()

    def _next_attempt_at(self) -> float:
        if self._attempts == 0:
            in_haste = self._closing or self._waiters or self._journaling
            if in_haste or len(self._pending) >= BATCH_SIZE:
                return 0.0
            return self._tried_at + GATHER_SECONDS
        if self._closing or any(waiter.in_store for waiter in self._waiters):
            # Never sooner than the first delay: a store that is down is not hammered.
            return min(self._retry_at, self._tried_at + RETRY_INITIAL)
        return self._retry_at

    async def _sleep(self, delay: float) -> None:
        # Not wait_for: in Python 3.11 it loses a cancellation that comes as its coroutine ends, and
        # closing would then wait for good.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._wake.wait()

    async def _attempt(self) -> None:
        one_by_one = self._attempts >= ATTEMPTS_TOGETHER
        if self._journaling:
            error = await self._replay(one_by_one=one_by_one)
        else:
            error = await self._write_batch(one_by_one=one_by_one)
        self._tried_at = asyncio.get_running_loop().time()
        if error is None:
            self._attempts, self._retry_at = 0, 0.0
            return
        self._attempts += 1
        if self._journal is not None and self._pending:
            await self._journal_pending()
        self._fail_waiters(error, in_store=True)
        if self._attempts in (1, ATTEMPTS_TOGETHER) or self._attempts % 60 == 0:
            _log.warning(
                "the store failed",
                error=str(error),
                attempts=self._attempts,
                rows=self.backlog,
                journal_bytes=self.journal_bytes,
            )
        delay = min(RETRY_MAX, RETRY_INITIAL * 2.0 ** min(self._attempts - 1, 10))
        self._retry_at = self._tried_at + delay

    async def _journal_pending(self) -> None:
        """Move what waits to the journal; what it does not take goes on waiting."""
        journal = self._journal
        assert journal is not None
        while self._pending:
            sids = self._begin_batch()
            try:
                await asyncio.to_thread(journal.append, list(self._writing.values()))
            except StorageError as error:
                _log.error("the journal failed", error=str(error), rows=self.backlog)
                self._fail_waiters(error, in_store=False)
                return
            else:
                self._writing.clear()
                self._settle(set(sids), journaled=True)
            finally:
                self._put_back()

    async def _replay(self, *, one_by_one: bool) -> StorageError | None:
        """Write the oldest records of the journal to the store."""
        journal = self._journal
        assert journal is not None
        try:
            records = await asyncio.to_thread(journal.read, BATCH_SIZE)
            left, error = await self._write(records, one_by_one=one_by_one)
            if left:
                return error
            # A record may come again after a crash here: it overwrites its row with the same.
            await asyncio.to_thread(journal.forget)
        except StorageError as failure:
            return failure
        if journal.is_empty:
            self._settle({_JOURNAL})
        return None

    async def _write_batch(self, *, one_by_one: bool) -> StorageError | None:
        sids = self._begin_batch()
        try:
            left, error = await self._write(list(self._writing.values()), one_by_one=one_by_one)
            self._writing = {record.sid: record for record in left}
            return error
        finally:
            self._settle(set(sids) - set(self._writing))
            self._put_back()

    def _begin_batch(self) -> list[str]:
        sids = list(self._pending)[:BATCH_SIZE]
        self._writing = {sid: self._pending.pop(sid) for sid in sids}
        return sids

    def _put_back(self) -> None:
        # What was not written goes back to the front, unless a newer state is there already.
        self._pending = {**self._writing, **self._pending}
        self._writing = {}

    async def _write(
        self, records: Sequence[Record], *, one_by_one: bool
    ) -> tuple[list[Record], StorageError | None]:
        """Return which records are not in the store, and why not; what it refuses is dropped."""
        if not records:
            return [], None
        try:
            if not one_by_one:
                await self._put_all(records)
                return [], None
        except StoreUnavailable as error:
            return list(records), error
        except StorageError as error:
            _log.warning("the store refuses some records", error=str(error), rows=len(records))
        for index, record in enumerate(records):
            try:
                try:
                    await self._put_all([record], strange_is_refused=one_by_one)
                except NameTaken:
                    if not isinstance(record, RoomRecord):
                        raise
                    # Rooms in progress are all known here, so whatever has the name has ended.
                    await self._store.release_name(record)
                    await self._put_all([record])
            except StoreUnavailable as error:
                return list(records[index:]), error
            except StorageError as refusal:
                # It works for the others, so it will never take this one.
                sid = record.sid
                _log.error("the store refuses a record: dropped", sid=sid, error=str(refusal))
                self.dropped += 1
                self._fail_waiters(refusal, sid=sid)
        return [], None

    async def _put_all(
        self, records: Sequence[Record], *, strange_is_refused: bool = False
    ) -> None:
        try:
            await self._store.put_all(records)
        except StorageError:
            raise
        except Exception as error:
            # Whatever the database driver raises must not end the only writer, nor a single record
            # that it stumbles over hold up the others for good.
            kind = StorageError if strange_is_refused else OutcomeUnknown
            raise kind(f"{type(error).__name__}: {error}") from error

    def _settle(self, written: set[str], *, journaled: bool = False) -> None:
        for waiter in self._waiters:
            if journaled and waiter.in_store and waiter.sids & written:
                waiter.sids.add(_JOURNAL)
            waiter.sids -= written
            if not waiter.sids and not waiter.done.done():
                waiter.done.set_result(None)
        self._waiters = [waiter for waiter in self._waiters if waiter.sids]

    def _fail_waiters(
        self, error: StorageError, *, in_store: bool | None = None, sid: str | None = None
    ) -> None:
        """
        Let waiters know.

        :param in_store: Whether those who wait for the store or the others; None: all.
        :param sid: Only those who wait for this row.
        """
        failed = [
            waiter
            for waiter in self._waiters
            if in_store in (None, waiter.in_store) and (sid is None or sid in waiter.sids)
        ]
        self._waiters = [waiter for waiter in self._waiters if waiter not in failed]
        for waiter in failed:
            if not waiter.done.done():
                waiter.done.set_exception(error)


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiter:
    """Somebody who waits for what was put so far."""

    sids: set[str]
    """The rows that were not written when it began to wait, and still are not."""
    done: asyncio.Future[None]
    in_store: bool
    """Whether only the store will do; else the journal does too."""
