"""A journal that comes near its bound: nothing new begins, and calls go on."""

import asyncio
from pathlib import Path

import pytest

from benchmarks.load import SignalingFailed
from signaling.errors import ApiError, ErrorCode, StoreUnavailable
from signaling.rooms import RoomSettings
from signaling.storage.journal import NEARLY_FULL, Journal
from tests.signaling.support import ManualClock, make_service, open_store
from tests.support.clients import assert_both_ways, clients_of, failures_in_log, meet
from tests.support.fake_media_node import FakeMediaNode
from tests.support.postgres import PostgresServer
from tests.support.server import running_server

from .outage import LATEST, Load, check_nothing_lost, settings_for, until_ready
from .test_sql_store import make_room

LIMIT = 1 << 16
GUESTS_MAX = 200
"""More than fill the journal."""


def journal_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in (directory / "journal").iterdir())


async def test_no_rooms_are_made_when_the_journal_is_nearly_full(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    database = await postgres.create_database()
    settings = settings_for(postgres, database) | {"JOURNAL_MAX_BYTES": f"{LIMIT}"}
    refuses = f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS"
    async with (
        running_server(tmp_path, settings=settings) as server,
        clients_of(server) as clients,
    ):
        alice, bob = await meet(clients, "call")
        load = Load(clients, "")
        await postgres.execute(f"{refuses} false")
        await postgres.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        )
        for number in range(GUESTS_MAX):
            guest = clients.participant(f"g{number}", f"new{number}")
            try:
                await guest.join(seconds=LATEST)
            except SignalingFailed as error:
                refusal = error.code
                break
            await guest.leave()
            load.seen.left[guest.participant_sid] = guest.room_sid
        else:
            pytest.fail("the journal never came near its bound")
        assert refusal == ErrorCode.SERVER_BUSY
        assert len(load.seen.left) > 1
        # What waited for the journal may have been more than it had room for before that.
        assert (NEARLY_FULL - 0.1) * LIMIT <= journal_bytes(tmp_path) <= LIMIT
        status, _ = await load.rest("POST", "Rooms", {"UniqueName": "made"})
        assert status == 503
        # Calls go on, and somebody may still come to one.
        await assert_both_ways(alice, bob, share=0.3, missing=50)
        carol = clients.participant("carol", "call")
        await carol.join(seconds=LATEST)
        await carol.leave()
        load.seen.left[carol.participant_sid] = carol.room_sid
        await postgres.execute(f"{refuses} true")
        await until_ready(server)
        status, _ = await load.rest("POST", "Rooms", {"UniqueName": "made"})
        assert status == 201
        await meet(clients, "another")
        await until_ready(server)
        await check_nothing_lost(postgres, database, load.seen, None)
        assert not any("dropped" in line for line in failures_in_log(server))


async def test_a_journal_that_is_nearly_full_keeps_new_rooms_from_a_store_that_is_up(
    tmp_path: Path,
) -> None:
    """As while it is replayed: what comes new would have to wait in it, too."""
    journal = Journal(tmp_path / "journal", limit_bytes=10_000)
    store = await open_store(tmp_path)
    # Not started, so nothing is replayed.
    service = make_service(FakeMediaNode(), store, ManualClock(), journal=journal)
    there = await service.create_room(RoomSettings(unique_name="there"))
    record = make_room()
    late = asyncio.create_task(service.room_to_join("late", granted=None))
    # It has looked at the journal, and goes on to make the room.
    await asyncio.sleep(0)
    while not journal.is_nearly_full:
        journal.append([record])
    with pytest.raises(ApiError) as refused:
        await late
    assert refused.value.code == ErrorCode.SERVER_BUSY
    with pytest.raises(StoreUnavailable, match="nearly full"):
        await service.create_room(RoomSettings(unique_name="new"))
    with pytest.raises(ApiError) as refused:
        await service.room_to_join("new", granted=None)
    assert refused.value.code == ErrorCode.SERVER_BUSY
    assert (await service.room_to_join("there", granted=None)).sid == there.sid
    journal.read(1000)
    journal.forget()
    assert (await service.create_room(RoomSettings(unique_name="new"))).name == "new"
    journal.close()
    await store.close()
