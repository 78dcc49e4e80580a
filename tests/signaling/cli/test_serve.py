import asyncio
import json
import os
import random
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from twilio.rest import Client

from signaling.app import EXIT_MEDIA_LOST, Server
from signaling.auth.account import make_account
from signaling.config import load_settings
from signaling.errors import ConfigError
from signaling.ids import is_sid
from tests.signaling.support import place_database

from .process import run, served

Running = tuple[Server, str, asyncio.Task[None]]
"""A server, its URL, and what waits for its end."""


async def status_of(http: aiohttp.ClientSession, url: str) -> int:
    async with http.get(url) as answer:
        return answer.status


async def join(
    http: aiohttp.ClientSession, url: str, identity: str, room: str
) -> aiohttp.ClientWebSocketResponse:
    """Join a room as an SDK does, without media."""
    socket_ = await say_hello(http, url, identity, room)
    await message_of(socket_, "connected")
    return socket_


async def say_hello(
    http: aiohttp.ClientSession, url: str, identity: str, room: str
) -> aiohttp.ClientWebSocketResponse:
    """Send what an SDK begins with."""
    async with http.post(f"{url}/dev/token", json={"identity": identity, "room": room}) as answer:
        token = (await answer.json())["token"]
    socket_ = await http.ws_connect(f"{url}/signaling")
    connect = {
        "type": "connect",
        "version": 2,
        "name": room,
        "participant": {"revision": 1, "tracks": []},
        "peer_connections": [],
        "ice_servers": "overrode",
        "publisher": {"name": "test", "sdk_version": "0", "user_agent": "test"},
        "format": "unified",
        "token": token,
        "subscribe": {"rules": [{"type": "include", "all": True}], "revision": 1},
        "media_signaling": {},
    }
    hello = {
        "type": "hello",
        "id": "h1",
        "timeout": 5000,
        "version": 2,
        "body": connect,
    }
    await socket_.send_str(json.dumps(hello))
    return socket_


async def message_of(socket_: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            frame = await socket_.receive_json()
            body = frame.get("body") or {}
            if body.get("type") == kind:
                return dict(body)
            assert body.get("type") not in ("error", "disconnected"), body


async def test_server_serves_and_stops(tmp_path: Path) -> None:
    data_dir = tmp_path / "var"
    many = aiohttp.TCPConnector(limit=0)
    async with served(data_dir, "--dev") as server, aiohttp.ClientSession(connector=many) as http:
        assert all(server.media_ports)
        for path in ("/livez", "/readyz", "/startupz"):
            assert await status_of(http, server.url + path) == 200
        assert await status_of(http, f"{server.url}/metrics") == 404
        async with http.get(server.metrics_url) as answer:
            assert "parlour_rooms 0.0" in await answer.text()

        account = server.account
        client = Client(account.api_key_sid, account.api_key_secret, account.account_sid)
        client.video.base_url = server.url
        room = await asyncio.to_thread(client.video.v1.rooms.create, unique_name="r1")
        assert is_sid(room.sid, "RM")

        # There can be no second server on its database, and that is said in a line.
        second = await run("serve", settings={"DATA_DIR": str(data_dir), "METRICS_BIND": "off"})
        assert second.code == 1
        database, pid = data_dir / "parlour.db", server.process.pid
        assert second.err == f"parlour: another server uses {database} (process {pid})\n"

        alice = await join(http, server.url, "alice", "r1")
        # Clients that do not even answer when they are told to go.
        idle = [await http.ws_connect(f"{server.url}/signaling") for _ in range(200)]
        people = await asyncio.to_thread(client.video.v1.rooms("r1").participants.list)
        assert [participant.identity for participant in people] == ["alice"]

        # What is no HTTP is refused without a traceback in the log.
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert b"400" in await reader.readline()
        writer.close()

        began = time.monotonic()
        server.signal()
        assert await code_of(alice) == 1012
        outcome = await server.ended()
        assert time.monotonic() - began < 5
        for silent in idle:
            await silent.close()
        assert outcome.code == 0
        assert account.api_key_secret in outcome.out
        log = json.dumps(server.log) + outcome.err
        assert "Traceback" not in log
        assert "no HTTP" not in log
        for secret in (account.api_key_secret, account.auth_token):
            assert secret not in log

    # The next run finds account and room, and prints no secret.
    async with served(data_dir) as server, aiohttp.ClientSession() as http:
        assert server.account == account
        client.video.base_url = server.url
        rooms = await asyncio.to_thread(client.video.v1.rooms.list)
        assert [found.sid for found in rooms] == [room.sid]
        people = await asyncio.to_thread(
            client.video.v1.rooms(room.sid).participants.list, status="disconnected"
        )
        assert [participant.identity for participant in people] == ["alice"]
        async with http.post(f"{server.url}/dev/token", json={"identity": "a"}) as answer:
            assert answer.status == 404
        server.signal(signal.SIGINT)
        outcome = await server.ended()
        assert outcome.code == 0
        assert outcome.out == ""


@asynccontextmanager
async def in_process(tmp_path: Path, **given: object) -> AsyncIterator[Running]:
    """Run a server on this loop, as ``serve`` does, in development mode."""
    defaults = {"http_port": 0, "media_port": 0, "media_host": "127.0.0.1", "metrics_bind": "off"}
    settings = load_settings(defaults | {"data_dir": tmp_path, "dev": True} | given)
    account = make_account(random.Random(1))
    server = Server(settings, account=account, rng=random.Random(2))
    await place_database(tmp_path / "parlour.db")
    server.heed_signals()
    try:
        await server.start()

        async def stop_when_told() -> None:
            await server.wait()
            await server.close()

        stopping = asyncio.create_task(stop_when_told())
        yield server, f"http://127.0.0.1:{server.http_port}", stopping
        async with asyncio.timeout(5):
            await stopping
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)


def signal_ourselves() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


async def code_of(socket_: aiohttp.ClientWebSocketResponse) -> int | None:
    """Return the code with which the server closes a socket."""
    async with asyncio.timeout(5):
        while (message := await socket_.receive()).type == aiohttp.WSMsgType.TEXT:
            pass
    # The frame's: close_code says 1006 when the answer to it finds the server gone.
    return message.data if message.type == aiohttp.WSMsgType.CLOSE else socket_.close_code


async def test_drain_waits_for_the_participants(tmp_path: Path) -> None:
    async with (
        aiohttp.ClientSession() as http,
        in_process(tmp_path, drain_seconds=60.0) as (_, url, stopping),
    ):
        alice = await join(http, url, "alice", "r1")
        signal_ourselves()
        while await status_of(http, f"{url}/readyz") == 200:
            pass
        assert await status_of(http, f"{url}/livez") == 200
        bob = await say_hello(http, url, "bob", "r1")
        assert (await bob.receive_json(timeout=10))["type"] == "busy"
        await bob.close()
        assert not stopping.done()
        # The page says goodbye: nobody is left, and the server need not wait any longer.
        await alice.close()


async def test_drain_ends_at_its_deadline(tmp_path: Path) -> None:
    async with (
        aiohttp.ClientSession() as http,
        in_process(tmp_path, drain_seconds=0.3) as (_, url, _stopping),
    ):
        alice = await join(http, url, "alice", "r1")
        signal_ourselves()
        assert await code_of(alice) == 1012


async def test_second_signal_ends_the_drain(tmp_path: Path) -> None:
    async with (
        aiohttp.ClientSession() as http,
        in_process(tmp_path, drain_seconds=600.0) as (_, url, stopping),
    ):
        alice = await join(http, url, "alice", "r1")
        signal_ourselves()
        while await status_of(http, f"{url}/readyz") == 200:
            pass
        assert not stopping.done()
        signal_ourselves()
        assert await code_of(alice) == 1012


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("http_port", socket.SOCK_STREAM),
        ("metrics_bind", socket.SOCK_STREAM),
        ("media_port", socket.SOCK_DGRAM),
    ],
)
async def test_used_ports_are_said(tmp_path: Path, name: str, kind: socket.SocketKind) -> None:
    await place_database(tmp_path / "parlour.db")
    threads = _threads()
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        given = {
            "http_port": 0,
            "media_host": "127.0.0.1",
            "media_port": 0,
            "metrics_bind": "off",
            "data_dir": tmp_path,
            name: f"127.0.0.1:{port}" if name == "metrics_bind" else port,
        }
        account = make_account(random.Random(1))
        server = Server(load_settings(given), account=account, rng=random.Random(2))
        with pytest.raises(ConfigError, match=f"cannot .*{port}.* in use"):
            await server.start()
    # What had started already was taken down again. The database's thread ends in its own time.
    async with asyncio.timeout(5):
        while _threads() != threads:  # noqa: ASYNC110 - nothing else tells it
            await asyncio.sleep(0.01)


def _threads() -> set[str]:
    # Without those of the loop's executor, which end with the loop.
    return {t.name for t in threading.enumerate() if not t.name.startswith("asyncio")}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"media_port": 65535, "media_threads": 2}, "2 media threads .* 65535"),
        ({"media_announced_port": 65400, "media_threads": 200}, "200 media threads .* 65400"),
        ({"media_host": "192.0.2.1"}, "cannot bind UDP 192.0.2.1 port 0 .* assign"),
        ({"http_host": "a" * 300}, "cannot serve HTTP on a+ port 0: "),
        ({"http_host": "no host"}, "cannot serve HTTP on no host port 0: "),
    ],
)
async def test_what_cannot_be_bound_is_said(
    tmp_path: Path, given: dict[str, object], said: str
) -> None:
    defaults = {"http_port": 0, "media_port": 0, "media_host": "127.0.0.1", "metrics_bind": "off"}
    settings = load_settings(defaults | {"data_dir": tmp_path} | given)
    await place_database(tmp_path / "parlour.db")
    server = Server(settings, account=make_account(random.Random(1)), rng=random.Random(2))
    with pytest.raises(ConfigError, match=said):
        await server.start()


async def test_a_signal_during_the_start_stops_the_server_after_it(tmp_path: Path) -> None:
    asyncio.get_running_loop().call_soon(signal_ourselves)
    async with in_process(tmp_path) as (_, _url, stopping):
        await stopping


async def test_server_whose_last_data_plane_stopped_ends_to_be_started_again(
    tmp_path: Path,
) -> None:
    await place_database(tmp_path / "parlour.db")
    async with (
        aiohttp.ClientSession() as http,
        served(
            tmp_path,
            "--dev",
            module="tests.support.breakable_server",
            MEDIA_THREADS="2",
            DRAIN_SECONDS="600",
        ) as server,
    ):
        alice = await join(http, server.url, "alice", "r1")
        server.signal(signal.SIGUSR1)
        stopped = await server.read_log_until("data plane")
        assert "stopped" in stopped["event"]
        assert stopped["level"] == "error"
        # Rooms move to the other one: it serves on, and says that something is wrong.
        for path in ("/livez", "/readyz"):
            assert await status_of(http, server.url + path) == 200
        async with http.get(server.metrics_url) as answer:
            assert "parlour_media_failed 1.0" in (await answer.text()).splitlines()
        assert not alice.closed

        server.signal(signal.SIGUSR1)
        fatal = await server.read_log_until("no data plane is left: stopping, to be started again")
        assert fatal["level"] == "critical"
        # Clients resume elsewhere.
        assert await code_of(alice) == 1012
        outcome = await server.ended()
    assert outcome.code == EXIT_MEDIA_LOST
    assert "Traceback" not in outcome.err


async def test_database_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no database, but long enough to look like one" * 100)
    given = {"database_url": f"sqlite:///{tmp_path / 'x.db'}", "data_dir": tmp_path}
    account = make_account(random.Random(1))
    server = Server(load_settings(given), account=account, rng=random.Random(2))
    with pytest.raises(ConfigError, match=r"x\.db"):
        await server.start()
