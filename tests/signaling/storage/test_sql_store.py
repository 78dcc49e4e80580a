import asyncio
import os
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from signaling.errors import NameTaken, StorageError
from signaling.ids import AccountSid, new_participant_sid, new_room_sid, new_track_sid
from signaling.rooms.settings import RoomSettings
from signaling.storage import (
    Page,
    PageKey,
    ParticipantFilter,
    ParticipantRecord,
    RoomFilter,
    RoomRecord,
    TrackRecord,
    schema,
)
from signaling.storage.engines import SqliteEngine, Synchronous
from signaling.storage.lock import take_lock
from signaling.storage.sql_store import SqlStore
from signaling.storage.tables import metadata

from .support import look

ACCOUNT = AccountSid("AC" + "1" * 32)
OTHER = AccountSid("AC" + "2" * 32)
START = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
rng = random.Random(7)


def make_room(
    name: str = "r1", *, after: float = 0.0, settings: RoomSettings | None = None
) -> RoomRecord:
    created = START + timedelta(seconds=after)
    return RoomRecord(
        sid=new_room_sid(rng),
        account_sid=ACCOUNT,
        name=name,
        settings=settings or RoomSettings(unique_name=name),
        ad_hoc=False,
        status="in-progress",
        created_at=created,
        updated_at=created,
    )


def make_participant(
    room: RoomRecord, identity: str = "alice", *, after: float = 0.0
) -> ParticipantRecord:
    created = START + timedelta(seconds=after)
    return ParticipantRecord(
        sid=new_participant_sid(rng),
        room_sid=room.sid,
        account_sid=room.account_sid,
        identity=identity,
        status="connected",
        created_at=created,
        updated_at=created,
    )


def make_track(
    participant: ParticipantRecord, name: str = "camera", *, after: float = 0.0
) -> TrackRecord:
    return TrackRecord(
        sid=new_track_sid(rng),
        room_sid=participant.room_sid,
        participant_sid=participant.sid,
        name=name,
        kind="video",
        enabled=True,
        created_at=START + timedelta(seconds=after),
    )


def completed(room: RoomRecord) -> RoomRecord:
    ended = room.created_at + timedelta(minutes=1)
    return replace(room, status="completed", updated_at=ended, ended_at=ended)


async def test_room_reads_back_as_written(store: SqlStore) -> None:
    settings = RoomSettings(
        unique_name="Zoë 🙂",
        type="group-small",
        video_codecs=("H264",),
        status_callback="https://example.com/x?y=1",
        max_participants=4,
    )
    room = make_room("Zoë 🙂", settings=settings)
    await store.add_room(room)
    assert await store.get_room(room.sid) == room
    assert await store.find_in_progress("Zoë 🙂") == room
    assert await store.find_in_progress("zoë 🙂") is None


async def test_rows_outlive_the_process(url: str) -> None:
    first = await SqlStore.open(url, ACCOUNT)
    room = make_room()
    participant = make_participant(room)
    track = make_track(participant)
    await first.put_all([room, participant, track])
    await first.close()
    second = await SqlStore.open(url, ACCOUNT)
    assert await second.in_progress_rooms() == (room,)
    assert await second.get_participant(room.sid, participant.sid) == participant
    assert await second.get_published_track(participant.sid, track.sid) == track
    await second.close()


async def test_rows_of_another_account_are_not_seen(url: str, store: SqlStore) -> None:
    room = make_room()
    participant = make_participant(room)
    await store.put_all([room, participant])
    other = await SqlStore.open(url, OTHER)
    assert await other.get_room(room.sid) is None
    assert await other.find_in_progress(room.name) is None
    assert await other.in_progress_rooms() == ()
    assert (await other.list_rooms(RoomFilter(), Page())).records == ()
    assert await other.get_participant(room.sid, participant.sid) is None
    assert await other.end_everything_left_behind(START) == 0
    await other.add_room(replace(make_room(), account_sid=OTHER))
    await other.close()


async def test_name_is_unique_among_rooms_in_progress(store: SqlStore) -> None:
    first = make_room()
    await store.add_room(first)
    with pytest.raises(NameTaken):
        await store.add_room(make_room())
    await store.add_room(make_room("R1"))
    await store.update_room(completed(first))
    await store.add_room(make_room())
    assert await store.get_room(first.sid) == completed(first)


async def test_of_concurrent_rooms_of_one_name_exactly_one_is_added(store: SqlStore) -> None:
    results = await asyncio.gather(
        *(store.add_room(make_room()) for n in range(20)), return_exceptions=True
    )
    assert [type(result) for result in results if result is not None] == [NameTaken] * 19
    assert len(await store.in_progress_rooms()) == 1


async def test_batch_with_a_taken_name_changes_nothing(store: SqlStore) -> None:
    first = make_room()
    await store.add_room(first)
    fresh = make_room("fresh")
    with pytest.raises(NameTaken):
        await store.put_all([fresh, make_room()])
    assert await store.in_progress_rooms() == (first,)


async def test_batch_keeps_the_last_of_repeated_records(store: SqlStore) -> None:
    room = make_room()
    participant = make_participant(room)
    track = make_track(participant)
    left = replace(participant, status="disconnected", updated_at=START, ended_at=START)
    muted = replace(track, enabled=False, updated_at=START)
    await store.put_all([room, participant, track, muted, left, completed(room)])
    assert await store.get_room(room.sid) == completed(room)
    assert await store.get_participant(room.sid, participant.sid) == left
    assert await store.get_published_track(participant.sid, track.sid) == muted


async def test_a_room_that_has_ended_does_not_come_back(store: SqlStore) -> None:
    first, second = make_room(), make_room(after=1.0)
    history = [first, completed(first), second]
    await store.put_all(history)
    # A journal is replayed once more, when the outcome of its last transaction was not known.
    await store.put_all(history)
    assert await store.get_room(first.sid) == completed(first)
    assert await store.find_in_progress(first.name) == second


async def test_participant_of_no_room_is_refused(store: SqlStore) -> None:
    with pytest.raises(StorageError, match="refused"):
        await store.put_participant(make_participant(make_room()))


async def test_update_of_no_room_is_refused(store: SqlStore) -> None:
    with pytest.raises(StorageError, match="no room"):
        await store.update_room(make_room())


async def test_identity_is_searched_among_those_present(store: SqlStore) -> None:
    room = make_room()
    gone = replace(make_participant(room), status="disconnected", ended_at=START)
    there = replace(make_participant(room, after=1.0), status="reconnecting")
    await store.put_all([room, gone])
    assert await store.find_participant(room.sid, "alice") is None
    await store.put_participant(there)
    assert await store.find_participant(room.sid, "alice") == there
    assert await store.find_participant(room.sid, "Alice") is None
    assert await store.get_participant(room.sid, gone.sid) == gone
    assert await store.get_participant(new_room_sid(rng), gone.sid) is None


async def test_participants_are_filtered(store: SqlStore) -> None:
    room, elsewhere = make_room(), make_room("other")
    people = [make_participant(room, name, after=n) for n, name in enumerate("abc")]
    people[0] = replace(people[0], status="disconnected", ended_at=START)
    await store.put_all([room, elsewhere, *people, make_participant(elsewhere)])

    async def sids(where: ParticipantFilter) -> list[str]:
        return [record.sid for record in (await store.list_participants(where, Page())).records]

    a, b, c = (person.sid for person in people)
    assert await sids(ParticipantFilter(room_sid=room.sid)) == [c, b, a]
    live = frozenset({"connected", "reconnecting"})
    assert await sids(ParticipantFilter(room_sid=room.sid, statuses=live)) == [c, b]
    assert await sids(ParticipantFilter(room_sid=room.sid, identity="b")) == [b]
    second = START + timedelta(seconds=1)
    assert await sids(ParticipantFilter(room_sid=room.sid, created_from=second)) == [c, b]
    assert await sids(ParticipantFilter(room_sid=room.sid, created_before=second)) == [a]


async def test_published_tracks_are_those_of_now(store: SqlStore) -> None:
    room = make_room()
    participant = make_participant(room)
    camera, screen = make_track(participant), make_track(participant, "screen", after=1.0)
    gone = replace(make_track(participant, "gone"), unpublished_at=START)
    await store.put_all([room, participant, camera, screen, gone])
    listed = await store.list_published_tracks(participant.sid, Page())
    assert listed.records == (screen, camera)
    assert await store.find_published_track(participant.sid, "camera") == camera
    assert await store.find_published_track(participant.sid, "gone") is None
    assert await store.get_published_track(participant.sid, gone.sid) is None


async def test_what_a_former_run_left_is_ended(store: SqlStore) -> None:
    room = make_room()
    there = make_participant(room)
    gone = replace(make_participant(room, "bob"), status="disconnected", ended_at=START)
    track = make_track(there)
    await store.put_all([room, there, gone, track])
    now = START + timedelta(hours=1)
    assert await store.end_everything_left_behind(now) == 1
    ended = replace(there, status="disconnected", updated_at=now, ended_at=now)
    assert await store.get_participant(room.sid, there.sid) == ended
    assert await store.get_participant(room.sid, gone.sid) == gone
    assert await store.get_published_track(there.sid, track.sid) is None
    assert await store.in_progress_rooms() == (room,)


async def test_room_knows_whether_anybody_ever_joined(store: SqlStore) -> None:
    used, unused = make_room(), make_room("unused")
    await store.put_all([used, unused, replace(make_participant(used), status="disconnected")])
    assert await store.had_participants(used.sid)
    assert not await store.had_participants(unused.sid)


async def test_rooms_are_filtered(store: SqlStore) -> None:
    first, second, third = (make_room(f"r{n}", after=n) for n in range(3))
    await store.put_all([first, second, completed(third)])

    async def sids(where: RoomFilter) -> list[str]:
        return [record.sid for record in (await store.list_rooms(where, Page())).records]

    assert await sids(RoomFilter()) == [third.sid, second.sid, first.sid]
    assert await sids(RoomFilter(status="completed")) == [third.sid]
    assert await sids(RoomFilter(unique_name="r1")) == [second.sid]
    assert await sids(RoomFilter(created_from=second.created_at)) == [third.sid, second.sid]
    assert await sids(RoomFilter(created_before=second.created_at)) == [first.sid]


async def test_pages_by_key_do_not_shift_when_rooms_are_made(store: SqlStore) -> None:
    # Three of the rooms share one creation time, so that the SID decides.
    made = [make_room(f"r{n}", after=n // 3) for n in range(7)]
    await store.put_all(made)
    order = sorted(made, key=lambda room: (room.created_at, room.sid), reverse=True)
    seen: list[RoomRecord] = []
    page = Page(size=2)
    for _ in range(8):
        got = await store.list_rooms(RoomFilter(), page)
        seen += got.records
        await store.add_room(make_room(f"late{len(seen)}", after=100))
        if not got.has_more:
            break
        last = got.records[-1]
        page = Page(size=2, after=PageKey(created_at=last.created_at, sid=last.sid))
    assert seen == order
    key = PageKey(created_at=order[4].created_at, sid=order[4].sid)
    back = await store.list_rooms(RoomFilter(), Page(size=2, before=key))
    assert back.records == (order[2], order[3])
    assert back.has_more


async def test_pages_by_offset(store: SqlStore) -> None:
    made = [make_room(f"r{n}", after=n) for n in range(4)]
    await store.put_all(made)
    got = await store.list_rooms(RoomFilter(), Page(size=2, offset=2))
    assert got.records == (made[1], made[0])
    assert not got.has_more
    assert (await store.list_rooms(RoomFilter(), Page(size=2, offset=9))).records == ()


async def test_migrations_make_the_tables_that_the_code_uses(
    url: str, store: SqlStore, kind: str
) -> None:
    def compare(connection: Connection) -> list[object]:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == schema.HEAD
        if kind == "sqlite":
            assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        found: list[object] = compare_metadata(MigrationContext.configure(connection), metadata)
        return found

    assert await look(url, compare) == []


@pytest.mark.parametrize(
    "bad_url", ["", "nonsense", "sqlite://", "mysql://u:hush@host/db", "sqlite:////proc/none/x.db"]
)
async def test_database_that_cannot_be_opened_is_told_without_secrets(bad_url: str) -> None:
    with pytest.raises(StorageError) as caught:
        await SqlStore.open(bad_url, ACCOUNT)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(("synchronous", "level"), [("normal", 1), ("full", 2)])
async def test_sqlite_syncs_as_it_is_told(
    tmp_path: Path, synchronous: Synchronous, level: int
) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    store = await SqlStore.open(url, ACCOUNT, synchronous=synchronous)
    assert isinstance(store._engine, SqliteEngine)
    async with store._engine.writer.connect() as connection:
        assert await connection.scalar(text("PRAGMA synchronous")) == level
    with store._engine._blocking.connect() as blocking:
        assert blocking.scalar(text("PRAGMA synchronous")) == level
    await store.close()


async def test_database_of_a_newer_release_is_told(url: str, store: SqlStore) -> None:
    await store.close()
    await look(url, lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(StorageError, match=r"cannot open the database .*9999"):
        await SqlStore.open(url, ACCOUNT)


@pytest.mark.parametrize("settings", ["", "[]", '{"video_codecs": 1}', "{"])
async def test_settings_that_cannot_be_read_are_told(
    url: str, store: SqlStore, settings: str
) -> None:
    room = make_room()
    await store.add_room(room)
    update = text("UPDATE rooms SET settings = :text")
    await look(url, lambda c: c.execute(update, {"text": settings}))
    with pytest.raises(StorageError, match=room.sid):
        await store.in_progress_rooms()


def test_a_database_has_one_server_at_a_time(tmp_path: Path) -> None:
    database = tmp_path / "x.db"
    lock = take_lock(database)
    with pytest.raises(StorageError, match=rf"x\.db \(process {os.getpid()}\)"):
        take_lock(database)
    other = take_lock(tmp_path / "y.db")
    os.close(lock)
    os.close(take_lock(database))
    os.close(other)
    with pytest.raises(StorageError, match=r"cannot write /proc/none/x\.db\.lock"):
        take_lock(Path("/proc/none/x.db"))


async def test_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match=r"x\.db"):
        await SqlStore.open(f"sqlite:///{tmp_path / 'x.db'}", ACCOUNT)
