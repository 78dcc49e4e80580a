"""A room of publishers and subscribers on a real server, brought to where media can be measured."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

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
    Arrivals,
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
from .sampled import SampledReceiver

ROOM = "fanout"
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
    forwarded: int


class FanoutSession:
    """Everybody has joined and receives; media is dropped but for the sampled subscriber's."""

    def __init__(
        self,
        server: ServerProcess,
        http: aiohttp.ClientSession,
        publishers: list[BurstPublisher],
        sampled: SampledReceiver,
        dropped: list[DroppedReceiver],
    ) -> None:
        self.sampled = sampled
        self._server, self._http = server, http
        self._publishers, self._dropped = publishers, dropped

    @classmethod
    @asynccontextmanager
    async def joined(
        cls,
        server: ServerProcess,
        link: Link,
        *,
        publishers: int,
        subscribers: int,
        suite: str,
        progress: Progress,
    ) -> AsyncIterator[Self]:
        """Let all join, wait until all receive everybody, pause, and drop media from then on."""
        set_up = _SetUp(server, link, suite)
        connector = aiohttp.TCPConnector(limit=0)  # each subscriber holds one
        async with aiohttp.ClientSession(connector=connector) as set_up.http:
            try:
                yield cls(
                    server,
                    set_up.http,
                    *await set_up.run(publishers, subscribers, progress),
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
        self.sampled.continuity.forget()

    async def run(self, seconds: float, rate: float) -> Spent:
        """Send for a time and return what it cost; all that was sent has to arrive."""
        before, spent = await self._forwarded(), cpu_time(self._server.pid)
        feedback = asyncio.create_task(self._feed_back())
        senders = [publisher.send for publisher in self._publishers]
        try:
            await pace(senders, seconds=seconds, rate=rate)
            await asyncio.sleep(DRAIN_SECONDS)
        finally:
            feedback.cancel()
        used = cpu_time(self._server.pid).since(spent)
        forwarded = await self._forwarded() - before
        self._report()
        self.sampled.check()
        if not forwarded:
            raise RuntimeError("nothing was forwarded")
        return Spent(used.plane / forwarded, used.process / forwarded, forwarded)

    async def _forwarded(self) -> int:
        return int((await self._server.metrics(self._http))[_FORWARDED])

    async def _feed_back(self) -> None:
        while True:
            await asyncio.sleep(FEEDBACK_INTERVAL)
            self._report()

    def _report(self) -> None:
        sampled = self.sampled
        arrivals, sampled.arrivals = sampled.arrivals, Arrivals()
        if not arrivals.ticks:
            return
        ticks = arrivals.ticks
        bodies = [
            FeedbackBody(ticks[start : start + FEEDBACK_PACKETS])
            for start in range(0, len(ticks), FEEDBACK_PACKETS)
        ]
        for receiver in self._dropped:
            receiver.report(arrivals, bodies)


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
        self, publishers: int, subscribers: int, progress: Progress
    ) -> tuple[list[BurstPublisher], SampledReceiver, list[DroppedReceiver]]:
        await self._server.create_room(
            self.http,
            UniqueName=ROOM,
            Type="group",
            MaxParticipants=max(2, publishers + subscribers),
        )
        sources = [await self._publish(number) for number in range(publishers)]
        turns = asyncio.Semaphore(JOINS_AT_ONCE)

        async def join(number: int) -> None:
            async with turns:
                await self._subscribe(number, publishers)
                progress.say(f"{len(self.subscribers)} of {subscribers} subscribers joined")

        await asyncio.gather(*(join(number) for number in range(subscribers)))
        progress.say("waiting until everybody receives everybody")
        streams = [await self._streams(client, publishers) for client in self.subscribers]
        for peer, section in sources:
            peer.core.media.stop(section)
        await asyncio.sleep(PAUSE_SECONDS)
        bursts = [
            BurstPublisher(peer, section, publisher=number)
            for number, (peer, section) in enumerate(sources)
        ]
        sampled_peer = self.subscribers[0].peer
        if self._link.is_loopback:
            for client in self.subscribers[1:]:
                drop_media(client.peer.socket)
        else:
            self._link.drop_media(but_port=sampled_peer.local.port)
        sampled = SampledReceiver(
            sampled_peer,
            {number: burst.sender for number, burst in enumerate(bursts)},
            streams[0],
        )
        self.reader = QuietReader()
        for peer in self.peers:
            reader = peer.yield_reading()
            self.reader.add(peer.socket, sampled.read if peer is sampled_peer else reader)
        dropped = [
            DroppedReceiver(client.peer, found)
            for client, found in zip(self.subscribers, streams, strict=True)
        ]
        return bursts, sampled, dropped

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

    async def _publish(self, number: int) -> tuple[Peer, Section]:
        peer = self._peer(receives=False)
        encoder = Vp8Encoder(number, SETUP_VIDEO, self._rng)
        section = peer.core.publish(encoder, f"video-{number}", asyncio.get_running_loop().time())
        whip = WhipSession(
            self.http,
            peer,
            endpoint=f"{self._server.url}/whip/{ROOM}",
            token=self._server.account.access_token(f"publisher-{number}", ROOM),
        )
        await whip.start()
        await peer.wait_connected(seconds=SETUP_SECONDS)
        return peer, section

    async def _subscribe(self, number: int, publishers: int) -> None:
        client = RspClient(
            self.http,
            self._peer(receives=True),
            url=self._server.signaling_url,
            token=self._server.account.access_token(f"subscriber-{number}", ROOM),
            room=ROOM,
            rng=random.Random(self._rng.getrandbits(64)),
        )
        await client.join(seconds=SETUP_SECONDS)
        self.subscribers.append(client)
        await client.peer.wait_connected(seconds=SETUP_SECONDS)
        await client.wait_subscribed(publishers, seconds=SETUP_SECONDS)

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
