"""PostgreSQL goes away under load and comes back: calls go on, and nothing is lost."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signaling.service.recorder import FLUSH_TIMEOUT
from tests.signaling.webhooks.support import running_receiver
from tests.support.clients import assert_both_ways, clients_of, failures_in_log, meet
from tests.support.postgres import PostgresServer, programs
from tests.support.server import Server, running_server, spawn_server, start_server
from tests.support.server import until_ready as until_server_ready
from tests.support.tcp_relay import tcp_relay

from .outage import (
    SETTLED,
    STOCK,
    STORE_TIMEOUT,
    Load,
    check_nothing_lost,
    probe,
    settings_for,
    until_ready,
    until_told,
)

BOUND = FLUSH_TIMEOUT + 3 * STORE_TIMEOUT
"""Seconds: REST waits for the store to catch up, then asks it for a room, a participant, a page."""

SHARE = 0.3
"""Part of the frames of a call that must come, though the machine is busy with everything else."""
MISSING = 50
"""Frames of it that may be incomplete."""


@pytest.fixture
async def durable() -> AsyncIterator[PostgresServer]:
    """A server whose commits survive its own crash, as in service."""
    if programs() is None:
        pytest.fail("no PostgreSQL server is installed: package postgresql")
    server = await asyncio.to_thread(PostgresServer, durable=True)
    try:
        await asyncio.to_thread(server.start)
        yield server
    finally:
        await asyncio.to_thread(server.close)


async def run_outage(
    server: Server, postgres: PostgresServer, database: str, seconds: float
) -> None:
    """Stop PostgreSQL for a while under load, and look for what was lost."""
    async with running_receiver() as receiver, clients_of(server) as clients:
        alice, bob = await meet(clients, "call")
        load = Load(clients, receiver.url())
        await load.make_stock()
        running = asyncio.create_task(load.run())
        await asyncio.sleep(3.0)
        before = dict(load.seen.left)
        assert load.seen.answers[503] == 0
        await asyncio.to_thread(postgres.stop, "immediate")
        await asyncio.sleep(seconds)
        await assert_both_ways(alice, bob, share=SHARE, missing=MISSING)
        assert await probe(server, "livez") == 200
        assert await probe(server, "readyz") == 503
        during = len(load.seen.left) - len(before)
        assert during > 0, "nobody could meet while the store was down"
        assert load.seen.answers[503] > 0
        await asyncio.to_thread(postgres.start)
        await until_ready(server)
        await asyncio.sleep(1.0)
        load.stop()
        await running
        assert load.seen.failures == []
        await until_ready(server)
        assert await probe(server, "readyz") == 200
        await assert_both_ways(alice, bob, share=SHARE, missing=MISSING)
        await until_told(receiver, load.seen)
        rows = await check_nothing_lost(postgres, database, load.seen, receiver)
        print(f"guests during the outage {during}, REST {dict(load.seen.answers)}, ", end="")
        print(f"slowest {load.seen.slowest:.2f} s, rows {rows}")
        assert load.seen.slowest < BOUND
    strange = [line for line in failures_in_log(server) if "Traceback" in line or "dropped" in line]
    assert strange == []


async def test_nothing_is_lost_when_postgresql_stops_for_a_while(
    tmp_path: Path, durable: PostgresServer
) -> None:
    database = await durable.create_database()
    settings = settings_for(durable, database)
    async with running_server(tmp_path, settings=settings) as server:
        await run_outage(server, durable, database, 4.0)
        assert list((tmp_path / "journal").iterdir()) == []


@pytest.mark.acceptance
async def test_nothing_is_lost_when_postgresql_stops_for_a_minute(
    tmp_path: Path, durable: PostgresServer
) -> None:
    database = await durable.create_database()
    settings = settings_for(durable, database)
    async with running_server(tmp_path, settings=settings) as server:
        await run_outage(server, durable, database, 60.0)


@pytest.mark.acceptance
async def test_nothing_acknowledged_is_lost_when_the_server_is_killed_in_the_minute(
    tmp_path: Path, durable: PostgresServer
) -> None:
    """PostgreSQL is away for a minute; after forty seconds the server is killed under load."""
    database = await durable.create_database()
    settings = settings_for(durable, database)
    server = await start_server(tmp_path, settings=settings)
    loop = asyncio.get_running_loop()
    async with running_receiver() as receiver:
        try:
            async with clients_of(server) as clients:
                load = Load(clients, receiver.url())
                await load.make_stock()
                running = asyncio.create_task(load.run())
                await asyncio.sleep(3.0)
                await asyncio.to_thread(durable.stop, "immediate")
                stopped_at = loop.time()
                await asyncio.sleep(40.0)
                load.stop()
                killed_at = loop.time()
                await server.stop(signal.SIGKILL)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            assert load.seen.failures == []
            assert load.seen.answers[503] > 0
            load.seen.forget_departures_after(killed_at - SETTLED)
            print(f"{len(load.seen.left)} guests, {len(load.seen.completed)} rooms ended, ", end="")
            assert len(load.seen.completed) >= STOCK
            # The next one waits for the database.
            server = await spawn_server(tmp_path, settings=settings)
            await asyncio.sleep(max(0.0, stopped_at + 60.0 - loop.time()))
            assert await probe(server, "startupz") == 503
            await asyncio.to_thread(durable.start)
            await until_server_ready(server)
            async with clients_of(server) as clients:
                again = Load(clients, receiver.url(), prefix="again")
                running = asyncio.create_task(again.run())
                await asyncio.sleep(5.0)
                again.stop()
                await running
                assert again.seen.failures == []
                assert again.seen.answers[503] == 0
                await until_ready(server)
            await until_told(receiver, load.seen)
            await until_told(receiver, again.seen)
            await check_nothing_lost(durable, database, load.seen, receiver)
            print(await check_nothing_lost(durable, database, again.seen, receiver))
        finally:
            await server.stop()


async def test_a_server_that_is_killed_during_an_outage_loses_nothing_acknowledged(
    tmp_path: Path, durable: PostgresServer
) -> None:
    database = await durable.create_database()
    settings = settings_for(durable, database)
    server = await start_server(tmp_path, settings=settings)
    async with running_receiver() as receiver:
        try:
            async with clients_of(server) as clients:
                load = Load(clients, receiver.url())
                _, kept = await load.rest(
                    "POST", "Rooms", {"UniqueName": "kept", "StatusCallback": receiver.url()}
                )
                guest = clients.participant("alice", "kept")
                await guest.join()
                await receiver.until_events(2)
                await asyncio.to_thread(durable.stop, "immediate")
                # A room that begins and ends in the outage, and one that ends in it.
                other = clients.participant("bob", "fresh")
                await other.join()
                person = "Rooms/fresh/Participants/bob"
                # Commands to who is there are taken, and kept.
                rules = {"Rules": json.dumps([{"type": "include", "track": "nobody"}])}
                for path in (f"{person}/SubscribeRules", "Rooms/kept/RecordingRules"):
                    status, posted = await load.rest("POST", path, rules)
                    assert (status, posted["rules"][0]["track"]) == (200, "nobody")
                status, removed = await load.rest("POST", person, {"Status": "disconnected"})
                assert (status, removed["status"]) == (202, "disconnected")
                status, _ = await load.rest("POST", "Rooms/kept", {"Status": "completed"})
                assert status == 202
                status, _ = await load.rest("POST", "Rooms", {"UniqueName": "another"})
                assert status == 503
            await server.stop(signal.SIGKILL)
            assert list((tmp_path / "journal").iterdir()) != []
            await asyncio.to_thread(durable.start)
            server = await start_server(tmp_path, settings=settings)
            async with clients_of(server) as clients:
                for path in (
                    f"Rooms/{removed['room_sid']}/Participants/{removed['sid']}/SubscribeRules",
                    f"Rooms/{kept['sid']}/RecordingRules",
                ):
                    status, found = await Load(clients, receiver.url()).rest("GET", path)
                    assert (status, found["rules"][0]["track"]) == (200, "nobody")
            load.seen.completed.add(kept["sid"])
            load.seen.created.add(kept["sid"])
            load.seen.left[removed["sid"]] = removed["room_sid"]
            await until_told(receiver, load.seen)
            await check_nothing_lost(durable, database, load.seen, receiver)
            names = [c.event for c in receiver.callbacks if c.parameters["RoomSid"] == kept["sid"]]
            assert list(dict.fromkeys(names)) == [
                "room-created",
                "participant-connected",
                "track-added",
                "track-removed",
                "participant-disconnected",
                "room-ended",
            ]
            assert not (tmp_path / "journal").exists() or not any((tmp_path / "journal").iterdir())
        finally:
            await server.stop()


async def test_a_database_that_stalls_holds_up_nobody(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    database = await postgres.create_database()
    async with tcp_relay(postgres.port) as relay:
        settings = settings_for(postgres, database, port=relay.port)
        async with (
            running_server(tmp_path, settings=settings) as server,
            running_receiver() as receiver,
            clients_of(server) as clients,
        ):
            load = Load(clients, receiver.url())
            running = asyncio.create_task(load.run())
            for _ in range(2):
                await asyncio.sleep(1.0)
                count = len(load.seen.left)
                relay.stall()
                await asyncio.sleep(3.0)
                assert len(load.seen.left) > count
                relay.resume()
                await until_ready(server)
            load.stop()
            await running
            assert load.seen.failures == []
            await until_ready(server)
            await until_told(receiver, load.seen)
            await check_nothing_lost(postgres, database, load.seen, receiver)
            assert load.seen.slowest < BOUND
