"""A room of publishers and subscribers on a real server, brought to where media can be measured."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
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
from benchmarks.load.bursts import BurstPublisher, DroppedReceiver
from benchmarks.load.description import Section
from benchmarks.load.handoff import EngineHost, EnginePeer
from benchmarks.network import Link
from benchmarks.processes import cpu_time
from benchmarks.report import Progress
from benchmarks.server import ServerProcess
from router.srtp import AEAD_AES_128_GCM, AES128_CM_HMAC_SHA1_80, SrtpProfile

from .drop import drop_media
from .pace import pace
from .sampled import Continuity, SampledReceiver

if TYPE_CHECKING:
    from benchmarks.engine import FrameSender

JOINS_AT_ONCE = 8
SETUP_VIDEO = VideoSettings(bitrate_bps=8_000, frames_per_second=2)
SETUP_SECONDS = 120.0
PAUSE_SECONDS = 0.5
DRAIN_SECONDS = 0.05
ENGINE_TICK_US = 20_000
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
        self.sampled.read()
        packets, arrivals_us = self.sampled.arrivals()
        for receiver in self.dropped if arrivals_us else ():
            receiver.report(packets, arrivals_us)


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
        from benchmarks.engine import Engine

        connector = aiohttp.TCPConnector(limit=0)  # each subscriber holds one
        async with aiohttp.ClientSession(connector=connector) as http:
            with Engine(tick_us=ENGINE_TICK_US) as engine:
                set_up = _SetUp(server, link, suite, http, EngineHost(engine))
                try:
                    session = cls(
                        server, http, *await set_up.run(rooms, publishers, subscribers, progress)
                    )
                    reporting = asyncio.create_task(session.keep_reporting())
                    try:
                        yield session
                    finally:
                        reporting.cancel()
                        with suppress(asyncio.CancelledError):
                            await reporting  # raises what ended it, if something did
                finally:
                    await set_up.close()

    def forget(self) -> None:
        """Count from here on."""
        for continuity in self.sampled:
            continuity.forget()

    async def run(self, seconds: float, rate: float) -> Spent:
        """Send for a time and return what it cost; all that was sent has to arrive."""
        before, spent = await self._forwarded(), cpu_time(self._server.pid)
        generator = time.process_time_ns()
        senders = [publisher.sender for publisher in self._publishers]
        captures = [audience.sampled.capture for audience in self._audiences]
        await pace(senders, captures, seconds=seconds, rate=rate)
        await asyncio.sleep(DRAIN_SECONDS)
        generator = time.process_time_ns() - generator
        used = cpu_time(self._server.pid).since(spent)
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

    async def keep_reporting(self) -> None:
        """Report again and again, until cancelled."""
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

    receivers: list[EnginePeer]
    streams: list[dict[int, int]]
    """Of each receiver: SSRC by publisher."""
    senders: "dict[int, FrameSender]" = field(default_factory=dict)
    """By publisher."""


class _SetUp:
    def __init__(
        self,
        server: ServerProcess,
        link: Link,
        suite: str,
        http: aiohttp.ClientSession,
        media: EngineHost,
    ) -> None:
        self._server, self._link, self._suite = server, link, suite
        self._http, self._media = http, media
        self._peers: list[EnginePeer] = []
        self._subscribers: list[RspClient] = []
        self._rng = random.Random(1)
        self._certificate = make_certificate(self._rng)

    async def run(
        self, rooms: int, publishers: int, subscribers: int, progress: Progress
    ) -> tuple[list[BurstPublisher], list[Audience]]:
        bursts: list[BurstPublisher] = []
        joined: list[_Joined] = []
        sources: list[tuple[EnginePeer, Section]] = []
        for room in (f"fanout-{number}" for number in range(rooms)):
            await self._server.create_room(
                self._http,
                UniqueName=room,
                Type="group",
                MaxParticipants=max(2, publishers + subscribers),
            )
            first = len(sources)
            sources += [await self._publish(room, first + n) for n in range(publishers)]
            receivers = await self._join(room, publishers, subscribers, progress)
            progress.say(f"{room}: waiting until everybody receives everybody")
            streams = [await self._streams(peer, publishers) for peer in receivers]
            for peer, section in sources[first:]:
                peer.core.media.stop(section)
            joined.append(_Joined(receivers, streams))
        await asyncio.sleep(PAUSE_SECONDS)
        for number, (peer, section) in enumerate(sources):
            bursts.append(BurstPublisher(peer, section, publisher=number))
            joined[number // publishers].senders[number] = bursts[-1].sender
        self._drop_media([room.receivers[0] for room in joined])
        return bursts, self._audiences(joined)

    async def _join(
        self, room: str, publishers: int, subscribers: int, progress: Progress
    ) -> list[EnginePeer]:
        turns = asyncio.Semaphore(JOINS_AT_ONCE)
        receivers: list[EnginePeer] = []

        async def join(number: int) -> None:
            async with turns:
                receivers.append(await self._subscribe(room, number, publishers))
                progress.say(f"{room}: {len(receivers)} of {subscribers} subscribers joined")

        await asyncio.gather(*(join(number) for number in range(subscribers)))
        return receivers

    def _drop_media(self, sampled: list[EnginePeer]) -> None:
        """Of all but these."""
        if self._link.is_loopback:
            for client in self._subscribers:
                if client.peer not in sampled:
                    drop_media(client.peer.socket)
            return
        first, *others = sampled
        self._link.drop_media(but_port=first.local.port)
        for peer in others:
            self._link.let_through(peer.local.port)

    def _audiences(self, joined: list[_Joined]) -> list[Audience]:
        audiences = []
        for room in joined:
            first = room.receivers[0]
            sampled = SampledReceiver(first, room.senders, room.streams[0])
            for peer in room.receivers:
                peer.hand_over(reads=peer is not first)
            dropped = [
                DroppedReceiver(peer, found)
                for peer, found in zip(room.receivers, room.streams, strict=True)
            ]
            audiences.append(Audience(sampled, dropped))
        return audiences

    async def close(self) -> None:
        """Let everybody go."""
        for peer in self._peers:
            peer.close(silently=True)
        for client in self._subscribers:
            await client.vanish()
        self._media.close()

    def _config(self, profile: SrtpProfile, *, receives: bool) -> ClientConfig:
        return ClientConfig(
            certificate=self._certificate,
            video_codecs=("VP8",),
            srtp_profiles=(profile,),
            receives=receives,
        )

    async def _publish(self, room: str, number: int) -> tuple[EnginePeer, Section]:
        config = self._config(AEAD_AES_128_GCM, receives=False)
        rng = random.Random(self._rng.getrandbits(64))
        peer = EnginePeer(config, self._media, rng=rng, host=self._link.ours, waits=True)
        self._peers.append(peer)
        encoder = Vp8Encoder(number, SETUP_VIDEO, self._rng)
        section = peer.core.publish(encoder, f"video-{number}", asyncio.get_running_loop().time())
        whip = WhipSession(
            self._http,
            peer,
            endpoint=f"{self._server.url}/whip/{room}",
            token=self._server.account.access_token(f"publisher-{number}", room),
        )
        await whip.start()
        await peer.wait_connected(seconds=SETUP_SECONDS)
        return peer, section

    async def _subscribe(self, room: str, number: int, publishers: int) -> EnginePeer:
        config = self._config(_PROFILES[self._suite], receives=True)
        rng = random.Random(self._rng.getrandbits(64))
        peer = EnginePeer(config, self._media, rng=rng, host=self._link.ours, waits=True)
        self._peers.append(peer)
        client = RspClient(
            self._http,
            peer,
            url=self._server.signaling_url,
            token=self._server.account.access_token(f"subscriber-{number}", room),
            room=room,
            rng=random.Random(self._rng.getrandbits(64)),
        )
        await client.join(seconds=SETUP_SECONDS)
        self._subscribers.append(client)
        await peer.wait_connected(seconds=SETUP_SECONDS)
        await client.wait_subscribed(publishers, seconds=SETUP_SECONDS)
        return peer

    async def _streams(self, peer: Peer, publishers: int) -> dict[int, int]:
        """Return the SSRC by which each publisher arrives, once all do."""

        def found() -> dict[int, int]:
            return {
                publisher: ssrc
                for ssrc, stream in peer.core.media.inbound.items()
                for publisher in stream.publishers
            }

        await peer.wait_until(lambda: len(found()) == publishers, seconds=SETUP_SECONDS)
        return found()
