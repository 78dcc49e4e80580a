"""One side of a comparison: a server, everybody who is in its room, and their media."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from benchmarks.engine import VideoPattern
from benchmarks.load import (
    ClientConfig,
    Peer,
    PeerFailed,
    VideoSettings,
    Vp8Encoder,
    make_certificate,
)
from benchmarks.load.description import Section
from benchmarks.peers import MediaServer, ServerFailed
from benchmarks.processes import CpuTime, cpu_time
from router.srtp import AEAD_AES_128_GCM, AES128_CM_HMAC_SHA1_80, SrtpProfile

JOINS_AT_ONCE = 8
CONNECT_SECONDS = 60.0
FLOW_SECONDS = 30.0
POLL_SECONDS = 0.1
DRAIN_SECONDS = 0.3
PAUSED = VideoPattern(bitrate_bps=0)
SUITES: Mapping[str, tuple[SrtpProfile, ...]] = {
    "any": (AEAD_AES_128_GCM, AES128_CM_HMAC_SHA1_80),
    "gcm": (AEAD_AES_128_GCM,),
    "cm": (AES128_CM_HMAC_SHA1_80,),
}
_FIRST_RTCP_INDEX = 1 << 16
# Nothing is sent before the engine takes over.
_SILENCE = VideoSettings(frames_per_second=0.001)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn cost and brought."""

    cpu_ns: int
    """Of the whole server."""
    generator_ns: int
    """Of the engine."""
    sent: int
    """Packets that publishers sent."""
    received: int
    """Packets that subscribers received, first copies."""
    expected: int
    """Packets that they should have received."""

    @property
    def ns_per_packet(self) -> float:
        """CPU time of the server per packet that arrived."""
        return self.cpu_ns / self.received

    @property
    def generator_ns_per_packet(self) -> float:
        """CPU time of the engine per packet that it sent or received."""
        return self.generator_ns / (self.sent + self.received)


class Side:
    """
    Lets everybody join, and has them send and receive in turns.

    :param host: Address of the clients.
    """

    def __init__(self, server: MediaServer, *, host: str, suite: str) -> None:
        self.server = server
        from benchmarks.engine import Engine

        self.engine = Engine()
        self.suites: set[str] = set()
        """What was negotiated."""
        self.turns: list[Turn] = []
        self._host, self._profiles = host, SUITES[suite]
        self._rng = random.Random(1)
        self._certificate = make_certificate(self._rng)
        self._peers: dict[int, Peer] = {}
        """By connection of the engine."""
        self._outbound: list[int] = []
        self._inbound: list[int] = []
        self._subscribers = 0

    async def __aenter__(self) -> Self:
        self.engine.__enter__()
        asyncio.get_running_loop().add_reader(self.engine.fileno(), self._hand_on)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        asyncio.get_running_loop().remove_reader(self.engine.fileno())
        self.engine.__exit__(kind, error, traceback)
        for peer in self._peers.values():
            peer.close(silently=True)

    async def publish(self, number: int) -> None:
        """Add a publisher of one video stream, which is silent as yet."""
        peer = self._peer(receives=False)
        encoder = Vp8Encoder(number, _SILENCE, self._rng)
        now = asyncio.get_running_loop().time()
        section = peer.core.publish(encoder, f"video-{number}", now)
        await self.server.publish(peer)
        await _connected(peer)
        connection = self._hand_over(peer, section)
        assert section.payload_type is not None
        self._outbound.append(
            self.engine.add_outbound(
                connection,
                ssrc=section.ssrc,
                payload_type=section.payload_type,
                rtx_ssrc=section.rtx_ssrc if section.rtx_payload_type is not None else 0,
                rtx_payload_type=section.rtx_payload_type or 0,
                mid=section.mid,
                publisher=number,
                pattern=PAUSED,
            )
        )

    async def subscribe(self, *, sampled: bool) -> None:
        """Add a subscriber to all publishers. :param sampled: Whether its packets are opened."""
        peer = self._peer(receives=True)
        await self.server.subscribe(peer)
        await _connected(peer)
        sections = [one for one in peer.core.descriptions.sections if one.remote_ssrcs]
        connection = self._hand_over(peer, sections[0], sampled=sampled)
        for section in sections:
            media, *rtx = section.remote_ssrcs
            kind = section.kind
            stream = self.engine.add_inbound(
                connection, ssrc=media, kind=kind, rtx_ssrc=rtx[0] if rtx else 0
            )
            if kind == "video":
                self._inbound.append(stream)
        self._subscribers += 1

    async def wait_for_flow(self, pattern: VideoPattern) -> None:
        """
        Send until every subscriber has had every publisher.

        :raises ServerFailed: when that takes too long.
        """
        wanted = self._subscribers * len(self._outbound)
        self._set_pattern(pattern)
        for _ in range(int(FLOW_SECONDS / POLL_SECONDS)):
            await asyncio.sleep(POLL_SECONDS)
            if self._flowing() == wanted:
                break
        else:
            raise ServerFailed(f"{self._flowing()} of {wanted} streams arrive")
        self._set_pattern(PAUSED)
        await asyncio.sleep(DRAIN_SECONDS)
        self.engine.latency()

    async def run(self, pattern: VideoPattern, seconds: float) -> Turn:
        """
        Send for a time.

        :raises ServerFailed: when the server is gone, or lets nothing through.
        """
        cpu, generator = self._cpu_time(), self.engine.cpu_ns()
        totals = self.engine.totals()
        self._set_pattern(pattern)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._set_pattern(PAUSED)
        await asyncio.sleep(DRAIN_SECONDS)
        used = self._cpu_time().since(cpu)
        found = self.engine.totals().since(totals)
        turn = Turn(
            cpu_ns=used.process,
            generator_ns=self.engine.cpu_ns() - generator,
            sent=found.sent,
            received=found.received,
            expected=found.sent * self._subscribers,
        )
        if not turn.received:
            raise ServerFailed("nothing arrives any more")
        self.turns.append(turn)
        return turn

    def _cpu_time(self) -> CpuTime:
        try:
            return cpu_time(self.server.pid)
        except OSError:
            raise ServerFailed(f"the server, process {self.server.pid}, is gone") from None

    def _set_pattern(self, pattern: VideoPattern) -> None:
        for stream in self._outbound:
            self.engine.set_pattern(stream, pattern)

    def _flowing(self) -> int:
        return sum(self.engine.inbound(stream).packets > 0 for stream in self._inbound)

    def _peer(self, *, receives: bool) -> Peer:
        config = ClientConfig(
            certificate=self._certificate,
            video_codecs=("VP8",),
            srtp_profiles=self._profiles,
            receives=receives,
        )
        return Peer(config, rng=random.Random(self._rng.getrandbits(64)), host=self._host)

    def _hand_over(self, peer: Peer, section: Section, *, sampled: bool = False) -> int:
        srtp, path = peer.core.srtp, peer.core.ice.selected_path
        assert srtp is not None
        assert path is not None
        self.suites.add(srtp.profile.name)
        peer.stop_reading()
        peer.core.srtp = None  # Python sends no more reports.
        connection = self.engine.add_connection(
            peer.socket.fileno(),
            (path[1].host, path[1].port),
            profile=srtp.profile.id,
            send_key=srtp.local_keys[0],
            send_salt=srtp.local_keys[1],
            receive_key=srtp.remote_keys[0],
            receive_salt=srtp.remote_keys[1],
            extensions=section.extensions,
            cname=f"load-{len(self._peers)}",
            rtcp_index=_FIRST_RTCP_INDEX,
            sampled=sampled,
        )
        self._peers[connection] = peer
        return connection

    def _hand_on(self) -> None:
        for connection, data, source in self.engine.datagrams():
            self._peers[connection].receive(data, source)


async def _connected(peer: Peer) -> None:
    try:
        await peer.wait_connected(seconds=CONNECT_SECONDS)
    except TimeoutError:
        raise ServerFailed(f"no connection within {CONNECT_SECONDS:.0f} s") from None
    except PeerFailed as error:
        raise ServerFailed(f"a client cannot connect: {error}") from None
