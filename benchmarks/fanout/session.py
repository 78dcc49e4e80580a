"""A room of publishers and subscribers on a real server, brought to where media can be measured."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import aiohttp

from benchmarks.load import (
    ClientConfig,
    Peer,
    RspClient,
    VideoSettings,
    Vp8Encoder,
    WhipSession,
    make_certificate,
)
from benchmarks.load.bursts import (
    FEEDBACK_PACKETS,
    BurstPublisher,
    DroppedReceiver,
    FeedbackBody,
)
from benchmarks.load.description import Section
from benchmarks.network import Link
from benchmarks.processes import cpu_time
from benchmarks.report import Progress
from benchmarks.server import ServerProcess
from router.srtp import AEAD_AES_128_GCM, AES128_CM_HMAC_SHA1_80

from .drop import drop_media
from .pace import pace
from .quiet import QuietReader
from .sampled import Continuity, SampledReceiver

if TYPE_CHECKING:
    from benchmarks.engine import FrameSender

JOINS_AT_ONCE = 8
SETUP_VIDEO = VideoSettings(bitrate_bps=8_000, frames_per_second=2)
SETUP_SECONDS = 120.0
PAUSE_SECONDS = 0.5
DRAIN_SECONDS = 0.05
FEEDBACK_INTERVAL = 0.1
_FORWARDED = 'parlour_rtp_packets_total{direction="outbound"}'
_PROFILES = {"gcm": AEAD_AES_128_GCM, "cm": AES128_CM_HMAC_SHA1_80}


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU time per forwarded packet, in ns."""

    plane_ns: float
    process_ns: float
    generator_ns: float
    """Of this process, which sends, receives and reports."""
    forwarded: int


@dataclass(slots=True)
class Audience:
    """The subscribers of one room."""

    sampled: SampledReceiver
    dropped: list[DroppedReceiver]
    """All of them, the sampled one too."""

    def report(self) -> None:
        """Report for all of them what the sampled one received."""
        packets, ticks = self.sampled.arrivals()
        if not ticks:
            return
        bodies = [
            FeedbackBody(ticks[start : start + FEEDBACK_PACKETS])
            for start in range(0, len(ticks), FEEDBACK_PACKETS)
        ]
        for receiver in self.dropped:
            receiver.report(packets, bodies)


class FanoutSession:
    """Everybody has joined and receives; media is dropped but for one subscriber's of each room."""

    def __init__(
        self,
        server: ServerProcess,
        http: aiohttp.ClientSession,
        publishers: list[BurstPublisher],
        audiences: list[Audience],
    ) -> None:
        self._server, self._http = server, http
        self._publishers, self._audiences = publishers, audiences

    @property
    def sampled(self) -> list[Continuity]:
        """What the sampled subscribers received, by room."""
        return [audience.sampled.continuity for audience in self._audiences]

    @classmethod
    @asynccontextmanager
    async def joined(
        cls,
        server: ServerProcess,
        link: Link,
        *,
        rooms: int,
        publishers: int,
        subscribers: int,
        suite: str,
        progress: Progress,
    ) -> AsyncIterator[Self]:
        """
        Let all join, wait until all receive everybody, pause, and drop media from then on.

        :param publishers: Of each room; likewise ``subscribers``.
        """
        set_up = _SetUp(server, link, suite)
        connector = aiohttp.TCPConnector(limit=0)  # each subscriber holds one
        async with aiohttp.ClientSession(connector=connector) as set_up.http:
            try:
                yield cls(
                    server,
                    set_up.http,
                    *await set_up.run(rooms, publishers, subscribers, progress),
                )
            finally:
                if set_up.reader is not None:
                    set_up.reader.close()
                for peer in set_up.peers:
                    peer.close(silently=True)
                for client in set_up.subscribers:
                    await client.vanish()

    def forget(self) -> None:
        """Count from here on."""
        for continuity in self.sampled:
            continuity.forget()

    async def run(self, seconds: float, rate: float) -> Spent:
        """Send for a time and return what it cost; all that was sent has to arrive."""
        before, spent = await self._forwarded(), cpu_time(self._server.pid)
        generator = time.process_time_ns()
        feedback = asyncio.create_task(self._feed_back())
        senders = [publisher.sender for publisher in self._publishers]
        try:
            await pace(senders, seconds=seconds, rate=rate)
            await asyncio.sleep(DRAIN_SECONDS)
        finally:
            feedback.cancel()
        used = cpu_time(self._server.pid).since(spent)
        generator = time.process_time_ns() - generator
        forwarded = await self._forwarded() - before
        self._report()
        for audience in self._audiences:
            audience.sampled.check()
        if not forwarded:
            raise RuntimeError("nothing was forwarded")
        costs = (cpu_ns / forwarded for cpu_ns in (used.plane, used.process, generator))
        return Spent(*costs, forwarded)

    async def _forwarded(self) -> int:
        return int((await self._server.metrics(self._http))[_FORWARDED])

    async def _feed_back(self) -> None:
        while True:
            await asyncio.sleep(FEEDBACK_INTERVAL)
            self._report()

    def _report(self) -> None:
        for publisher in self._publishers:
            publisher.follow()
        for audience in self._audiences:
            audience.report()


@dataclass(slots=True)
class _Joined:
    """A room in which everybody receives everybody."""

    clients: list[RspClient]
    streams: list[dict[int, int]]
    """Of each client: SSRC by publisher."""
    senders: "dict[int, FrameSender]" = field(default_factory=dict)
    """By publisher."""


class _SetUp:
    def __init__(self, server: ServerProcess, link: Link, suite: str) -> None:
        self.http: aiohttp.ClientSession
        self.peers: list[Peer] = []
        self.reader: QuietReader | None = None
        self.subscribers: list[RspClient] = []
        self._server, self._link, self._suite = server, link, suite
        self._rng = random.Random(1)
        self._certificate = make_certificate(self._rng)

    async def run(
        self, rooms: int, publishers: int, subscribers: int, progress: Progress
    ) -> tuple[list[BurstPublisher], list[Audience]]:
        bursts: list[BurstPublisher] = []
        joined: list[_Joined] = []
        sources: list[tuple[Peer, Section]] = []
        for room in (f"fanout-{number}" for number in range(rooms)):
            await self._server.create_room(
                self.http,
                UniqueName=room,
                Type="group",
                MaxParticipants=max(2, publishers + subscribers),
            )
            first = len(sources)
            sources += [await self._publish(room, first + n) for n in range(publishers)]
            clients = await self._join(room, publishers, subscribers, progress)
            progress.say(f"{room}: waiting until everybody receives everybody")
            streams = [await self._streams(client, publishers) for client in clients]
            for peer, section in sources[first:]:
                peer.core.media.stop(section)
            joined.append(_Joined(clients, streams))
        await asyncio.sleep(PAUSE_SECONDS)
        for number, (peer, section) in enumerate(sources):
            bursts.append(BurstPublisher(peer, section, publisher=number))
            joined[number // publishers].senders[number] = bursts[-1].sender
        self._drop_media([room.clients[0].peer for room in joined])
        return bursts, self._audiences(joined)

    async def _join(
        self, room: str, publishers: int, subscribers: int, progress: Progress
    ) -> list[RspClient]:
        turns = asyncio.Semaphore(JOINS_AT_ONCE)
        clients: list[RspClient] = []

        async def join(number: int) -> None:
            async with turns:
                clients.append(await self._subscribe(room, number, publishers))
                progress.say(f"{room}: {len(clients)} of {subscribers} subscribers joined")

        await asyncio.gather(*(join(number) for number in range(subscribers)))
        return clients

    def _drop_media(self, sampled: list[Peer]) -> None:
        """Of all but these."""
        if self._link.is_loopback:
            for client in self.subscribers:
                if client.peer not in sampled:
                    drop_media(client.peer.socket)
            return
        first, *others = sampled
        self._link.drop_media(but_port=first.local.port)
        for peer in others:
            self._link.let_through(peer.local.port)

    def _audiences(self, joined: list[_Joined]) -> list[Audience]:
        audiences = []
        readers = {}
        for room in joined:
            peer = room.clients[0].peer
            sampled = SampledReceiver(peer, room.senders, room.streams[0])
            readers[peer] = sampled.read
            dropped = [
                DroppedReceiver(client.peer, found)
                for client, found in zip(room.clients, room.streams, strict=True)
            ]
            audiences.append(Audience(sampled, dropped))
        self.reader = QuietReader()
        for peer in self.peers:
            reader = peer.yield_reading()
            self.reader.add(peer.socket, readers.get(peer, reader))
        return audiences

    def _peer(self, *, receives: bool) -> Peer:
        profile = AEAD_AES_128_GCM if not receives else _PROFILES[self._suite]
        config = ClientConfig(
            certificate=self._certificate,
            video_codecs=("VP8",),
            srtp_profiles=(profile,),
            receives=receives,
        )
        rng = random.Random(self._rng.getrandbits(64))
        peer = Peer(config, rng=rng, host=self._link.ours)
        self.peers.append(peer)
        return peer

    async def _publish(self, room: str, number: int) -> tuple[Peer, Section]:
        peer = self._peer(receives=False)
        encoder = Vp8Encoder(number, SETUP_VIDEO, self._rng)
        section = peer.core.publish(encoder, f"video-{number}", asyncio.get_running_loop().time())
        whip = WhipSession(
            self.http,
            peer,
            endpoint=f"{self._server.url}/whip/{room}",
            token=self._server.account.access_token(f"publisher-{number}", room),
        )
        await whip.start()
        await peer.wait_connected(seconds=SETUP_SECONDS)
        return peer, section

    async def _subscribe(self, room: str, number: int, publishers: int) -> RspClient:
        client = RspClient(
            self.http,
            self._peer(receives=True),
            url=self._server.signaling_url,
            token=self._server.account.access_token(f"subscriber-{number}", room),
            room=room,
            rng=random.Random(self._rng.getrandbits(64)),
        )
        await client.join(seconds=SETUP_SECONDS)
        self.subscribers.append(client)
        await client.peer.wait_connected(seconds=SETUP_SECONDS)
        await client.wait_subscribed(publishers, seconds=SETUP_SECONDS)
        return client

    async def _streams(self, client: RspClient, publishers: int) -> dict[int, int]:
        """Return the SSRC by which each publisher arrives, once all do."""

        def found() -> dict[int, int]:
            return {
                publisher: ssrc
                for ssrc, stream in client.peer.core.media.inbound.items()
                for publisher in stream.publishers
            }

        await client.peer.wait_until(lambda: len(found()) == publishers, seconds=SETUP_SECONDS)
        return found()
