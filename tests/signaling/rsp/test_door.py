"""Clients that are turned away before the HTTP server: real sockets, a real HTTP server behind."""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.crowd.crowd import speaking_rooms
from benchmarks.server import ServerProcess, running_server
from signaling.edge import ClientFinder, ConnectionGate, Listener
from signaling.rsp import Door, door, tcmp
from signaling.rsp.tcmp import CLOSE_NO_HELLO
from signaling.service import loop_load
from signaling.service.room_service import RoomService
from tests.signaling.edge.certificates import write_certificate

from .test_live import Handler, Page, fresh, joining, signaling, until

EXAMPLE = (
    b"GET /signaling HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
    b"upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n"
    b"sec-websocket-key:  dGhlIHNhbXBsZSBub25jZQ== \r\n\r\n"
)
"""The key is that of RFC 6455 section 1.3."""
ACCEPTED = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"


class Site:
    def __init__(
        self,
        http: aiohttp.ClientSession,
        port: int,
        service: RoomService,
        server: web.Server,
    ) -> None:
        self.http, self.port, self.service, self.server = http, port, service, server
        self.url = f"http://127.0.0.1:{port}"

    async def page(self, **options: Any) -> Page:
        return Page(await self.http.ws_connect(f"{self.url}/signaling", **options))

    @asynccontextmanager
    async def raw(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.timeout(5.0):
                yield reader, writer
        finally:
            writer.close()


@asynccontextmanager
async def site(
    tmp_path: Path, *, limited: bool = False, tls: ssl.SSLContext | None = None, **settings: Any
) -> AsyncIterator[Site]:
    @web.middleware
    async def limits(request: web.Request, handler: Handler) -> web.StreamResponse:
        return web.Response(status=429) if limited else await handler(request)

    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read() or b"nothing")

    async with (
        signaling(tmp_path, **settings) as (service, handle),
        aiohttp.ClientSession() as http,
    ):
        app = web.Application(middlewares=[limits])
        app.router.add_get("/signaling", handle)
        app.router.add_route("*", "/echo", echo)
        runner = web.AppRunner(app)
        await runner.setup()
        assert runner.server is not None
        entrance = Door(service=service, path="/signaling")
        gate = ConnectionGate(most=0, finder=ClientFinder())
        listener = Listener(
            runner.server,
            host="127.0.0.1",
            port=0,
            backlog=100,
            gate=gate,
            entrance=entrance,
            tls=None if tls is None else lambda: tls,
        )
        yield Site(http, await listener.start(), service, runner.server)
        await service.close()
        await listener.stop()
        entrance.close()
        await runner.cleanup()
        await until(lambda: len(gate) == 0)


def frame(first: int, payload: bytes, mask: bytes = b"\x01\x02\x03\x04") -> bytes:
    """Return a frame as clients mask it."""
    size = len(payload)
    if size < 126:
        length = bytes((0x80 | size,))
    elif size < 1 << 16:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes((first,)) + length + mask + masked


def hello(**members: Any) -> bytes:
    return json.dumps(
        {"type": "hello", "id": "1", "timeout": 5000, "version": 2} | members
    ).encode()


async def frame_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, length = await reader.readexactly(2)
    return first, await reader.readexactly(length)


@pytest.mark.parametrize("code", [1000, 1001, 3005, 3006, 4999])
async def test_who_is_turned_away_never_meets_the_http_server(tmp_path: Path, code: int) -> None:
    async with site(tmp_path, busy_retry_after_ms=300) as s:
        s.service.draining = True
        page = await s.page(autoclose=False)
        await page.hello(joining("alice"))
        assert await page.next() == {"type": "busy", "retryAfter": 300, "keepAlive": True}
        assert s.service.connection_count == 1
        assert s.service.joins_put_off == 1
        await page.websocket.close(code=code)
        assert page.websocket.close_code == code
        assert not s.server.connections
        await until(lambda: s.service.connection_count == 0)


async def test_who_stays_is_let_in_on_the_same_socket(tmp_path: Path) -> None:
    async with site(tmp_path) as s:
        s.service.draining = True
        page = await s.page()
        for _ in range(2):
            await page.hello(joining("alice"))
            assert (await page.next())["type"] == "busy"
        s.service.draining = False
        await page.hello(joining("alice"))
        assert (await page.next())["type"] == "welcome"
        session = (await page.body())["session"]
        assert s.service.connection_count == len(s.server.connections) == 1
        await page.send({"type": "msg", "body": {"type": "disconnect", "session": session}})
        await page.send({"type": "bye"})
        await page.websocket.close(code=1000)
        assert page.websocket.close_code == 1000


async def test_no_more_are_let_pass_than_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_load, "SATURATED_LAG", -1.0)
    monkeypatch.setattr(loop_load, "JOINS_AT_ONCE", 2)
    async with site(tmp_path) as s:
        s.service.draining = True
        pages = [await s.page() for _ in range(6)]
        s.service.draining = False
        for page in pages:
            await page.hello()
        answers = Counter([(await page.next())["type"] for page in pages])
        assert answers == {"welcome": 2, "busy": 4}
        assert s.service.load.joins == len(s.server.connections) == 2
        for page in pages:
            await page.websocket.close(code=1001)
        await until(lambda: s.service.load.joins == 0)


async def test_the_door_is_left_open_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "OPEN_SECONDS", 0.3)
    async with site(tmp_path) as s:
        s.service.draining = True
        await (await s.page()).websocket.close(code=1001)
        s.service.draining = False
        page = await s.page()
        assert not s.server.connections
        await page.hello()
        assert (await page.next())["type"] == "welcome"
        await page.websocket.close(code=1001)
        await asyncio.sleep(0.3)
        page = await s.page()
        assert len(s.server.connections) == 1
        await page.websocket.close(code=1001)


async def test_connections_over_tls_go_to_the_http_server(tmp_path: Path) -> None:
    write_certificate(tmp_path, "parlour")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    trust = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    async with site(tmp_path, tls=context) as s:
        s.service.draining = True
        url = f"https://127.0.0.1:{s.port}/signaling"
        page = Page(await s.http.ws_connect(url, ssl=trust))
        await page.hello(joining("alice"))
        assert (await page.next())["type"] == "busy"
        assert len(s.server.connections) == 1
        await page.websocket.close(code=1001)


async def test_a_session_is_resumed_however_busy_the_server_is(tmp_path: Path) -> None:
    async with site(tmp_path) as s:
        page = await s.page()
        await page.hello(joining("alice"))
        session = (await page.body())["session"]
        await page.websocket.close(code=3001)
        s.service.draining = True
        again = await s.page()
        body = {"type": "sync", "version": 2, "name": "r1", "session": session}
        body |= {"token": fresh("alice"), "peer_connections": []}
        await again.hello(body | {"participant": {"revision": 1, "tracks": []}})
        assert (await again.next())["type"] == "welcome"
        assert (await again.body())["type"] == "synced"
        assert s.service.joins_put_off == 0


async def test_other_requests_are_served_as_ever(tmp_path: Path) -> None:
    async with site(tmp_path) as s:
        s.service.draining = True
        for _ in range(2):  # the second on the same connection
            async with s.http.post(f"{s.url}/echo", data=b"x" * 100_000) as answer:
                assert await answer.read() == b"x" * 100_000
        async with s.http.get(f"{s.url}/signalling") as answer:
            assert answer.status == 404
        async with s.http.get(f"{s.url}/signaling") as answer:
            assert answer.status == 400
        async with s.raw() as (reader, writer):
            for byte in b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":
                writer.write(bytes((byte,)))
                await asyncio.sleep(0)
            assert (await reader.read()).endswith(b"\r\n\r\nnothing")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Version: 13", b"Version: 12"),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"short"),
        (b"sec-websocket-key", b"x-key"),
        (b"upgrade: WebSocket", b"upgrade: h2c"),
        (b"Connection: keep-alive, Upgrade\r\n", b""),
        (b"Host: a", b"Host: " + b"a" * door.HEAD_MAX_BYTES),
    ],
)
async def test_a_bad_handshake_is_refused_by_the_http_server(
    tmp_path: Path, old: bytes, new: bytes
) -> None:
    async with site(tmp_path) as s:
        s.service.draining = True
        async with s.raw() as (reader, writer):
            writer.write(EXAMPLE.replace(old, new))
            assert (await reader.readline()).split()[1].startswith(b"4")


async def test_a_handshake_may_come_byte_by_byte_and_much_at_once(tmp_path: Path) -> None:
    async with site(tmp_path) as s:
        s.service.draining = True
        async with s.raw() as (reader, writer):
            for byte in (
                EXAMPLE + frame(0x81, hello(body={"type": "connect", "x": "y" * 70_000}))[:40]
            ):
                writer.write(bytes((byte,)))
                await asyncio.sleep(0)
            writer.write(frame(0x81, hello(body={"type": "connect", "x": "y" * 70_000}))[40:])
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")
            assert ACCEPTED in head
            first, text = await frame_of(reader)
            assert (first, json.loads(text)["type"]) == (0x81, "busy")
            writer.write(frame(0x81, hello()) + frame(0x81, hello()) + frame(0x88, b"\x0b\xbd"))
            assert [(await frame_of(reader))[0] for _ in range(2)] == [0x81, 0x81]
            assert await frame_of(reader) == (0x88, b"\x0b\xbd")
            assert await reader.read() == b""
        assert not s.server.connections


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (frame(0x89, b"ping"), (0x8A, b"ping")),
        (frame(0x01, hello()[:10]) + frame(0x80, hello()[10:]), (0x81, None)),
        (frame(0x81, b'{"type":"heartbeat"}') + frame(0x81, hello()), (0x81, None)),
        (frame(0x81, b"nonsense"), (0x81, None)),
        (frame(0x81, b"\xff\xfe"), (0x88, None)),
        (frame(0x81, hello(version=3)), (0x81, None)),
        (frame(0x88, b""), (0x88, b"\x03\xe9")),
        (frame(0x88, b"x"), (0x88, None)),
        (frame(0x88, b"\x00\x01"), (0x88, None)),
        (b"\x81\x05hello", (0x81, None)),
        (b"\x81\xff" + bytes((0x7F,)) + bytes(7), (0x88, None)),
    ],
)
async def test_all_that_is_not_plain_is_left_to_the_http_server(
    tmp_path: Path, sent: bytes, answer: tuple[int, bytes | None]
) -> None:
    async with site(tmp_path) as s:
        for draining in (False, True):
            s.service.draining = draining
            async with s.raw() as (reader, writer):
                writer.write(EXAMPLE + sent)
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 101 ")
                assert ACCEPTED in head
                first, payload = await frame_of(reader)
                assert first == answer[0]
                assert answer[1] is None or payload == answer[1]


async def test_a_client_that_repeats_itself_is_answered_all_the_same(tmp_path: Path) -> None:
    async with site(tmp_path) as s:
        s.service.draining = True
        page = await s.page()
        for _ in range(door.ANSWERS_MAX + 2):
            await page.hello()
            assert (await page.next())["type"] == "busy"
        assert len(s.server.connections) == 1
        await page.websocket.close(code=1000)


async def test_a_newcomer_whom_a_limit_refuses_shall_try_again_later(tmp_path: Path) -> None:
    async with site(tmp_path, limited=True) as s:
        s.service.draining = True
        page = await s.page()
        s.service.draining = False
        await page.hello(joining("alice"))
        assert await page.closed() == 1013


async def test_who_says_nothing_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (door, tcmp):
        monkeypatch.setattr(module, "HELLO_TIMEOUT", 0.2)
    async with site(tmp_path, busy_retry_after_ms=0) as s:
        s.service.draining = True
        silent = await s.page()
        told = await s.page()
        await told.hello()
        assert (await told.next())["type"] == "busy"
        assert await silent.closed() == CLOSE_NO_HELLO
        assert await told.closed() == CLOSE_NO_HELLO
        async with s.raw() as (reader, writer):
            writer.write(EXAMPLE[:-2])
            assert await reader.read() == b""


async def test_a_server_that_stops_closes_with_1012(tmp_path: Path) -> None:
    async with site(tmp_path) as s:
        s.service.draining = True
        page = await s.page()
        await page.hello()
        assert (await page.next())["type"] == "busy"
        closing = asyncio.create_task(s.service.close())
        assert await page.closed() == 1012
        await closing


@pytest.mark.parametrize("sent", [b"", EXAMPLE[:50], EXAMPLE, EXAMPLE + frame(0x81, hello())])
@pytest.mark.parametrize("reset", [False, True])
async def test_a_client_that_vanishes_is_forgotten(
    tmp_path: Path, sent: bytes, reset: bool
) -> None:
    async with site(tmp_path) as s:
        s.service.draining = True
        for _ in range(20):
            peer = socket.create_connection(("127.0.0.1", s.port))
            if reset:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.sendall(sent)
            await asyncio.sleep(0)
            peer.close()
        async with s.raw() as (reader, writer):
            writer.write(EXAMPLE)
            await reader.readuntil(b"\r\n\r\n")
            assert s.service.connection_count >= 1
            writer.transport.abort()
        await until(lambda: s.service.connection_count == 0)


async def test_the_whole_server_has_the_door() -> None:
    async def answer(server: ServerProcess) -> bytes:
        reader, writer = await asyncio.open_connection(server.host, server.http_port)
        writer.write(EXAMPLE)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5.0)
        writer.close()
        return head

    async with (
        running_server(
            settings={"MAX_PARTICIPANTS": "1", "MAX_ROOM_PARTICIPANTS": "1000"}
        ) as server,
        aiohttp.ClientSession() as http,
    ):
        # Only the HTTP server gives its headers, also to an answer that needs none.
        assert b"Content-Security-Policy" in await answer(server)
        async with speaking_rooms(server, http, ["full"]):
            head = await answer(server)
            assert ACCEPTED in head
            assert b"Content-Security-Policy" not in head


@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=100).map(lambda tail: EXAMPLE + tail),
        st.builds(
            lambda first, payload: EXAMPLE + frame(first, payload),
            st.integers(0, 255),
            st.one_of(st.binary(max_size=150), st.just(hello())),
        ),
    ),
    cuts=st.lists(st.integers(0, 700), max_size=8),
)
def test_whatever_comes_raises_nothing_and_is_kept_or_handed_on(
    data: bytes, cuts: list[int]
) -> None:
    service = SimpleNamespace(
        config=SimpleNamespace(busy_retry_after_ms=100),
        takes_nobody=True,
        puts_off=lambda: True,
        add_connection=lambda _: None,
        remove_connection=lambda _: None,
    )
    inner = _Kept()
    passed_on: list[Callable[[asyncio.Protocol, asyncio.Transport], None]] = []
    left: list[None] = []
    ours, peer = socket.socketpair()
    ours.setblocking(False)

    async def feed() -> None:
        entrance = Door(service=cast("RoomService", service), path="/signaling")
        entrance.receive(ours, lambda: left.append(None), passed_on.append)
        places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
        for start, end in pairwise(places):
            with contextlib.suppress(BrokenPipeError):
                peer.sendall(data[start:end])
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        entrance.close()

    asyncio.run(feed())
    written = b""
    with peer, contextlib.suppress(BlockingIOError):
        peer.setblocking(False)
        written = peer.recv(65_536)
    assert len(passed_on) + len(left) == 1
    if not passed_on:
        assert data == EXAMPLE[: len(data)] or data.startswith(EXAMPLE)
        return
    passed_on[0](inner, asyncio.Transport())
    unread = b""
    with ours, contextlib.suppress(BlockingIOError):
        unread = ours.recv(65_536)
    if EXAMPLE not in data:
        assert inner.data + unread == data
        assert not written
    else:
        assert inner.data.startswith(EXAMPLE)
        assert data.endswith((inner.data + unread).removeprefix(EXAMPLE))


class _Kept(asyncio.Protocol):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data
