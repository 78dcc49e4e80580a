"""Clients that speak the wire format of the SDK, without a network."""

import itertools
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from signaling.rsp.connection import RspConnection
from signaling.rsp.link import RspLink
from signaling.service import ServiceConfig
from tests.signaling.support import TOKENS, ServiceHarness, running_service, settle, token

_attempts = itertools.count(1)


def track(track_id: str, kind: str = "audio", **members: Any) -> dict[str, Any]:
    """Return a track as a client lists it."""
    return {
        "id": track_id,
        "kind": kind,
        "name": f"name of {track_id}",
        "enabled": True,
        "priority": "standard",
    } | members


def connect_body(
    identity: str,
    room: str | None = "r1",
    *,
    tracks: tuple[dict[str, Any], ...] = (),
    sdp: str | None = "",
    automatic_subscription: bool = True,
    access_token: str | None = None,
    channels: tuple[str, ...] = ("active_speaker",),
) -> dict[str, Any]:
    """Return the ``connect`` of an SDK; its offer sends the audio and video tracks."""
    if sdp == "":
        sdp = sdp_of(*tracks)
    rule = {"type": "include" if automatic_subscription else "exclude", "all": True}
    return {
        "type": "connect",
        "version": 2,
        "name": room,
        "format": "unified",
        "token": token(identity) if access_token is None else access_token,
        "ice_servers": "acquire",
        "participant": {"revision": 1, "tracks": list(tracks), "media_warnings": ["recordings"]},
        "peer_connections": []
        if sdp is None
        else [
            {"id": f"pc-{identity}", "description": {"type": "offer", "revision": 1, "sdp": sdp}}
        ],
        "publisher": {"name": "twilio-video.js", "sdk_version": "2.36.0", "user_agent": "test"},
        "media_signaling": {key: {"transports": [{"type": "data-channel"}]} for key in channels},
        "subscribe": {"rules": [rule], "revision": 1},
    }


def sdp_of(*tracks: dict[str, Any]) -> str:
    """Return the fake description of a peer that sends these tracks."""
    return " ".join(["sdp", *(f"{t['kind']}:{t['id']}" for t in tracks if t["kind"] != "data")])


class Client:
    """One page: a socket at a time, and everything that it was told."""

    def __init__(self, world: "World", identity: str) -> None:
        self.world = world
        self.identity = identity
        self.connection: RspConnection | None = None
        self.frames: list[dict[str, Any]] = []
        self.session = ""
        self.sid = ""
        self.room_sid = ""
        self.revision = 1
        self.tracks: list[dict[str, Any]] = []
        self.description: dict[str, Any] | None = None
        self._read = 0

    # The socket.

    def open(self) -> None:
        """Open a new socket."""
        self.connection = RspConnection(
            service=self.world.harness.service,
            tokens=TOKENS,
            sessions=self.world.sessions,
            rng=self.world.rng,
            transmit=lambda: None,
        )

    @property
    def socket(self) -> RspConnection:
        assert self.connection is not None
        return self.connection

    async def send_frame(self, frame: dict[str, Any] | str) -> None:
        """Send one frame of the connection layer."""
        await self.socket.receive_text(frame if isinstance(frame, str) else json.dumps(frame))
        await settle()

    async def hello(self, body: dict[str, Any] | None = None, **members: Any) -> None:
        """Open a socket and shake hands."""
        self.open()
        frame: dict[str, Any] = {
            "type": "hello",
            "id": f"attempt-{next(_attempts)}",
            "timeout": 5000,
            "version": 2,
        }
        await self.send_frame(frame | ({} if body is None else {"body": body}) | members)

    async def send(self, body: dict[str, Any]) -> None:
        """Send a message of the room layer."""
        await self.send_frame({"type": "msg", "body": body})

    async def drop(self, code: int = 1006) -> None:
        """Lose the socket."""
        self.collect()
        self.socket.connection_lost(code)
        self.connection = None
        await settle()

    def collect(self) -> None:
        """Take what the server sent."""
        if self.connection is not None:
            self.frames += [json.loads(f) for f in self.connection.tcmp.frames_to_send()]

    def take_frames(self) -> list[dict[str, Any]]:
        """Return all frames that have not been looked at, and forget them."""
        self.collect()
        frames, self.frames = self.frames, []
        return frames

    def take(self) -> list[dict[str, Any]]:
        """Return the messages of the room layer that have not been looked at."""
        return [frame["body"] for frame in self.take_frames() if frame["type"] == "msg"]

    # The session.

    async def connect(
        self, room: str | None = "r1", *tracks: dict[str, Any], **options: Any
    ) -> dict[str, Any]:
        """Join a room as the SDK does; return ``connected``."""
        self.tracks = list(tracks)
        await self.hello({"type": "ice", "version": 1, "edge": "roaming", "token": token("x")})
        await self.send(connect_body(self.identity, room, tracks=tracks, **options))
        welcome, iced, connected, *self.frames = self.take_frames()
        assert welcome == {"type": "welcome", "negotiatedTimeout": 5000}
        assert iced["body"]["type"] == "iced"
        body: dict[str, Any] = connected["body"]
        assert body["type"] == "connected", body
        self.session = body["session"]
        self.sid, self.room_sid = body["participant"]["sid"], body["sid"]
        return body

    async def update(self, *tracks: dict[str, Any], **members: Any) -> None:
        """Publish exactly these tracks."""
        self.tracks = list(tracks)
        self.revision += 1
        await self.send(self.update_body() | members)

    def update_body(self) -> dict[str, Any]:
        """Return an ``update``; the whole participant is in every one."""
        return {
            "type": "update",
            "version": 2,
            "session": self.session,
            "participant": {"revision": self.revision, "tracks": self.tracks},
        }

    async def describe(self, kind: str, revision: int, sdp: str | None = None) -> None:
        """Send a description."""
        self.description = {"type": kind, "revision": revision}
        if sdp is not None:
            self.description["sdp"] = sdp
        entry = {"id": f"pc-{self.identity}", "description": self.description}
        await self.send(self.update_body() | {"peer_connections": [entry]})

    async def resume(self, **members: Any) -> None:
        """Come back on a new socket."""
        entry = {"id": f"pc-{self.identity}", "description": self.description}
        body = {
            "type": "sync",
            "version": 2,
            "name": "r1",
            "session": self.session,
            "token": token(self.identity),
            "participant": {"revision": self.revision, "tracks": self.tracks},
            "peer_connections": [entry] if self.description is not None else [],
        }
        await self.hello(body | members)


class World:
    """A service and its clients."""

    def __init__(self, harness: ServiceHarness) -> None:
        self.harness = harness
        self.sessions: dict[str, RspLink] = {}
        self.rng = random.Random(2)
        self.clients: list[Client] = []

    def client(self, identity: str) -> Client:
        """Return a client that has no socket yet."""
        client = Client(self, identity)
        self.clients.append(client)
        return client

    async def advance(self, seconds: float) -> None:
        """Let time pass for everybody."""
        await self.harness.advance(seconds)
        for client in self.clients:
            if client.connection is not None:
                client.connection.handle_timer()
        await settle()


@asynccontextmanager
async def world(config: ServiceConfig | None = None, *, slots: int = 1) -> AsyncIterator[World]:
    """Start a service for some clients."""
    async with running_service(config, slots=slots) as harness:
        yield World(harness)


def descriptions(bodies: list[dict[str, Any]]) -> list[tuple[str, int, str | None]]:
    """Return all descriptions in some messages: type, revision, SDP."""
    return [
        (d["type"], d["revision"], d.get("sdp"))
        for body in bodies
        for entry in body.get("peer_connections", [])
        if (d := entry.get("description")) is not None
    ]


def merged(bodies: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a client knows after some messages: the last of each member."""
    state: dict[str, Any] = {}
    for body in bodies:
        state |= body
    return state
