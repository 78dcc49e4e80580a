"""Real WebSockets over a real aiohttp server."""

import asyncio
import contextlib
import gc
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from signaling.rsp import SignalingHandler
from signaling.rsp.connection import RspConnection
from signaling.rsp.link import RspLink
from signaling.service import IceServer, ServiceConfig, SystemClock
from signaling.service.room_service import RoomService
from tests.signaling.support import ACCOUNT_SID, TOKENS, open_store, token
from tests.support.fake_media_node import FakeMediaNode

from .support import connect_body, track

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page:
    """A WebSocket that speaks as the SDK does."""

    def __init__(self, websocket: ClientWebSocketResponse) -> None:
        self.websocket = websocket

    async def send(self, frame: dict[str, Any]) -> None:
        await self.websocket.send_str(json.dumps(frame))

    async def hello(self, body: dict[str, Any] | None = None, timeout_ms: int = 5000) -> None:
        frame: dict[str, Any] = {"type": "hello", "id": "1", "timeout": timeout_ms, "version": 2}
        await self.send(frame | ({"body": body} if body is not None else {}))

    async def next(self) -> dict[str, Any]:
        message = await asyncio.wait_for(self.websocket.receive(), 5.0)
        assert message.type is WSMsgType.TEXT, message
        frame: dict[str, Any] = json.loads(message.data)
        return frame

    async def body(self) -> dict[str, Any]:
        while True:
            frame = await self.next()
            if frame["type"] == "msg":
                body: dict[str, Any] = frame["body"]
                return body

    async def closed(self) -> int | None:
        async with asyncio.timeout(5.0):
            while True:
                message = await self.websocket.receive()
                if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR):
                    return self.websocket.close_code


class Site:
    def __init__(self, client: TestClient[Any, Any], service: RoomService) -> None:
        self.client = client
        self.service = service

    async def page(self, **options: Any) -> Page:
        return Page(await self.client.ws_connect("/signaling", **options))

    async def until(self, condition: Callable[[], bool]) -> None:
        await until(condition)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5.0):
        # The end of a socket has no event that a test could wait for.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@asynccontextmanager
async def signaling(tmp_path: Any, **settings: Any) -> AsyncIterator[tuple[RoomService, Handler]]:
    """Run a service; yield it and what serves its WebSockets. No socket may be left behind."""
    store = await open_store(tmp_path)
    # Real tokens are judged by the real clock, so the server runs on it too.
    service = RoomService(
        node=FakeMediaNode(),
        store=store,
        config=ServiceConfig(account_sid=ACCOUNT_SID, **settings),
        rng=random.Random(3),
    )
    await service.start()
    yield service, SignalingHandler(service=service, tokens=TOKENS, rng=random.Random(4)).handle
    await store.close()
    assert service.connection_count == 0


@asynccontextmanager
async def site(tmp_path: Any, **settings: Any) -> AsyncIterator[Site]:
    async with signaling(tmp_path, **settings) as (service, handle):
        app = web.Application()
        app.router.add_get("/signaling", handle)
        async with TestClient(TestServer(app)) as client:
            yield Site(client, service)
            await service.close()


def fresh(identity: str) -> str:
    return token(identity, now=SystemClock().utc_now())


def joining(identity: str, *tracks: dict[str, Any]) -> dict[str, Any]:
    return connect_body(identity, tracks=tracks, access_token=fresh(identity))


async def test_two_pages_meet_and_one_leaves(tmp_path: Any) -> None:
    async with site(tmp_path) as s:
        alice, bob = await s.page(), await s.page()
        await alice.hello({"type": "ice", "version": 1, "token": fresh("alice")})
        assert (await alice.next())["type"] == "welcome"
        assert (await alice.body())["type"] == "iced"
        await alice.send({"type": "msg", "body": joining("alice", track("a1"))})
        session = (await alice.body())["session"]
        await bob.hello(joining("bob", track("b1")))
        assert (await bob.body())["participants"][0]["identity"] == "alice"
        assert (await alice.body())["participants"][0]["identity"] == "bob"
        await alice.send({"type": "msg", "body": {"type": "disconnect", "session": session}})
        await alice.send({"type": "bye"})
        await alice.websocket.close(code=1000)
        while True:
            update = await bob.body()
            if "participants" in update:
                assert update["participants"][0]["state"] == "disconnected"
                break


@pytest.mark.parametrize("code", [1000, 1001, 3000, 3004, 3005, 4999])
async def test_the_peers_close_code_is_echoed(tmp_path: Any, code: int) -> None:
    async with site(tmp_path) as s:
        page = await s.page(autoclose=False)
        await page.hello()
        await page.next()
        # aiohttp's client reports the code of the server's close frame here.
        await page.websocket.close(code=code)
        assert page.websocket.close_code == code
        await s.until(lambda: s.service.connection_count == 0)


async def test_a_close_without_a_code_is_not_answered_with_1000(tmp_path: Any) -> None:
    async with site(tmp_path) as s:
        page = await s.page(autoclose=False)
        await page.hello()
        await page.next()
        writer = page.websocket._writer
        await writer.send_frame(b"", WSMsgType.CLOSE)
        message = await asyncio.wait_for(page.websocket.receive(), 5.0)
        assert message.type is WSMsgType.CLOSE
        assert message.data == 1001


async def test_a_server_that_stops_closes_with_1012(tmp_path: Any) -> None:
    async with site(tmp_path) as s:
        page, idle = await s.page(), await s.page()
        await page.hello(joining("alice"))
        assert (await page.body())["type"] == "connected"
        # Both must be read while the server waits for their half of the handshake.
        codes = asyncio.gather(page.closed(), idle.closed())
        await s.service.close()
        assert set(await codes) == {1012}


async def test_who_is_put_off_is_let_in_on_the_same_socket(tmp_path: Any) -> None:
    async with site(tmp_path) as s:
        page = await s.page()
        s.service.draining = True
        for _ in range(2):
            await page.hello(joining("alice"))
            assert (await page.next())["type"] == "busy"
        s.service.draining = False
        await page.hello(joining("alice"))
        assert (await page.next())["type"] == "welcome"
        assert (await page.body())["type"] == "connected"


async def test_a_server_that_stops_closes_whoever_was_put_off(tmp_path: Any) -> None:
    async with site(tmp_path) as s:
        page = await s.page()
        s.service.draining = True
        await page.hello(joining("alice"))
        assert (await page.next())["type"] == "busy"
        closing = asyncio.create_task(s.service.close())
        assert await page.closed() == 1012
        await closing


async def test_a_socket_that_is_gone_waits_for_no_garbage_collector(tmp_path: Any) -> None:
    async with site(tmp_path) as s:

        def sockets() -> int:
            all_sockets = (one for one in gc.get_objects() if isinstance(one, RspConnection))
            return sum(one._service is s.service for one in all_sockets)

        gc.disable()
        try:
            silent, put_off, page = await s.page(), await s.page(), await s.page()
            await page.hello(joining("alice"))
            session = (await page.body())["session"]
            s.service.draining = True
            await put_off.hello(joining("bob"))
            assert (await put_off.next())["type"] == "busy"
            assert sockets() == 3
            await page.send({"type": "msg", "body": {"type": "disconnect", "session": session}})
            for each in (silent, put_off, page):
                await each.websocket.close(code=1000)
            await s.until(lambda: sockets() == 0)
        finally:
            gc.enable()


async def test_heartbeats_come_by_themselves(tmp_path: Any) -> None:
    async with site(tmp_path) as s:
        page = await s.page()
        await page.hello(timeout_ms=1000)
        assert (await page.next())["negotiatedTimeout"] == 1000
        assert await page.next() == {"type": "heartbeat"}


async def test_a_message_that_is_too_large_closes_the_socket(tmp_path: Any) -> None:
    async with site(tmp_path) as s:
        page = await s.page()
        await page.hello()
        await page.next()
        await page.websocket.send_str("x" * ((1 << 20) + 1))
        assert await page.closed() == 1009
        await s.until(lambda: s.service.connection_count == 0)


async def test_binary_and_malformed_frames_get_an_error_and_a_close(tmp_path: Any) -> None:
    async with site(tmp_path) as s:
        page = await s.page()
        await page.websocket.send_bytes(b"\0")
        assert (await page.next())["type"] == "bad"
        assert await page.closed() == 1002
        page = await s.page()
        await page.hello()
        await page.next()
        await page.websocket.send_str("{")
        assert (await page.body())["code"] == 53004


async def test_a_broken_connection_is_resumed(tmp_path: Any) -> None:
    async with site(tmp_path) as s:
        alice, bob = await s.page(), await s.page()
        await alice.hello(joining("alice"))
        connected = await alice.body()
        await bob.hello(joining("bob"))
        await bob.body()
        transport = alice.websocket.get_extra_info("socket")
        assert transport is not None
        assert alice.websocket._conn is not None
        assert alice.websocket._conn.transport is not None
        alice.websocket._conn.transport.abort()
        assert (await bob.body())["participants"][0]["state"] == "reconnecting"
        again = await s.page()
        await again.hello(
            {
                "type": "sync",
                "version": 2,
                "session": connected["session"],
                "token": fresh("alice"),
                "participant": {"revision": 2, "tracks": []},
                "peer_connections": [],
            }
        )
        assert (await again.body())["type"] == "synced"
        assert (await bob.body())["participants"][0]["state"] == "connected"


async def test_a_client_that_floods_is_read_at_its_pace_and_loses_nothing(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signaling.rsp.pace.BURST_SECONDS", 0.1)
    async with site(tmp_path, messages_per_session=50.0) as s:
        alice, bob = await s.page(), await s.page()
        await alice.hello(joining("alice", track("a1")))
        connected = await alice.body()
        await bob.hello(joining("bob"))
        await bob.body()
        began = time.monotonic()
        for revision in range(2, 62):
            enabled = revision % 2 == 1
            body = {
                "type": "update",
                "version": 2,
                "session": connected["session"],
                "participant": {"revision": revision, "tracks": [track("a1", enabled=enabled)]},
            }
            await alice.send({"type": "msg", "body": body})
        seen: list[bool] = []
        while len(seen) < 60:
            update = await bob.body()
            seen += [p["tracks"][0]["enabled"] for p in update.get("participants", [])]
        assert seen == [False, True] * 30
        # 5 at once and 50 a second: all 60 cannot have been taken before.
        assert time.monotonic() - began > 1.0
        assert s.service.messages_delayed > 40


async def test_a_client_that_does_not_read_is_cut_off(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signaling.rsp.handler.BACKLOG_MAX_BYTES", 20_000)
    monkeypatch.setattr("signaling.rsp.handler.CLOSE_TIMEOUT", 0.05)
    servers = (IceServer(urls=("turn:" + "x" * 50_000,)),)
    async with site(tmp_path, ice_servers=servers) as s:
        page = await s.page()
        await page.hello()
        await page.next()
        assert page.websocket._conn is not None
        assert page.websocket._conn.transport is not None
        page.websocket._conn.transport.pause_reading()
        # Each is answered with 50 kB, and sockets buffer only so much.
        question = {"type": "msg", "body": {"type": "ice", "token": fresh("alice")}}
        text = json.dumps(question)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while s.service.connection_count and sent < 100_000:
                for _ in range(200):
                    await page.websocket.send_str(text)
                    sent += 1
                await asyncio.sleep(0)
        await s.until(lambda: s.service.connection_count == 0)


async def test_a_fault_of_ours_closes_the_socket_and_keeps_the_session(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site(tmp_path) as s:
        page = await s.page()
        await page.hello(connect_body("alice", access_token=fresh("alice")))
        connected = await page.body()

        def fail(*_arguments: object) -> None:
            raise RuntimeError("a bug")

        with monkeypatch.context() as patched:
            patched.setattr(RspLink, "receive_update", fail)
            with capture_logs() as logs:
                await page.send(
                    {
                        "type": "msg",
                        "body": {
                            "type": "update",
                            "session": connected["session"],
                            "participant": {"revision": 2, "tracks": []},
                        },
                    }
                )
                assert await page.closed() == 1011
        assert [line["event"] for line in logs] == ["a signaling connection failed"]
        again = await s.page()
        await again.hello(
            {"type": "sync", "session": connected["session"], "token": fresh("alice")}
        )
        assert (await again.body())["type"] == "synced"


async def test_many_joins_and_leaves_leave_nothing_behind(tmp_path: Any) -> None:
    async with site(tmp_path) as s:
        for _ in range(20):
            page = await s.page()
            await page.hello(joining("alice", track("a1")))
            session = (await page.body())["session"]
            await page.send({"type": "msg", "body": {"type": "disconnect", "session": session}})
            await page.websocket.close(code=1000)
        await s.until(lambda: s.service.connection_count == 0)
        assert s.service.room_count == 0
        assert isinstance(s.service.node, FakeMediaNode)
        assert s.service.node.peers == {}
        assert len(s.service._timers) == 0
