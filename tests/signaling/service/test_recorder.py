"""The recorder in front of a store that is slow, down, or refuses."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from signaling.errors import StorageError, StoreUnavailable
from signaling.rooms import RoomSettings
from signaling.service import recorder as recorder_module
from signaling.service.recorder import Recorder
from signaling.storage.journal import Journal
from signaling.storage.records import ParticipantRecord, RoomRecord
from signaling.storage.sql_store import SqlStore
from signaling.storage.store import Record
from tests.signaling.support import ACCOUNT_SID, STARTED_AT, open_store

ROOM = RoomRecord(
    sid="RM" + "1" * 32,
    account_sid=ACCOUNT_SID,
    name="r1",
    settings=RoomSettings(unique_name="r1"),
    ad_hoc=False,
    status="in-progress",
    created_at=STARTED_AT,
    updated_at=STARTED_AT,
)


def person(number: int, status: str = "connected") -> ParticipantRecord:
    return ParticipantRecord(
        sid=f"PA{number:032x}",
        room_sid=ROOM.sid,
        account_sid=ACCOUNT_SID,
        identity=f"p{number}",
        status=status,
        created_at=STARTED_AT,
        updated_at=STARTED_AT,
    )


class FaultyStore:
    """A real store behind a switch."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.fault: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.writes: list[list[str]] = []

    async def put_all(self, records: Sequence[Record]) -> None:
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        self.writes.append([record.sid for record in records])
        await self.store.put_all(records)

    async def release_name(self, room: RoomRecord) -> None:
        await self.store.release_name(room)


@asynccontextmanager
async def running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: Journal | None = None
) -> AsyncIterator[tuple[Recorder, FaultyStore]]:
    monkeypatch.setattr(recorder_module, "RETRY_INITIAL", 0.005)
    monkeypatch.setattr(recorder_module, "RETRY_MAX", 0.02)
    store = await open_store(tmp_path)
    await store.add_room(ROOM)
    faulty = FaultyStore(store)
    held: Any = faulty
    recorder = Recorder(held, journal)
    recorder.start()
    yield recorder, faulty
    await recorder.close(0.2)
    await store.close()


async def test_only_the_newest_state_of_a_row_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, monkeypatch) as (recorder, store):
        store.gate.clear()
        recorder.put(person(0))
        await asyncio.sleep(0)
        for _ in range(1000):
            recorder.put(person(1, "reconnecting"))
            recorder.put(person(1, "connected"))
        assert recorder.backlog <= 3
        store.gate.set()
        await recorder.flush()
        stored = await store.store.get_participant(ROOM.sid, person(1).sid)
        assert stored == person(1, "connected")
        assert sum(len(batch) for batch in store.writes) <= 3


async def test_rows_gather_until_somebody_waits_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "GATHER_SECONDS", 3600.0)
    async with running(tmp_path, monkeypatch) as (recorder, store):
        recorder.put(person(0))
        await recorder.flush()
        for number in range(1, 6):
            recorder.put(person(number))
            await asyncio.sleep(0.01)
        assert store.writes == [[person(0).sid]]
        assert recorder.backlog == 5
        await recorder.flush()
        assert store.writes[1:] == [[person(number).sid for number in range(1, 6)]]


async def test_a_full_batch_gathers_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "GATHER_SECONDS", 3600.0)
    monkeypatch.setattr(recorder_module, "BATCH_SIZE", 3)
    async with running(tmp_path, monkeypatch) as (recorder, store):
        recorder.put(person(0))
        await recorder.flush()
        recorder.put(person(1))
        await asyncio.sleep(0.01)
        recorder.put(person(2))
        recorder.put(person(3))
        for _ in range(1000):
            if not recorder.backlog:
                break
            await asyncio.sleep(0.01)
        assert [len(batch) for batch in store.writes] == [1, 3]


async def test_rows_are_written_in_the_order_of_their_first_appearance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, monkeypatch) as (recorder, store):
        room = replace(ROOM, sid="RM" + "2" * 32, name="r2")
        recorder.put(room)
        recorder.put(replace(person(5), room_sid=room.sid))
        recorder.put(replace(room, status="completed", ended_at=STARTED_AT))
        await recorder.flush()
        assert [sid for batch in store.writes for sid in batch] == [room.sid, person(5).sid]


async def test_a_store_that_was_down_gets_everything_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, monkeypatch) as (recorder, store):
        store.fault = StoreUnavailable("the disk is full")
        for number in range(20):
            recorder.put(person(number))
        with pytest.raises(StorageError):
            await recorder.flush()
        recorder.put(person(3, "disconnected"))
        store.fault = None
        await recorder.flush()
        for number in range(20):
            assert await store.store.get_participant(ROOM.sid, person(number).sid) is not None
        stored = await store.store.get_participant(ROOM.sid, person(3).sid)
        assert stored is not None
        assert stored.status == "disconnected"


async def test_an_unknown_fault_of_the_driver_does_not_end_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, monkeypatch) as (recorder, store):
        store.fault = RuntimeError("a driver's own")
        recorder.put(person(1))
        with pytest.raises(StorageError, match="RuntimeError"):
            await recorder.flush()
        store.fault = None
        await recorder.flush()
        assert recorder.backlog == 0


async def test_a_record_that_the_store_never_takes_blocks_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, monkeypatch) as (recorder, store):
        recorder.put(replace(person(1), room_sid="RM" + "9" * 32))
        recorder.put(person(2))
        async with asyncio.timeout(5.0):
            while recorder.backlog:  # noqa: ASYNC110 - nobody reports a record that was dropped
                await asyncio.sleep(0.005)
        assert await store.store.get_participant(ROOM.sid, person(2).sid) is not None
        assert recorder.dropped == 1


async def test_a_room_takes_its_name_from_a_row_that_was_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a creation leaves it that was committed after its caller had been told of a failure.
    later = STARTED_AT + timedelta(minutes=1)
    room = replace(ROOM, sid="RM" + "2" * 32, created_at=later, updated_at=later)
    async with running(tmp_path, monkeypatch) as (recorder, store):
        recorder.put(room)
        recorder.put(replace(person(1), room_sid=room.sid))
        async with asyncio.timeout(5.0):
            while recorder.backlog:  # noqa: ASYNC110 - the recorder reports to nobody
                await asyncio.sleep(0.005)
        assert recorder.dropped == 0
        assert await store.store.get_room(room.sid) == room
        assert await store.store.get_participant(room.sid, person(1).sid) is not None
        left = await store.store.get_room(ROOM.sid)
        assert left is not None
        assert (left.status, left.ended_at) == ("completed", later)


async def test_the_backlog_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "PENDING_MAX", 10)
    async with running(tmp_path, monkeypatch) as (recorder, store):
        store.fault = StoreUnavailable("down")
        for number in range(100):
            recorder.put(person(number))
        recorder.put(person(3, "disconnected"))
        assert recorder.backlog == 10
        assert recorder.dropped == 90


async def test_what_waits_is_written_at_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, monkeypatch) as (recorder, store):
        recorder.put(person(1))
        await recorder.close()
        assert await store.store.get_participant(ROOM.sid, person(1).sid) is not None


async def test_a_refused_row_is_told_to_whoever_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, monkeypatch) as (recorder, _):
        recorder.put(replace(person(1), room_sid="RM" + "9" * 32))
        with pytest.raises(StorageError, match="refused"):
            await recorder.flush()


async def test_while_the_store_is_down_rows_go_to_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "journal")
    async with running(tmp_path, monkeypatch, journal) as (recorder, store):
        store.fault = StoreUnavailable("down")
        for number in range(5):
            recorder.put(person(number))
        await recorder.persist()
        with pytest.raises(StoreUnavailable):
            await recorder.flush()
        recorder.put(person(3, "disconnected"))
        await recorder.persist()
        assert recorder.backlog == 0
        assert recorder.journal_bytes > 0
        # What a run that is killed now leaves to the next one.
        left = Journal.open(tmp_path / "journal").read(100)
        assert left == [*map(person, range(5)), person(3, "disconnected")]
        store.fault = None
        await recorder.flush()
        assert recorder.journal_bytes == 0
        recorder.put(person(4, "reconnecting"))
        await recorder.flush()
        assert recorder.journal_bytes == 0
        for number, status in ((0, "connected"), (3, "disconnected"), (4, "reconnecting")):
            stored = await store.store.get_participant(ROOM.sid, person(number).sid)
            assert stored == person(number, status)


async def test_nothing_overtakes_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "BATCH_SIZE", 2)
    journal = Journal(tmp_path / "journal")
    async with running(tmp_path, monkeypatch, journal) as (recorder, store):
        store.fault = StoreUnavailable("down")
        for number in range(20):
            recorder.put(person(number))
        await recorder.persist()
        store.fault = None
        for number in range(20, 40):
            recorder.put(person(number))
            await asyncio.sleep(0.001)
        await recorder.flush()
        order = [sid for batch in store.writes for sid in batch]
        assert order == [person(number).sid for number in range(40)]


async def test_a_journal_that_a_former_run_left_is_replayed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Journal(tmp_path / "journal").append([person(1), person(1, "disconnected"), person(2)])
    async with running(tmp_path, monkeypatch) as (_, store):
        held: Any = store
        recorder = Recorder(held, Journal.open(tmp_path / "journal"))
        store.fault = StoreUnavailable("down")
        with pytest.raises(StoreUnavailable):
            await recorder.recover()
        store.fault = None
        await recorder.recover()
        assert recorder.journal_bytes == 0
        stored = await store.store.get_participant(ROOM.sid, person(1).sid)
        assert stored == person(1, "disconnected")


async def test_what_waits_at_close_while_the_store_is_down_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "journal")
    async with running(tmp_path, monkeypatch, journal) as (recorder, store):
        store.gate.clear()
        recorder.put(person(1))
        await recorder.close(0.05)
        assert recorder.backlog == 0
        assert Journal.open(tmp_path / "journal").read(9) == [person(1)]


async def test_a_full_journal_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "journal", limit_bytes=1000)
    async with running(tmp_path, monkeypatch, journal) as (recorder, store):
        store.fault = StoreUnavailable("down")
        for number in range(2):
            recorder.put(person(number))
            await recorder.persist()
        for number in range(2, 9):
            recorder.put(person(number))
        with pytest.raises(StorageError, match="the journal has reached 1000 bytes"):
            await recorder.persist()
        store.fault = None
        await recorder.flush()
        assert await store.store.get_participant(ROOM.sid, person(8).sid) is not None
        assert recorder.dropped == 0
