import asyncio
import contextlib
import json
import logging
import random
import socket
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from signaling.auth.access_token import mint_access_token
from signaling.edge import ClientFinder, ConnectionGate
from signaling.rest import body

from .site import ACCOUNT, KEY, basic, running

DEADLINE = 20.0
PROXY = {"trusted_proxies": ["127.0.0.1/32"]}


async def ask(
    http: aiohttp.ClientSession,
    url: str,
    *,
    key: tuple[str, str] | None = KEY,
    source: str | None = None,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Mapping[str, str], Any]:
    sent = dict(headers or {}) | ({} if source is None else {"X-Forwarded-For": source})
    sent |= {} if key is None else basic(key)
    async with http.request(method, url, headers=sent) as answer:
        text = await answer.text()
        return answer.status, answer.headers, json.loads(text) if text.startswith("{") else text


async def test_wrong_passwords_slow_an_address_down(tmp_path: Path) -> None:
    async with (
        running(tmp_path, refused_logins_per_address=5, **PROXY) as (_, url),
        aiohttp.ClientSession() as http,
    ):
        rooms, wrong = f"{url}/v1/Rooms", (ACCOUNT.api_key_sid, "wrong")
        for _ in range(5):
            status, _, answer = await ask(http, rooms, key=wrong, source="192.0.2.1")
            assert (status, answer["code"]) == (401, 20003)
        # Even the right password is not looked at now: else guessing would go on.
        status, headers, answer = await ask(http, rooms, source="192.0.2.1")
        assert (status, answer["code"], answer["status"]) == (429, 20429, 429)
        assert answer.keys() == {"code", "message", "more_info", "status"}
        assert 1 <= int(headers["Retry-After"]) <= 12
        # WHIP tells it in its own words, and the page is nobody's secret.
        status, headers, answer = await ask(
            http, f"{url}/whip/r", method="POST", source="192.0.2.1"
        )
        assert (status, headers["Content-Type"]) == (429, "application/problem+json")
        assert (answer["status"], answer["code"]) == (429, 20429)
        assert "Retry-After" in headers
        assert (await ask(http, f"{url}/page/room.css", source="192.0.2.1"))[0] == 200
        # Others do not suffer.
        assert (await ask(http, rooms, source="192.0.2.2"))[0] == 200
        assert (await ask(http, rooms, source="192.0.2.1"))[0] == 429
        assert (await ask(http, f"{url}/livez", source="192.0.2.1"))[0] == 200


async def test_a_key_that_asks_too_often_is_told_when_to_ask_again(tmp_path: Path) -> None:
    async with (
        running(tmp_path, requests_per_key=3) as (_, url),
        aiohttp.ClientSession() as http,
    ):
        answers = [await ask(http, f"{url}/v1/Rooms") for _ in range(5)]
        assert [status for status, _, _ in answers].count(429) >= 1
        status, headers, answer = answers[-1]
        assert (status, answer["code"], headers["Retry-After"]) == (429, 20429, "1")
        # The account's own password is another key, and strangers have none to be counted.
        own = (ACCOUNT.account_sid, ACCOUNT.auth_token)
        assert (await ask(http, f"{url}/v1/Rooms", key=own))[0] == 200
        assert (await ask(http, f"{url}/v1/Rooms", key=("SK", "x")))[0] == 401


async def test_sockets_and_sessions_of_an_address_are_counted(tmp_path: Path) -> None:
    async with (
        running(tmp_path, joins_per_address=4, **PROXY) as (_, url),
        aiohttp.ClientSession() as http,
    ):
        source = {"X-Forwarded-For": "2001:db8::1"}
        for _ in range(3):
            await (await http.ws_connect(f"{url}/signaling", headers=source)).close()
        token = mint_access_token(
            account_sid=ACCOUNT.account_sid,
            key_sid=ACCOUNT.api_key_sid,
            secret=ACCOUNT.api_key_secret,
            identity="alice",
            room=None,
            now=datetime.now(UTC),
        )
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        neighbour = "2001:db8::2"
        status, _, _ = await ask(
            http, f"{url}/whip/r", key=None, method="POST", headers=headers, source=neighbour
        )
        assert status == 400
        status, _, _ = await ask(
            http, f"{url}/whip/r", key=None, method="POST", headers=headers, source=neighbour
        )
        assert status == 429
        with pytest.raises(aiohttp.WSServerHandshakeError, match="429"):
            await http.ws_connect(f"{url}/signaling", headers=source)
        other = {"X-Forwarded-For": "2001:db8:0:1::1"}
        await (await http.ws_connect(f"{url}/signaling", headers=other)).close()


async def test_all_requests_of_an_address_are_counted(tmp_path: Path) -> None:
    async with (
        running(tmp_path, requests_per_address=2, **PROXY) as (_, url),
        aiohttp.ClientSession() as http,
    ):
        answers = [await ask(http, f"{url}/nothing", source="192.0.2.1") for _ in range(4)]
        assert {status for status, _, _ in answers} == {404, 429}
        probes = [await ask(http, f"{url}/livez", source="192.0.2.1") for _ in range(20)]
        assert {status for status, _, _ in probes} == {200}


async def test_headers_of_strangers_are_not_believed(tmp_path: Path) -> None:
    async with (
        running(tmp_path, refused_logins_per_address=3) as (_, url),
        aiohttp.ClientSession() as http,
    ):
        found = []
        for number in range(6):
            source = f"192.0.2.{number}"
            found.append((await ask(http, f"{url}/v1/Rooms", key=("SK", "x"), source=source))[0])
        assert found == [401, 401, 401, 429, 429, 429]


async def test_proxies_tell_the_scheme_of_links(tmp_path: Path) -> None:
    for given, scheme in ((PROXY, "https"), ({}, "http")):
        async with running(tmp_path, **given) as (_, url), aiohttp.ClientSession() as http:
            for headers in (
                {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"},
                {"Forwarded": "for=192.0.2.1;proto=https"},
            ):
                _, _, answer = await ask(http, f"{url}/v1/Rooms", headers=headers)
                link = answer["meta"]["url"]
                assert link.startswith(f"{scheme}://{url.removeprefix('http://')}/v1/Rooms?")


async def test_connections_of_an_address_are_bounded(tmp_path: Path) -> None:
    async with running(tmp_path, connections_per_address=10) as (server, url):
        port = server.http_port
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
        async with asyncio.timeout(DEADLINE):
            # Those ten are counted once they were accepted, which a request on the last one shows.
            reader, writer = held[-1]
            writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200" in await reader.readline()
            for _ in range(5):
                with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as refused:
                    refused.setblocking(False)
                    with contextlib.suppress(ConnectionError):
                        assert await asyncio.get_running_loop().sock_recv(refused, 1) == b""
            assert server._gate.refused == 5
            for _, writer in held:
                writer.close()
            # Their places are free again.
            while len(server._gate):  # noqa: ASYNC110 - nothing else tells
                await asyncio.sleep(0.01)
        async with aiohttp.ClientSession() as http:
            assert (await ask(http, f"{url}/livez", key=None))[0] == 200


def test_gate_counts_what_is_open() -> None:
    rng = random.Random(3)
    gate = ConnectionGate(most=3, finder=ClientFinder())
    inside: list[tuple[str, Any]] = []
    for _ in range(2000):
        if inside and rng.random() < 0.5:
            _, leave = inside.pop(rng.randrange(len(inside)))
            leave()
            leave()
        else:
            address = f"192.0.2.{rng.randrange(5)}"
            found = gate.enter(address)
            count = sum(1 for there, _ in inside if there == address)
            assert (found is None) == (count >= 3)
            if found is not None:
                inside.append((address, found))
    for _, leave in inside:
        leave()
    assert len(gate) == 0


MEDIA_TYPES = {
    "/v1/Rooms": "application/x-www-form-urlencoded",
    "/whip/r": "application/sdp",
    "/dev/token": "application/json",
}


def beginning(path: str) -> bytes:
    """Return a request that is good as far as it goes, without most of its body."""
    token = mint_access_token(
        account_sid=ACCOUNT.account_sid,
        key_sid=ACCOUNT.api_key_sid,
        secret=ACCOUNT.api_key_secret,
        identity="alice",
        room=None,
        now=datetime.now(UTC),
    )
    authorization = basic(KEY)["Authorization"] if path.startswith("/v1") else f"Bearer {token}"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n"
        f"Content-Type: {MEDIA_TYPES[path]}\r\nContent-Length: 100\r\n\r\nUnique"
    )
    return head.encode()


@pytest.mark.parametrize("path", ["/v1/Rooms", "/whip/r"])
async def test_a_body_that_does_not_come_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(body, "BODY_TIMEOUT", 0.2)
    async with running(tmp_path) as (server, _), asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.http_port)
        writer.write(beginning(path))
        assert b" 408 " in await reader.readline()
        answer = (await reader.read()).decode()
        assert "connection: close" in answer.lower()
        writer.close()


UPGRADE = (
    b"GET /signaling HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.mark.parametrize("path", [*MEDIA_TYPES, "/signaling"])
async def test_who_leaves_before_the_answer_is_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    with capture_logs() as logs:
        async with running(tmp_path, dev=True) as (server, url):
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", server.http_port)) as client:
                    client.send(UPGRADE if path == "/signaling" else beginning(path))
                    if path != "/signaling":
                        await asyncio.sleep(0.02)  # so that the server waits for the rest
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            async with aiohttp.ClientSession() as http:
                await ask(http, f"{url}/livez", key=None)
    assert [line for line in logs if line["log_level"] == "error"] == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_who_sends_no_whole_request_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signaling.app.HTTP_IDLE_TIMEOUT", 0.5)
    async with running(tmp_path) as (server, _), asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.http_port)

        async def trickle() -> None:
            writer.write(b"GET / HTTP/1.1\r\n")
            while True:
                writer.write(b"X-A: b\r\n")
                await asyncio.sleep(0.05)

        sending = asyncio.create_task(trickle())
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        sending.cancel()
        writer.close()
