"""A store that is slow or away: every call ends in time, none comes after a newer one."""

import asyncio
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from signaling.errors import OutcomeUnknown, StorageError, StoreUnavailable
from signaling.ids import AccountSid
from signaling.storage import Page, RoomFilter
from signaling.storage.guard import StoreGuard
from signaling.storage.sql_store import SqlStore
from tests.signaling.support import place_database
from tests.support.postgres import PostgresServer
from tests.support.tcp_relay import tcp_relay

from .test_sql_store import ACCOUNT, START, make_participant, make_room

CALL_TIMEOUT = 0.4
AMPLE = 10.0


async def until_up(store: SqlStore) -> None:
    """Wait until calls go through."""
    async with asyncio.timeout(AMPLE):
        while not store.is_up:  # noqa: ASYNC110 - the guard reports to nobody but the log
            await asyncio.sleep(0.02)


async def test_calls_to_a_stalled_server_end_in_time(postgres: PostgresServer) -> None:
    name = await postgres.create_database()
    async with tcp_relay(postgres.port) as relay:
        store = await SqlStore.open(
            postgres.url(name, port=relay.port), ACCOUNT, call_timeout=CALL_TIMEOUT
        )
        room = make_room()
        person = make_participant(room)
        await store.put_all([room, person])
        relay.stall()
        began = time.monotonic()
        calls = (
            store.get_room(room.sid),
            store.list_rooms(RoomFilter(), Page()),
            store.put_participant(replace(person, status="reconnecting")),
            store.add_room(make_room("other")),
        )
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results] == [OutcomeUnknown] * 4
        assert not store.is_up
        # From now on nobody waits at all.
        with pytest.raises(StoreUnavailable, match=r"down: no answer within 0\.4 s"):
            await store.get_room(room.sid)
        assert time.monotonic() - began < AMPLE / 2
        relay.resume()
        await until_up(store)
        # What was under way has been done, or will never be.
        left = replace(person, status="disconnected", updated_at=START, ended_at=START)
        await store.put_participant(left)
        relay.stall()
        relay.resume()
        assert await store.get_participant(room.sid, person.sid) == left
        await store.close()


async def test_a_server_that_was_restarted_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signaling.storage.engines.OPEN_PAUSE", 0.01)
    server = PostgresServer()
    try:
        server.start()
        store = await SqlStore.open(server.url("postgres"), ACCOUNT, call_timeout=CALL_TIMEOUT)
        room = make_room()
        await store.add_room(room)
        for mode in ("fast", "immediate"):
            await asyncio.to_thread(server.stop, mode)
            with pytest.raises(StoreUnavailable):
                await store.get_room(room.sid)
            assert not store.is_up
            await asyncio.to_thread(server.start)
            await until_up(store)
            assert await store.get_room(room.sid) == room
        await store.close()
        await asyncio.to_thread(server.stop)
        other = SqlStore.open(server.url("postgres"), ACCOUNT, call_timeout=CALL_TIMEOUT)
        with pytest.raises(StorageError, match="cannot reach the database postgres"):
            await other
    finally:
        server.close()


async def test_a_session_that_was_ended_is_replaced(postgres: PostgresServer) -> None:
    name = await postgres.create_database()
    store = await SqlStore.open(postgres.url(name), ACCOUNT, call_timeout=CALL_TIMEOUT)
    await postgres.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )
    with pytest.raises(StoreUnavailable):
        await store.add_room(make_room())
    await until_up(store)
    await store.add_room(make_room())
    await store.close()


async def test_an_account_has_one_server_at_a_time(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signaling.storage.engines.OPEN_PAUSE", 0.01)
    name = await postgres.create_database()
    first = await SqlStore.open(postgres.url(name), ACCOUNT)
    with pytest.raises(
        StorageError, match=rf"another server uses the database {name} \(PostgreSQL process \d+"
    ):
        await SqlStore.open(postgres.url(name), ACCOUNT)
    elsewhere = await SqlStore.open(postgres.url(name), AccountSid("AC" + "2" * 32))
    await elsewhere.close()
    await first.close()
    second = await SqlStore.open(postgres.url(name), ACCOUNT)
    await second.close()


async def test_a_file_that_somebody_else_holds_is_slow_and_then_well(tmp_path: Path) -> None:
    await place_database(tmp_path / "parlour.db")
    url = f"sqlite:///{tmp_path / 'parlour.db'}"
    store = await SqlStore.open(url, ACCOUNT, call_timeout=CALL_TIMEOUT)
    room = make_room()
    await store.add_room(room)
    person = make_participant(room)
    with closing(sqlite3.connect(tmp_path / "parlour.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OutcomeUnknown):
            await store.put_participant(person)
        assert not store.is_up
        other.rollback()
    await until_up(store)
    left = replace(person, status="disconnected", updated_at=START, ended_at=START)
    await store.put_participant(left)
    assert await store.get_participant(room.sid, person.sid) == left
    await store.close()


async def test_a_caller_who_gives_up_stops_nothing(tmp_path: Path) -> None:
    await place_database(tmp_path / "parlour.db")
    store = await SqlStore.open(f"sqlite:///{tmp_path / 'parlour.db'}", ACCOUNT)
    room = make_room()
    call = asyncio.create_task(store.add_room(room))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait({call})
    assert store.is_up
    await store.put_participant(make_participant(room))
    assert await store.get_room(room.sid) == room
    await store.close()


async def test_what_the_store_refuses_does_not_bring_it_down(store: SqlStore) -> None:
    with pytest.raises(StorageError) as refused:
        await store.put_participant(make_participant(make_room()))
    assert not isinstance(refused.value, StoreUnavailable)
    room = make_room("\ud800")
    with pytest.raises(StorageError) as refused:
        await store.add_room(room)
    assert not isinstance(refused.value, StoreUnavailable)
    assert store.is_up
    # A name that no room can have is not found, and nothing else.
    assert await store.find_in_progress("a\0b") is None


async def test_a_long_queue_is_no_sign_of_a_store_that_is_down() -> None:
    guard = StoreGuard(timeout=1.0, probe=lambda: asyncio.sleep(0), abandon=lambda: None)
    connection = asyncio.Lock()

    async def work(number: int) -> int:
        async with connection:
            await asyncio.sleep(0.4)
        return number

    # The last one waits longer than a store may be silent.
    assert await asyncio.gather(*(guard.run(work(n)) for n in range(4))) == [0, 1, 2, 3]
    assert guard.is_up
    await guard.close()


async def test_a_call_does_not_wait_for_ever_while_others_are_answered() -> None:
    guard = StoreGuard(timeout=0.2, probe=lambda: asyncio.sleep(0), abandon=lambda: None)
    stuck = asyncio.create_task(guard.run(asyncio.sleep(60)))

    async def answer_others() -> None:
        while guard.is_up:
            await guard.run(asyncio.sleep(0.01))

    others = asyncio.create_task(answer_others())
    with pytest.raises(OutcomeUnknown):
        await asyncio.wait_for(stuck, AMPLE)
    assert not guard.is_up
    await asyncio.wait({others})
    await guard.close()


async def test_a_server_whose_database_was_taken_over_writes_nothing_and_says_why(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signaling.storage.engines.OPEN_PAUSE", 0.01)
    name = await postgres.create_database()
    first = await SqlStore.open(postgres.url(name), ACCOUNT, call_timeout=CALL_TIMEOUT)
    # It has nothing to do when its session ends, and so notices nothing.
    await postgres.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )
    second = await SqlStore.open(postgres.url(name), ACCOUNT)
    room = make_room()
    with structlog.testing.capture_logs() as logs:
        with pytest.raises(StoreUnavailable):
            await first.add_room(room)
        async with asyncio.timeout(AMPLE):
            while not any(  # noqa: ASYNC110 - nothing else tells it
                line["event"] == "the store is still down"
                and line["log_level"] == "warning"
                and f"another server uses the database {name}" in line["reason"]
                for line in logs
            ):
                await asyncio.sleep(0.05)
    assert not first.is_up
    assert await second.get_room(room.sid) is None
    await second.close()
    await until_up(first)
    await first.add_room(room)
    await first.close()
