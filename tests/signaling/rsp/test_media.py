"""Clients that speak RSP with aiortc's media, through the real media node."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from router.node import MediaNode, MediaNodeConfig
from router.sdp.description import parse_session_description
from signaling.rsp import SignalingHandler
from signaling.service import RoomService, ServiceConfig, SystemClock
from tests.signaling.support import ACCOUNT_SID, TOKENS, open_store, token

pytestmark = pytest.mark.interop


class Participant:
    """A page: a WebSocket, a peer connection, and what joins the two."""

    def __init__(self, websocket: ClientWebSocketResponse, identity: str) -> None:
        self.websocket = websocket
        self.identity = identity
        self.pc = RTCPeerConnection()
        self.received: dict[str, Any] = {}
        self.channels: dict[str, asyncio.Queue[str | bytes]] = {}
        self.subscribed: dict[str, str] = {}
        self.participants: dict[str, dict[str, Any]] = {}
        self.session = ""
        self.revision = 1
        self.described = 1
        self.offers_answered = 0
        self.declared: list[dict[str, Any]] = []
        self.changed = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self.pc.on("track", self._on_track)
        self.pc.on("datachannel", self._on_channel)

    def _on_track(self, track: Any) -> None:
        transceiver = next(t for t in self.pc.getTransceivers() if t.receiver.track is track)
        self.received[transceiver.mid] = track
        self.changed.set()

    def _on_channel(self, channel: Any) -> None:
        queue = self.channels[channel.label] = asyncio.Queue()
        channel.on("message", queue.put_nowait)
        self.changed.set()

    async def join(self, *kinds: str) -> None:
        for kind in kinds:
            if kind == "data":
                continue
            self.pc.addTrack(AudioStreamTrack() if kind == "audio" else VideoStreamTrack())
        for kind in {"audio", "video"} - set(kinds):
            self.pc.addTransceiver(kind, direction="recvonly")
        await self.pc.setLocalDescription(await self.pc.createOffer())
        sent = parse_session_description(self.pc.localDescription.sdp)
        self.declared = [
            {"id": media.msids[0].track_id, "kind": media.kind, "name": media.kind}
            for media in sent.media
            if media.kind in kinds
        ]
        await self.send(
            {
                "type": "hello",
                "id": "1",
                "timeout": 5000,
                "version": 2,
                "body": {
                    "type": "connect",
                    "version": 2,
                    "name": "r1",
                    "token": token(self.identity, now=SystemClock().utc_now()),
                    "participant": {"revision": 1, "tracks": self.declared},
                    "peer_connections": [self._description()],
                },
            }
        )
        self._reader = asyncio.create_task(self._read())
        await self.until(lambda: bool(self.session))

    async def publish_data(self, label: str) -> Any:
        """Open a channel as a data track."""
        channel = self.pc.createDataChannel(label)
        self.declared.append({"id": label, "kind": "data", "name": "data"})
        await self.update()
        self.described += 1
        await self.pc.setLocalDescription(await self.pc.createOffer())
        await self.update(peer_connections=[self._description()])
        return channel

    async def update(self, **members: Any) -> None:
        self.revision += 1
        body = {
            "type": "update",
            "version": 2,
            "session": self.session,
            "participant": {"revision": self.revision, "tracks": self.declared},
        }
        await self.send({"type": "msg", "body": body | members})

    async def mute(self, kind: str) -> None:
        """Declare a track as muted; its media goes on."""
        for track in self.declared:
            if track["kind"] == kind:
                track["enabled"] = False
        await self.update()

    async def send(self, frame: dict[str, Any]) -> None:
        await self.websocket.send_str(json.dumps(frame))

    def _description(self) -> dict[str, Any]:
        local = self.pc.localDescription
        description = {"type": local.type, "revision": self.described, "sdp": local.sdp}
        return {"id": f"pc-{self.identity}", "description": description}

    async def _read(self) -> None:
        async for message in self.websocket:
            if message.type is WSMsgType.TEXT:
                frame = json.loads(message.data)
                if frame["type"] == "msg":
                    await self._take(frame["body"])
                    self.changed.set()

    async def _take(self, body: dict[str, Any]) -> None:
        assert body["type"] in ("connected", "update"), body
        self.session = body["session"]
        for participant in body.get("participants", []):
            self.participants[participant["identity"]] = participant
        if "subscribed" in body:
            self.subscribed = {t["sid"]: t["id"] for t in body["subscribed"]["tracks"]}
        for entry in body.get("peer_connections", []):
            description = entry.get("description")
            if description is not None:
                await self._describe(description)

    async def _describe(self, description: dict[str, Any]) -> None:
        remote = RTCSessionDescription(sdp=description["sdp"], type=description["type"])
        if description["type"] == "offer":
            await self.pc.setRemoteDescription(remote)
            self.described = description["revision"]
            await self.pc.setLocalDescription(await self.pc.createAnswer())
            self.offers_answered += 1
            await self.update(peer_connections=[self._description()])
        elif description["revision"] == self.described:
            await self.pc.setRemoteDescription(remote)

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(15.0):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def tracks_of(self, identity: str) -> dict[str, str]:
        """Return the SIDs of another's tracks by kind."""
        seen = self.participants.get(identity, {"tracks": []})
        return {track["kind"]: track["sid"] for track in seen["tracks"]}

    def media_of(self, identity: str, kind: str) -> Any:
        """Return the media of another's track, found as the SDK finds it, or None."""
        receiver_id = self.subscribed.get(self.tracks_of(identity).get(kind, ""))
        if receiver_id is None:
            return None
        if kind == "data":
            return self.channels.get(receiver_id)
        remote = parse_session_description(self.pc.remoteDescription.sdp)
        mid = next(
            (m.mid for m in remote.media if m.msids and m.msids[0].track_id == receiver_id), None
        )
        return self.received.get(mid or "")

    async def hears_and_sees(self, identity: str, *kinds: str) -> None:
        """Wait until media of another arrives on the sections that belong to its tracks."""
        for kind in kinds:
            await self.until(lambda kind=kind: self.media_of(identity, kind) is not None)
            await asyncio.wait_for(self.media_of(identity, kind).recv(), 15.0)

    async def close(self) -> None:
        await self.websocket.close(code=1001)
        if self._reader is not None:
            await self._reader
        await self.pc.close()


class Site:
    def __init__(self, http: TestClient[Any, Any], service: RoomService, node: MediaNode) -> None:
        self.http = http
        self.service = service
        self.node = node
        self.pages: list[Participant] = []

    async def page(self, identity: str) -> Participant:
        page = Participant(await self.http.ws_connect("/signaling"), identity)
        self.pages.append(page)
        return page


@asynccontextmanager
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    config = MediaNodeConfig(bind_address="127.0.0.1", port=0, addresses=("127.0.0.1",))
    node = MediaNode(config, rng=random.SystemRandom())
    await node.start()
    store = await open_store(tmp_path)
    rng = random.SystemRandom()
    settings = ServiceConfig(account_sid=ACCOUNT_SID, page_closed_grace=0.0)
    service = RoomService(node=node, store=store, config=settings, rng=rng)
    await service.start()
    handler = SignalingHandler(service=service, tokens=TOKENS, rng=rng)
    app = web.Application()
    app.router.add_get("/signaling", handler.handle)
    try:
        async with TestClient(TestServer(app)) as http:
            s = Site(http, service, node)
            yield s
            for page in s.pages:
                await page.close()
            async with asyncio.timeout(10.0):
                while service.participant_count:  # noqa: ASYNC110 - nothing else tells it
                    await asyncio.sleep(0.01)
            occupancy = node.occupancy()
            assert (occupancy["peers"], occupancy["sources"]) == (0, 0)
            await service.close()
    finally:
        await node.close()
        await store.close()


async def test_two_participants_hear_and_see_each_other(tmp_path: Path) -> None:
    async with site(tmp_path) as s:
        alice, bob = await s.page("alice"), await s.page("bob")
        await alice.join("audio", "video")
        await bob.join("audio", "video")
        await alice.hears_and_sees("bob", "audio", "video")
        await bob.hears_and_sees("alice", "audio", "video")


async def test_more_participants_than_slots_are_offered_more_sections(tmp_path: Path) -> None:
    async with site(tmp_path) as s:
        pages = [await s.page(name) for name in ("alice", "bob", "carol", "dave")]
        for page in pages:
            await page.join("audio", "video")
        for page in pages:
            for other in pages:
                if other is not page:
                    await page.hears_and_sees(other.identity, "audio", "video")
        # One block of slots serves them all: who comes within it costs no exchange.
        assert [page.offers_answered for page in pages] == [1, 1, 1, 1]


async def test_data_reaches_the_others_in_both_kinds(tmp_path: Path) -> None:
    async with site(tmp_path) as s:
        alice, bob = await s.page("alice"), await s.page("bob")
        await alice.join("audio")
        await bob.join("audio")
        channel = await alice.publish_data("messages")
        await bob.until(lambda: bob.media_of("alice", "data") is not None)
        queue = bob.media_of("alice", "data")
        channel.send("text")
        channel.send(b"\0\1\2")
        assert await asyncio.wait_for(queue.get(), 10.0) == "text"
        assert await asyncio.wait_for(queue.get(), 10.0) == b"\0\1\2"
