"""Servers that start while PostgreSQL is away, or while another server uses the database."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.clients import clients_of, meet
from tests.support.postgres import PostgresServer
from tests.support.server import Server, spawn_server, start_server, until_ready

from .outage import probe, settings_for

AMPLE = 20.0
"""Seconds on a busy machine."""


@pytest.fixture
async def away() -> AsyncIterator[PostgresServer]:
    """A server that can be stopped."""
    server = await asyncio.to_thread(PostgresServer)
    try:
        await asyncio.to_thread(server.start)
        yield server
    finally:
        await asyncio.to_thread(server.close)


async def ended(server: Server) -> int:
    async with asyncio.timeout(AMPLE):
        return await server.process.wait()


async def until_said(server: Server, words: str) -> None:
    async with asyncio.timeout(AMPLE):
        while words not in server.log:  # noqa: ASYNC110 - it writes to a file
            await asyncio.sleep(0.05)


async def test_a_server_waits_for_its_database_and_tells_the_probes(
    tmp_path: Path, away: PostgresServer
) -> None:
    settings = settings_for(away, await away.create_database())
    await asyncio.to_thread(away.stop)
    server = await spawn_server(tmp_path, settings=settings)
    try:
        await until_said(server, "waiting for the database")
        assert await probe(server, "livez") == 200
        assert await probe(server, "readyz") == 503
        assert await probe(server, "startupz") == 503
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{server.url}/v1/Rooms", data={"UniqueName": "r"}) as answer,
        ):
            assert answer.status == 503
            assert (await answer.json())["code"] == 20503
            assert int(answer.headers["Retry-After"]) > 0
        await asyncio.to_thread(away.start)
        await until_ready(server)
        assert await probe(server, "startupz") == 200
        async with clients_of(server) as clients:
            await meet(clients, "r")
    finally:
        await server.stop()
    assert "Traceback" not in server.log


async def test_a_server_that_waits_can_be_stopped(tmp_path: Path, away: PostgresServer) -> None:
    settings = settings_for(away, await away.create_database())
    await asyncio.to_thread(away.stop)
    server = await spawn_server(tmp_path, settings=settings)
    await until_said(server, "waiting for the database")
    server.process.send_signal(signal.SIGTERM)
    assert await ended(server) == 0


@pytest.mark.parametrize("seconds", ["0", "1.5"])
async def test_a_server_gives_up_in_one_line(
    tmp_path: Path, away: PostgresServer, seconds: str
) -> None:
    name = await away.create_database()
    await asyncio.to_thread(away.stop)
    settings = settings_for(away, name) | {"STORE_WAIT_SECONDS": seconds}
    server = await spawn_server(tmp_path, settings=settings)
    assert await ended(server) == 1
    *_, last = server.log.splitlines()
    assert last.startswith(f"parlour: cannot reach the database {name}: "), server.log
    assert ("(waited for " in last) == (seconds != "0")
    assert "Traceback" not in server.log


async def test_a_database_that_does_not_exist_is_not_waited_for(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    server = await spawn_server(tmp_path, settings=settings_for(postgres, "nowhere"))
    assert await ended(server) == 1
    assert server.log.splitlines()[-1] == (
        'parlour: cannot open the database nowhere: database "nowhere" does not exist'
    )
    assert "waiting" not in server.log


async def test_a_second_server_is_refused_and_takes_over_when_the_first_is_killed(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    name = await postgres.create_database()
    settings = settings_for(postgres, name)
    first = await start_server(tmp_path / "first", settings=settings)
    (tmp_path / "second").mkdir()
    shutil.copy(tmp_path / "first/account.json", tmp_path / "second")
    second: Server | None = None
    try:
        async with clients_of(first) as clients:
            alice, _ = await meet(clients, "r")
            second = await spawn_server(tmp_path / "second", settings=settings)
            assert await ended(second) == 1
            assert f"another server uses the database {name} (PostgreSQL" in second.log
            assert second.log.splitlines()[-1].startswith("parlour: ")
            assert "Traceback" not in second.log
            # The first one has noticed nothing.
            await meet(clients, "another")
            await first.stop(signal.SIGKILL)
        second = await start_server(tmp_path / "second", settings=settings)
        async with (
            clients_of(second) as clients,
            clients.http.get(
                f"{second.url}/v1/Rooms/{alice.room_sid}/Participants", headers=clients.back_end
            ) as answer,
        ):
            people = (await answer.json())["participants"]
            assert {person["identity"]: person["status"] for person in people} == {
                "alice": "disconnected",
                "bob": "disconnected",
            }
            await meet(clients, "r")
    finally:
        await first.stop()
        if second is not None:
            await second.stop()
