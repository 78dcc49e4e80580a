"""Clients that ask and never read: what they make the server keep is bounded, and ends in time."""

import asyncio
import contextlib
import json
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from signaling.app import Server
from signaling.edge import listener
from tests.signaling.cli.test_serve import join

from .site import running

DEADLINE = 30.0
HELD_MAX = 300_000
"""Bytes of small answers to one client that wait."""
WINDOW = 2048
"""What such a client's kernel takes for it, bytes."""


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "UNREAD_TIMEOUT", 1.0)


def narrow_socket(info: tuple[int, int, int, str, Any]) -> socket.socket:
    """Return a socket that takes little before it is read."""
    family, kind, protocol, _, _ = info
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
    return made


async def until_nobody_is_connected(server: Server) -> None:
    async with asyncio.timeout(DEADLINE):
        while len(server._gate):  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0.05)


@pytest.fixture
def transports(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.Transport]:
    """Return a list of the server's side of all connections."""
    made: list[asyncio.Transport] = []
    connection_made = listener._Counted.connection_made

    def noted(protocol: Any, transport: asyncio.Transport) -> None:
        made.append(transport)
        connection_made(protocol, transport)

    monkeypatch.setattr(listener._Counted, "connection_made", noted)
    return made


@pytest.mark.parametrize("path", ["/openapi.json", "/livez", "/v1/Rooms", "/nothing"])
async def test_answers_that_nobody_reads_are_not_piled_up_and_given_up(
    tmp_path: Path, transports: list[asyncio.Transport], path: str
) -> None:
    async with running(tmp_path) as (server, url):
        async with aiohttp.ClientSession() as http, http.get(url + path) as answer:
            length = len(await answer.read())
        transports.clear()
        loop = asyncio.get_running_loop()
        made = narrow_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", None))
        made.setblocking(False)
        await loop.sock_connect(made, ("127.0.0.1", server.http_port))
        question = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()

        async def ask() -> None:
            while True:
                await loop.sock_sendall(made, question * 100)

        asking = asyncio.create_task(ask())
        held = 0
        try:
            async with asyncio.timeout(DEADLINE):
                while not transports or len(server._gate):
                    held = max([held, *(t.get_write_buffer_size() for t in transports)])
                    await asyncio.sleep(0.01)
            # The next question is answered when there is room for the answer.
            assert 0 < held < max(3 * length, HELD_MAX), held
        finally:
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await asking
            made.close()


@pytest.mark.acceptance
async def test_a_page_that_never_reads_is_disconnected_long_before_its_backlog_is_full(
    tmp_path: Path,
) -> None:
    narrow = aiohttp.TCPConnector(socket_factory=narrow_socket)
    async with (
        running(tmp_path, dev=True, session_timeout=1.0) as (server, url),
        aiohttp.ClientSession(connector=narrow) as deaf,
        aiohttp.ClientSession() as http,
    ):
        assert server.service is not None
        alice = await join(deaf, url, "alice", "r1")
        assert alice._conn is not None
        assert alice._conn.transport is not None
        alice._conn.transport.pause_reading()

        async def speak() -> None:
            # She goes on to say that she is alive. For that her kernel is asked whether she reads
            # now ever more seldom, and this takes longer than the timeout.
            while True:
                await alice.send_str(json.dumps({"type": "heartbeat"}))
                await asyncio.sleep(0.2)

        speaking = asyncio.create_task(speak())
        try:
            for number in range(40):
                bob = await join(http, url, f"bob {number}", "r1")
                await bob.close()
            async with asyncio.timeout(DEADLINE):
                while server.service.participant_count:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        finally:
            speaking.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await speaking
