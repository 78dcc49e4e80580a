"""aiortc publishes by WHIP and watches by WHEP; its own encoders, decoders and clocks judge us."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from aiohttp import hdrs
from aiortc import RTCPeerConnection, RTCSessionDescription

from tests.support.clients import Clients, access_token

from .aiortc_media import NumberedCamera, ToneMicrophone, number_in, power_at

TONE = 600


class Connections:
    """Makes aiortc's connections and the HTTP exchanges for them."""

    def __init__(self, clients: Clients, room: str) -> None:
        self._clients = clients
        self._room = room
        self._made: list[RTCPeerConnection] = []
        self._tokens: dict[str, str] = {}

    def make(self) -> Any:
        """Return a new connection."""
        connection = RTCPeerConnection()
        self._made.append(connection)
        return connection

    async def start(self, connection: Any, protocol: str, identity: str) -> str:
        """Offer at an endpoint, apply the answer, and return the resource's URL."""
        await connection.setLocalDescription(await connection.createOffer())
        async with self._clients.http.post(
            f"{self._clients.url}/{protocol}/{self._room}",
            data=connection.localDescription.sdp,
            headers={**self.bearer(identity), hdrs.CONTENT_TYPE: "application/sdp"},
        ) as answer:
            body = await answer.text()
            assert answer.status == 201, body
            assert answer.content_type == "application/sdp"
            location = answer.headers[hdrs.LOCATION]
        await connection.setRemoteDescription(RTCSessionDescription(body, "answer"))
        assert location.startswith(f"/{protocol}/{self._room}/")
        return self._clients.url + location

    def bearer(self, identity: str) -> dict[str, str]:
        """Return the header that says who somebody is, the same each time."""
        token = self._tokens.setdefault(
            identity, access_token(self._clients.account, identity, self._room)
        )
        return {hdrs.AUTHORIZATION: f"Bearer {token}"}

    async def close(self) -> None:
        """Close all."""
        for connection in self._made:
            await connection.close()


@pytest_asyncio.fixture(loop_scope="session")
async def connections(clients: Clients, room: str) -> AsyncIterator[Connections]:
    """Make connections that are closed in the end."""
    made = Connections(clients, room)
    yield made
    await made.close()


async def test_numbered_pictures_and_a_tone_arrive(
    clients: Clients, connections: Connections, room: str
) -> None:
    publisher = connections.make()
    publisher.addTrack(NumberedCamera())
    publisher.addTrack(ToneMicrophone(TONE))
    published_at = await connections.start(publisher, "whip", "camera")

    viewer = connections.make()
    tracks: dict[str, Any] = {}
    viewer.on("track", lambda track: tracks.setdefault(track.kind, track))
    for kind in ("audio", "video"):
        viewer.addTransceiver(kind, direction="recvonly")
    watched_at = await connections.start(viewer, "whep", "viewer")

    async with asyncio.timeout(20):
        numbers, heard = await asyncio.gather(
            watch(tracks["video"], 60), listen(tracks["audio"], TONE, 50)
        )
    assert numbers == sorted(set(numbers)), "pictures come in order, each once"
    # What was sent is what was seen, but for pictures that aiortc could not decode in time.
    assert numbers[-1] - numbers[0] <= 1.2 * len(numbers)
    assert heard >= 45

    # For the SDK such a publisher is an ordinary participant; its media come to our client too.
    guest = clients.participant("guest", room, publishes=False)
    await guest.join()
    assert sorted(p.identity for p in guest.participants.values()) == ["camera", "viewer"]
    await guest.peer.wait_connected()
    await guest.wait_subscribed(2)
    streams = guest.peer.core.media.inbound
    await guest.peer.wait_until(
        lambda: all(stream.counters.packets > 30 for stream in streams.values())
    )
    assert [stream.last_problem for stream in streams.values()] == ["", ""]

    headers = connections.bearer("camera")
    async with clients.http.delete(published_at, headers=headers) as answer:
        assert answer.status == 200
    await guest.wait_until(
        lambda: [p.identity for p in guest.participants.values()] == ["viewer"], seconds=2
    )
    async with clients.http.delete(published_at, headers=headers) as answer:
        assert answer.status == 404
    async with clients.http.delete(watched_at, headers=connections.bearer("viewer")) as answer:
        assert answer.status == 200
    await guest.wait_until(lambda: not guest.participants, seconds=2)
    await guest.leave()


async def watch(track: Any, count: int) -> list[int]:
    """Return the numbers in so many pictures."""
    numbers: list[int] = []
    while len(numbers) < count:
        number = number_in(await track.recv())
        if number is not None:
            numbers.append(number)
    return numbers


async def listen(track: Any, hertz: int, count: int) -> int:
    """Return in how many of the last ``count`` frames there is little but the tone."""
    # The first ones may come from before the decoder has settled.
    for _ in range(10):
        await track.recv()
    heard = 0
    for _ in range(count):
        heard += power_at(await track.recv(), hertz) > 0.8
    return heard


async def test_a_publisher_that_dies_is_gone(
    clients: Clients, connections: Connections, room: str
) -> None:
    guest = clients.participant("guest", room, publishes=False)
    await guest.join()
    publisher = connections.make()
    publisher.addTrack(NumberedCamera())
    await connections.start(publisher, "whip", "camera")
    await guest.wait_subscribed(1)
    streams = guest.peer.core.media.inbound.values()
    await guest.peer.wait_until(lambda: any(stream.counters.packets for stream in streams))
    # aiortc says close_notify; there is no DELETE.
    await publisher.close()
    await guest.wait_until(lambda: not guest.participants, seconds=15)
    assert guest.subscribed == {}
    await guest.leave()
