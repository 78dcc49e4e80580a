"""A participant that joins a room over signaling, as the SDK in a page does (RSP version 2)."""

import asyncio
import contextlib
import json
import random
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from router.errors import RemoteProtocolError

from .description import Section
from .peer import Peer
from .synthetic import Encoder

HEARTBEAT_MARGIN = 0.2
"""Seconds before the negotiated interval ends at which the client says something."""
MISSED_HEARTBEATS = 3
CLOSE_NORMAL = 1000
CLOSE_LOST = 3001

Message = dict[str, Any]


class SignalingFailed(Exception):
    """
    The server ended the session or refused it.

    :param code: Of an ``error`` message; 0 for ``disconnected`` and for a socket that closed.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code


@dataclass(slots=True)
class LocalTrack:
    """Something that the participant publishes."""

    track_id: str
    kind: str
    name: str
    enabled: bool = True
    section: Section | None = None
    """None for data."""


@dataclass(slots=True)
class RemoteTrack:
    """A track of another participant."""

    sid: str
    name: str
    kind: str
    enabled: bool


@dataclass(slots=True)
class RemoteParticipant:
    """Another participant, as the server describes it."""

    sid: str
    identity: str
    state: str
    revision: int
    tracks: dict[str, RemoteTrack] = field(default_factory=dict)


class RspClient:
    """
    One participant. The peer's connection carries its media; this object negotiates it.

    :param url: ``ws://.../signaling``.
    :param room: Name of the room, or None for the token's.
    :param heartbeat: Seconds between heartbeats to ask for.
    :param channels: Keys of the media-signaling channels to ask for.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        peer: Peer,
        *,
        url: str,
        token: str,
        room: str | None,
        rng: random.Random,
        heartbeat: float = 5.0,
        channels: tuple[str, ...] = (),
    ) -> None:
        self.peer = peer
        self.session: str | None = None
        self.room_sid = ""
        self.participant_sid = ""
        self.participants: dict[str, RemoteParticipant] = {}
        """By SID; those that left are gone."""
        self.published: dict[str, Message] = {}
        """What the server says of each local track, by track id."""
        self.subscribed: dict[str, str] = {}
        """Receiver id by track SID."""
        self.channels: dict[str, str] = {}
        """Labels of the granted media-signaling channels, by key."""
        self.offers_received = 0
        self.offers_sent = 0
        self.failure: SignalingFailed | None = None
        self.tracks: dict[str, LocalTrack] = {}
        self._http = http
        self._url = url
        self._token = token
        self._room = room
        self._rng = rng
        self._channels_wanted = channels
        self._websocket: aiohttp.ClientWebSocketResponse | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._welcomed = False
        self._interval = heartbeat
        self._said_at = 0.0
        self._heard_at = 0.0
        self._participant_revision = 1
        self._pc_id = self._uuid()
        self._revision = 0
        self._stable = 0
        self._pending_offer = False
        self._wants_offer = False
        self._revisions = {"published": 0, "subscribed": 0}

    # What the user does.

    def publish(self, encoder: Encoder, *, name: str | None = None) -> LocalTrack:
        """Publish what an encoder makes."""
        track_id = self._uuid()
        section = self.peer.core.publish(encoder, track_id, asyncio.get_running_loop().time())
        return self._add(LocalTrack(track_id, section.kind, name or track_id, section=section))

    def publish_data(self, *, name: str | None = None) -> LocalTrack:
        """Publish a data track; open its channel by its id when there are data channels."""
        track_id = self._uuid()
        added = not self.peer.core.descriptions.has_data_channels()
        if added:
            self.peer.core.add_section("application")
        return self._add(LocalTrack(track_id, "data", name or track_id), negotiate=added)

    def unpublish(self, track: LocalTrack) -> None:
        """Stop publishing."""
        del self.tracks[track.track_id]
        if track.section is not None:
            self.peer.core.unpublish(track.section)
        self._participant_changed()
        if self.session is not None and track.section is not None:
            self._negotiate()

    def set_enabled(self, track: LocalTrack, *, enabled: bool) -> None:
        """Mute or unmute, as signaling says it."""
        track.enabled = enabled
        self._participant_changed()

    async def join(self, *, seconds: float = 10.0) -> None:
        """
        Connect, and wait for ``connected``.

        :raises SignalingFailed: when the server refuses.
        """
        self.peer.core.descriptions.section_to_send("audio")
        self.peer.core.descriptions.section_to_send("video")
        await self._open({"type": "ice", "version": 1, "edge": "roaming", "token": self._token})
        await self.wait_until(lambda: self.session is not None, seconds=seconds)

    async def leave(self) -> None:
        """Disconnect in good order, signaling and media."""
        if self.session is not None and self.failure is None:
            await self._send_body({"type": "disconnect", "version": 2, "session": self.session})
            await self._send({"type": "bye"})
        await self._close_socket(CLOSE_NORMAL)
        self.peer.close()

    async def vanish(self) -> None:
        """Go silent, as a machine that lost its network: the WebSocket stays open, unused."""
        self.peer.close(silently=True)
        await self._stop_tasks()

    def abort_socket(self) -> None:
        """Break the WebSocket's connection, without a word on it."""
        if self._websocket is not None:
            self._websocket.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    async def resume(self, *, seconds: float = 10.0) -> None:
        """Lose the WebSocket and come back on a new one with ``sync``."""
        await self._stop_tasks()
        if self._websocket is not None:
            # Not a close frame: with 1000 it would end the session.
            self.abort_socket()
            await self._websocket.close()
        synced = self._synced_count
        await self._open(
            {
                "type": "sync",
                "version": 2,
                "name": self._room,
                "session": self.session,
                "token": self._token,
                "participant": self._participant(),
                "peer_connections": [{"id": self._pc_id}],
            }
        )
        await self.wait_until(lambda: self._synced_count > synced, seconds=seconds)

    def restart_ice(self) -> None:
        """Offer with new ICE credentials."""
        self.peer.core.restart_ice(asyncio.get_running_loop().time())
        self._negotiate()

    async def wait_until(self, condition: Callable[[], bool], *, seconds: float = 10.0) -> None:
        """
        Wait for something that signaling makes true.

        :raises SignalingFailed: when the session ends first.
        """
        async with asyncio.timeout(seconds):
            while not condition():
                if self.failure is not None:
                    raise self.failure
                self._changed.clear()
                await self._changed.wait()

    async def wait_subscribed(self, count: int, *, seconds: float = 10.0) -> None:
        """Wait until so many tracks are subscribed and their sections are negotiated."""

        def is_ready() -> bool:
            return len(self.receiver_ids()) >= count

        await self.wait_until(is_ready, seconds=seconds)

    def receiver_ids(self) -> dict[str, str]:
        """Return the receiver id of each track, by SID, of those that have a way to arrive."""
        known = {
            section.receiver_id
            for section in self.peer.core.descriptions.sections
            if section.current.receives
        }
        known.update(self.peer.channels.values())
        return {sid: rid for sid, rid in self.subscribed.items() if rid in known}

    def ssrc_of(self, track_sid: str) -> int:
        """Return the SSRC by which a subscribed track arrives."""
        receiver_id = self.subscribed[track_sid]
        for section in self.peer.core.descriptions.sections:
            if section.receiver_id == receiver_id and section.remote_ssrcs:
                return section.remote_ssrcs[0]
        raise LookupError(f"no section carries {receiver_id}")

    # The socket.

    _synced_count = 0

    async def _open(self, body: Message) -> None:
        self._welcomed = False
        self._websocket = await self._http.ws_connect(self._url, max_msg_size=1 << 20)
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        self._tasks = {loop.create_task(self._read()), loop.create_task(self._beat())}
        await self._send(
            {
                "type": "hello",
                "id": self._uuid(),
                "timeout": round(self._interval * 1000),
                "version": 2,
                "body": body,
            }
        )

    async def _close_socket(self, code: int) -> None:
        if self._websocket is not None:
            await self._websocket.close(code=code)
        await self._stop_tasks()

    async def _stop_tasks(self) -> None:
        tasks, self._tasks = self._tasks, set()
        current = asyncio.current_task()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*(t for t in tasks if t is not current), return_exceptions=True)

    async def _read(self) -> None:
        assert self._websocket is not None
        async for message in self._websocket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            self._heard_at = asyncio.get_running_loop().time()
            try:
                await self._receive(json.loads(message.data))
            except RemoteProtocolError as error:
                # What a browser would refuse: the session is of no use to a test any more.
                self.failure = SignalingFailed(0, str(error))
            self._changed.set()
        if self.failure is None:
            self.failure = SignalingFailed(0, f"socket closed: {self._websocket.close_code}")
        self._changed.set()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = self._said_at + self._interval - HEARTBEAT_MARGIN
            await asyncio.sleep(max(0.05, due - loop.time()))
            if loop.time() > self._heard_at + MISSED_HEARTBEATS * self._interval:
                self.failure = SignalingFailed(0, "heartbeats missed")
                self._changed.set()
                return
            if self._welcomed and loop.time() >= due:
                await self._send({"type": "heartbeat"})

    async def _send(self, frame: Message) -> None:
        assert self._websocket is not None
        self._said_at = asyncio.get_running_loop().time()
        # That the socket is gone is for the reader to say.
        with contextlib.suppress(ConnectionError):
            if not self._websocket.closed:
                await self._websocket.send_str(json.dumps(frame))

    async def _send_body(self, body: Message) -> None:
        await self._send({"type": "msg", "body": body})

    def _send_soon(self, body: Message) -> None:
        task = asyncio.get_running_loop().create_task(self._send_body(body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Messages.

    async def _receive(self, frame: Message) -> None:
        match frame["type"]:
            case "welcome":
                self._interval = frame["negotiatedTimeout"] / 1000
                self._welcomed = True
            case "msg":
                await self._receive_body(frame["body"])
            case "busy":
                self.failure = SignalingFailed(53006, "busy")

    async def _receive_body(self, body: Message) -> None:
        match body["type"]:
            case "iced":
                await self._send_body(self._connect())
            case "connected":
                self._room_state(body)
                self.session = body["session"]
                await self._update({"ice": self._no_candidates()})
            case "synced":
                self._room_state(body)
                gone = set(self.participants) - {item["sid"] for item in body["participants"]}
                for sid in gone:
                    del self.participants[sid]
                self._synced_count += 1
            case "update":
                self._merge(body)
            case "error":
                self.failure = SignalingFailed(body["code"], body["message"])
            case "disconnected":
                self.failure = SignalingFailed(0, f"disconnected: {body['status']}")

    def _connect(self) -> Message:
        self._pending_offer = True
        self._revision = 1
        self.offers_sent += 1
        return {
            "type": "connect",
            "version": 2,
            "name": self._room,
            "participant": self._participant(),
            "peer_connections": [
                {
                    "id": self._pc_id,
                    "description": {
                        "type": "offer",
                        "revision": 1,
                        "sdp": self.peer.create_offer(),
                    },
                }
            ],
            "ice_servers": "acquire",
            "publisher": {"name": "load", "sdk_version": "1", "user_agent": "load"},
            "format": "unified",
            "token": self._token,
            "subscribe": {"rules": [{"type": "include", "all": True}], "revision": 1},
            "media_signaling": {
                key: {"transports": [{"type": "data-channel"}]} for key in self._channels_wanted
            },
        }

    def _room_state(self, body: Message) -> None:
        self.room_sid = body["sid"]
        self.participant_sid = body["participant"]["sid"]
        self._merge(body)

    def _merge(self, body: Message) -> None:
        for item in body.get("participants", ()):
            self._merge_participant(item)
        for key, grant in body.get("media_signaling", {}).items():
            self.channels[key] = grant["transport"]["label"]
        published = self._newer(body, "published")
        if published is not None:
            self.published.update({item["id"]: item for item in published["tracks"]})
        subscribed = self._newer(body, "subscribed")
        if subscribed is not None:
            self.subscribed = {
                item["sid"]: item["id"] for item in subscribed["tracks"] if "id" in item
            }
        for entry in body.get("peer_connections", ()):
            if entry["id"] == self._pc_id and "description" in entry:
                self._receive_description(entry["description"])

    def _newer(self, body: Message, key: str) -> Message | None:
        state: Message | None = body.get(key)
        if state is None or state["revision"] <= self._revisions[key]:
            return None
        self._revisions[key] = state["revision"]
        return state

    def _merge_participant(self, item: Message) -> None:
        known = self.participants.get(item["sid"])
        if known is not None and item["revision"] <= known.revision:
            return
        if item["state"] == "disconnected":
            self.participants.pop(item["sid"], None)
            return
        tracks = {
            track["sid"]: RemoteTrack(track["sid"], track["name"], track["kind"], track["enabled"])
            for track in item["tracks"]
        }
        self.participants[item["sid"]] = RemoteParticipant(
            item["sid"], item["identity"], item["state"], item["revision"], tracks
        )

    # Negotiation (revisions and glare).

    def _receive_description(self, description: Message) -> None:
        revision = description["revision"]
        match description["type"]:
            case "offer" if revision > self._stable:
                self.offers_received += 1
                if self._pending_offer:
                    # The server wins: answer its offer and make ours anew.
                    self.peer.core.rollback()
                    self._pending_offer = False
                    self._wants_offer = True
                self._describe("answer", revision, self.peer.receive_offer(description["sdp"]))
                self._stable = self._revision = revision
                self._offer_if_wanted()
            case "answer" if self._pending_offer and revision == self._revision:
                self.peer.receive_answer(description["sdp"])
                self._pending_offer = False
                self._stable = revision
                self._offer_if_wanted()
            case "create-offer" if revision > self._stable:
                self._revision = max(self._revision, revision)
                self._negotiate()

    def _negotiate(self) -> None:
        self._wants_offer = True
        self._offer_if_wanted()

    def _offer_if_wanted(self) -> None:
        if not self._wants_offer or self._pending_offer or self._stable == 0:
            return
        self._wants_offer = False
        self._pending_offer = True
        self._revision += 1
        self.offers_sent += 1
        self._describe("offer", self._revision, self.peer.create_offer())

    def _describe(self, kind: str, revision: int, sdp: str) -> None:
        description = {"type": kind, "revision": revision, "sdp": sdp}
        self._update_soon({"description": description})

    # What the client says.

    def _add(self, track: LocalTrack, *, negotiate: bool = True) -> LocalTrack:
        self.tracks[track.track_id] = track
        self._participant_changed()
        if self.session is not None and negotiate:
            self._negotiate()
        return track

    def _participant(self) -> Message:
        return {
            "revision": self._participant_revision,
            "tracks": [
                {
                    "id": track.track_id,
                    "kind": track.kind,
                    "name": track.name,
                    "enabled": track.enabled,
                    "priority": "standard",
                }
                for track in self.tracks.values()
            ],
        }

    def _participant_changed(self) -> None:
        self._participant_revision += 1
        if self.session is not None:
            self._send_soon(self._update_body(None))

    def _update_body(self, entry: Message | None) -> Message:
        body = {
            "type": "update",
            "version": 2,
            "session": self.session,
            "participant": self._participant(),
        }
        if entry is not None:
            body["peer_connections"] = [{"id": self._pc_id, **entry}]
        return body

    async def _update(self, entry: Message) -> None:
        await self._send_body(self._update_body(entry))

    def _update_soon(self, entry: Message) -> None:
        self._send_soon(self._update_body(entry))

    def _no_candidates(self) -> Message:
        credentials = self.peer.core.ice.local_credentials
        return {
            "candidates": [],
            "ufrag": credentials.username_fragment,
            "complete": True,
            "revision": 1,
        }

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
