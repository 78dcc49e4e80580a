"""Rooms that everybody has joined, and measuring what the server does for them."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import aiohttp

from benchmarks.engine import AudioPattern, Latency, Totals, VideoPattern
from benchmarks.load import (
    AudioSettings,
    ClientConfig,
    OpusEncoder,
    RspClient,
    VideoSettings,
    Vp8Encoder,
    WhipSession,
)
from benchmarks.load.handoff import (
    SILENT_AUDIO,
    SILENT_VIDEO,
    EngineHost,
    EnginePeer,
)
from benchmarks.load.peer import make_certificate
from benchmarks.processes import CpuTime, cpu_time
from benchmarks.report import Progress
from benchmarks.server import ServerProcess
from router.srtp import AEAD_AES_128_GCM, AES128_CM_HMAC_SHA1_80

if TYPE_CHECKING:
    from benchmarks.engine import Engine

JOINS_AT_ONCE = 8
SETUP_SECONDS = 120.0
SETTLE_SECONDS = 0.3
"""From silence until nothing is under way any more."""
WARM_UPS = 6
WARM_UP_SECONDS = 0.5
OPENED = 8
"""In each room one receiver opens and checks what it gets: all of it when there is one room, a half
with two, and with so many or more this part."""
PROFILES = {"gcm": AEAD_AES_128_GCM, "cm": AES128_CM_HMAC_SHA1_80}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPlan:
    """What a room is like."""

    publishers: int
    """Send and receive nothing (WHIP)."""
    subscribers: int
    """Receive everybody (RSP)."""
    talkers: int = 0
    """Send and receive audio (RSP)."""
    audio: bool = True
    """Whether publishers send audio; likewise ``video``."""
    video: bool = True

    @property
    def receivers_of_a_publisher(self) -> int:
        """How often a packet of a publisher is forwarded."""
        return self.subscribers + self.talkers

    @property
    def receivers_of_a_talker(self) -> int:
        """The same of a talker."""
        return self.subscribers + max(0, self.talkers - 1)

    @property
    def tracks_received(self) -> tuple[int, int]:
        """By a subscriber and by a talker."""
        published = self.publishers * (self.audio + self.video)
        return published + self.talkers, published + max(0, self.talkers - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What happened in one run."""

    seconds: float
    """In which media was sent."""
    expected: int
    """Packets that the server should have forwarded."""
    totals: Totals
    latency: Latency
    cpu: CpuTime
    """Of the server."""
    generator_ns: int
    """CPU time of the engine."""

    @property
    def loss(self) -> float:
        """Share of the packets that did not come at the first time, or not at all; 0..1."""
        late = self.totals.lost - self.totals.reordered
        absent = self.expected - self.totals.received
        return max(0, late, absent) / max(1, self.expected)

    @property
    def rate(self) -> float:
        """Packets received in a second."""
        return self.totals.received / self.seconds

    @property
    def offered(self) -> float:
        """Packets that should have been received in a second."""
        return self.expected / self.seconds

    @property
    def plane_ns(self) -> float:
        """CPU time of the plane threads for each packet that was forwarded."""
        return self.cpu.plane / max(1, self.totals.received)

    @property
    def process_ns(self) -> float:
        """CPU time of the whole server for each packet that was forwarded."""
        return self.cpu.process / max(1, self.totals.received)

    @property
    def generator_ns_per_packet(self) -> float:
        """CPU time of the engine for each packet that it sent or received."""
        return self.generator_ns / max(1, self.totals.received + self.totals.sent)

    @property
    def generator_share(self) -> float:
        """What the generator spent on a packet, of what the plane did."""
        return self.generator_ns_per_packet / max(1, self.plane_ns)

    @property
    def plane_load(self) -> float:
        """Processors that the plane threads kept busy."""
        return self.cpu.plane / 1e9 / self.seconds

    def complaints(self) -> list[str]:
        """Return what makes the figures doubtful."""
        found = []
        if self.totals.receive_drops:
            found.append(f"{self.totals.receive_drops} datagrams found the generator's socket full")
        if self.totals.send_failed:
            found.append(f"{self.totals.send_failed} packets could not be sent")
        if self.totals.bad_payload or self.totals.failed_auth:
            found.append(
                f"{self.totals.failed_auth} packets were not authentic, "
                f"{self.totals.bad_payload} not what was sent"
            )
        return found


@dataclass(slots=True)
class Room:
    """Who is in a room."""

    name: str
    publishers: list[EnginePeer] = field(default_factory=list)
    talkers: list[EnginePeer] = field(default_factory=list)
    subscribers: list[EnginePeer] = field(default_factory=list)
    clients: list[RspClient] = field(default_factory=list)


class RoomsSession:
    """Use :meth:`joined`."""

    def __init__(
        self, server: ServerProcess, plan: RoomPlan, rooms: list[Room], engine: "Engine"
    ) -> None:
        self.rooms = rooms
        self.engine = engine
        self.server = server
        self._plan = plan

    @classmethod
    @asynccontextmanager
    async def joined(
        cls,
        server: ServerProcess,
        plan: RoomPlan,
        *,
        names: Sequence[str],
        progress: Progress,
        suite: str = "gcm",
        room_for: int = 0,
        consent_interval: float | None = None,
    ) -> AsyncIterator[Self]:
        """
        Let all join, and wait until all have a way to receive everybody.

        :param room_for: How many more each room can take.
        :param consent_interval: Seconds between the engine's own requests for consent, which it
            makes beside those of Python; None for none.
        """
        from benchmarks.engine import Engine

        async with AsyncExitStack() as stack:
            engine = stack.enter_context(Engine())
            host = EngineHost(engine)
            stack.callback(host.close)
            connector = aiohttp.TCPConnector(limit=0)
            http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            set_up = _SetUp(server, http, host, plan, suite, room_for, consent_interval)
            try:
                rooms = await set_up.run(names, progress)
                yield cls(server, plan, rooms, engine)
            finally:
                for peer in set_up.peers:
                    peer.close(silently=True)
                for client in set_up.clients:
                    await client.vanish()

    def send(self, video: VideoPattern, audio: AudioPattern) -> None:
        """Let publishers send both, and talkers audio."""
        for room in self.rooms:
            for peer in room.publishers:
                peer.send_video(video)
                peer.send_audio(audio)
            for peer in room.talkers:
                peer.send_audio(audio)

    async def warm_up(
        self, video: VideoPattern, audio: AudioPattern, *, progress: Progress
    ) -> None:
        """
        Send until all of it is forwarded, but not for long.

        The first packets touch memory that the machine has yet to find, which can look like
        overload to the server.
        """
        progress.say("warming up")
        for _ in range(WARM_UPS):
            if not (await self.measure(video, audio, WARM_UP_SECONDS)).loss:
                return

    async def measure(self, video: VideoPattern, audio: AudioPattern, seconds: float) -> Measured:
        """Send for a time, and wait until nothing is under way."""
        await self._run_for(video, audio, 0.2)  # a key frame each, and whatever starts up
        sent = self._sent()
        before = self.engine.totals()
        self.engine.latency()
        cpu, generator = cpu_time(self.server.pid), self.engine.cpu_ns()
        await self._run_for(video, audio, seconds)
        used, spent = cpu_time(self.server.pid).since(cpu), self.engine.cpu_ns() - generator
        after = self._sent()
        return Measured(
            seconds=seconds,
            expected=(after[0] - sent[0]) * self._plan.receivers_of_a_publisher
            + (after[1] - sent[1]) * self._plan.receivers_of_a_talker,
            totals=self.engine.totals().since(before),
            latency=self.engine.latency(),
            cpu=used,
            generator_ns=spent,
        )

    async def _run_for(self, video: VideoPattern, audio: AudioPattern, seconds: float) -> None:
        self.send(video, audio)
        await asyncio.sleep(seconds)
        self.send(SILENT_VIDEO, SILENT_AUDIO)
        await asyncio.sleep(SETTLE_SECONDS)

    def _sent(self) -> tuple[int, int]:
        """Packets of publishers and of talkers."""

        def count(peers: list[EnginePeer]) -> int:
            return sum(
                self.engine.outbound(stream).packets
                for peer in peers
                for stream in peer.outbound.values()
            )

        return (
            sum(count(room.publishers) for room in self.rooms),
            sum(count(room.talkers) for room in self.rooms),
        )


class _SetUp:
    def __init__(
        self,
        server: ServerProcess,
        http: aiohttp.ClientSession,
        host: EngineHost,
        plan: RoomPlan,
        suite: str,
        room_for: int,
        consent_interval: float | None,
    ) -> None:
        self.peers: list[EnginePeer] = []
        self.clients: list[RspClient] = []
        self._server, self._http, self._host = server, http, host
        self._plan, self._suite = plan, suite
        self._room_for, self._consent_interval = room_for, consent_interval
        self._rng = random.Random(1)
        self._certificate = make_certificate(self._rng)
        self._turns = asyncio.Semaphore(JOINS_AT_ONCE)

    async def run(self, names: Sequence[str], progress: Progress) -> list[Room]:
        rooms = [Room(name) for name in names]
        everybody = self._plan.publishers + self._plan.subscribers + self._plan.talkers
        everybody += self._room_for
        for room in rooms:
            await self._server.create_room(
                self._http, UniqueName=room.name, Type="group", MaxParticipants=max(2, everybody)
            )
            for number in range(self._plan.publishers):
                await self._publish(room, number)
            progress.say(f"{room.name}: {self._plan.publishers} publishers")
        places = [(n, False) for n in range(self._plan.subscribers)]
        places += [(n, True) for n in range(self._plan.talkers)]
        waiting = []
        opened = 1 / min(len(rooms), OPENED)
        for index, room in enumerate(rooms):
            for place, (number, talks) in enumerate(places):
                # Each time another one in the order in which a packet goes to them.
                sampled = opened if place == index % len(places) else 0.0
                waiting.append(self._subscribe(room, number, talks=talks, sampled=sampled))
        for done, one in enumerate(asyncio.as_completed(waiting)):
            await one
            progress.say(f"{done + 1} of {len(waiting)} have joined")
        progress.say("waiting until everybody can receive everybody")
        by_subscriber, by_talker = self._plan.tracks_received
        for client in self.clients:
            tracks = by_talker if client.tracks else by_subscriber
            await client.wait_subscribed(tracks, seconds=SETUP_SECONDS)
        return rooms

    def _peer(self, *, receives: bool, sampled: float = 0.0) -> EnginePeer:
        config = ClientConfig(
            certificate=self._certificate,
            video_codecs=("VP8",),
            srtp_profiles=(PROFILES[self._suite],),
            receives=receives,
        )
        peer = EnginePeer(
            config,
            self._host,
            rng=self._random(),
            host=self._server.host,
            publisher=len(self.peers),
            sampled=sampled,
            shares=receives,
            consent_interval=self._consent_interval,
        )
        self.peers.append(peer)
        return peer

    async def _publish(self, room: Room, number: int) -> None:
        peer = self._peer(receives=False)
        now = asyncio.get_running_loop().time()
        if self._plan.audio:
            encoder = OpusEncoder(0, AudioSettings(), self._rng)
            peer.core.publish(encoder, f"audio-{number}", now)
        if self._plan.video:
            camera = Vp8Encoder(0, VideoSettings(), self._rng)
            peer.core.publish(camera, f"video-{number}", now)
        whip = WhipSession(
            self._http,
            peer,
            endpoint=f"{self._server.url}/whip/{room.name}",
            token=self._server.account.access_token(f"publisher-{number}", room.name),
        )
        await whip.start()
        await peer.wait_connected(seconds=SETUP_SECONDS)
        room.publishers.append(peer)

    async def _subscribe(self, room: Room, number: int, *, talks: bool, sampled: float) -> None:
        identity = f"{'talker' if talks else 'subscriber'}-{number}"
        async with self._turns:
            peer = self._peer(receives=True, sampled=sampled)
            client = RspClient(
                self._http,
                peer,
                url=self._server.signaling_url,
                token=self._server.account.access_token(identity, room.name),
                room=room.name,
                rng=self._random(),
                heartbeat=30.0,
            )
            if talks:
                client.publish(OpusEncoder(0, AudioSettings(), self._rng))
            await client.join(seconds=SETUP_SECONDS)
            await peer.wait_connected(seconds=SETUP_SECONDS)
        self.clients.append(client)
        room.clients.append(client)
        (room.talkers if talks else room.subscribers).append(peer)

    def _random(self) -> random.Random:
        return random.Random(self._rng.getrandbits(64))
