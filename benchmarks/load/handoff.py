"""Clients whose media is sent and received by an engine once they are connected."""

import asyncio
import random
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.engine import AudioPattern, VideoPattern
from router.net import Address

from .core import ClientConfig, ClientEvent, Connected
from .description import Section
from .peer import Peer

if TYPE_CHECKING:
    from array import array

    from benchmarks.engine import Engine

LOOPBACK = "127.0.0.1"
SILENT_VIDEO, SILENT_AUDIO = VideoPattern(bitrate_bps=0), AudioPattern(bitrate_bps=0)


SHARERS = 16
"""Connections that use one socket."""
SHARED_BUFFER = 32 << 20
SMALLEST_SHARED_BUFFER = 16 << 20
SHARED_ADDRESSES = 65_536
IP_PKTINFO, SO_RCVBUFFORCE = 8, 33
"""The kernel's; the socket module does not know them."""


@dataclass(frozen=True, slots=True)
class Place:
    """One of the places on a socket that several connections use over loopback."""

    socket: socket.socket
    address: str
    """The connection's own."""

    @property
    def port(self) -> int:
        """The same for all."""
        port: int = self.socket.getsockname()[1]
        return port

    def send(self, data: bytes, address: Address) -> None:
        """Send from there. :raises OSError: when the kernel refuses."""
        information = struct.pack("=I4s4s", 0, socket.inet_aton(self.address), bytes(4))
        self.socket.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, information)], 0, address)


class EngineHost:
    """
    Gives an engine's peers what came for them and is no media, and places on shared sockets.

    A server sees no difference between clients that share a socket, each with an address of its
    own, and others. To the client each message costs less, as the kernel is asked for many at once.
    """

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine
        self._shared: list[socket.socket] = []
        self._places = 0
        self.peers: dict[int, EnginePeer] = {}
        """By connection."""
        asyncio.get_running_loop().add_reader(engine.fileno(), self._read)

    def close(self) -> None:
        """Stop reading, when no peer is left."""
        asyncio.get_running_loop().remove_reader(self.engine.fileno())
        for one in self._shared:
            one.close()

    def place(self) -> Place | None:
        """Return a free place; None where the kernel allows no buffer that is large enough."""
        if self._places + 1 == SHARED_ADDRESSES:
            return None
        if self._places % SHARERS == 0:
            shared = _shared_socket()
            if shared is None:
                return None
            self.engine.share(shared.fileno())
            self._shared.append(shared)
        self._places += 1
        return Place(self._shared[-1], f"127.1.{self._places >> 8}.{self._places & 255}")

    def _read(self) -> None:
        for connection, data, source in self.engine.datagrams():
            peer = self.peers.get(connection)
            if peer is not None:
                peer.receive(data, Address(*source))


def _shared_socket() -> socket.socket | None:
    shared = socket.socket(type=socket.SOCK_DGRAM)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            shared.setsockopt(socket.SOL_SOCKET, option, SHARED_BUFFER)
            break
        except PermissionError:
            continue
    if shared.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < SMALLEST_SHARED_BUFFER:
        shared.close()
        return None
    shared.bind(("", 0))
    return shared


class EnginePeer(Peer):
    """
    A peer that hands its socket over, when DTLS is up or later.

    :param publisher: Number that all it sends is stamped with.
    :param sampled: How often (0..1) what it receives is opened and checked.
    :param shares: Use a socket with others, if it can be: over loopback, and not sampled.
    :param consent_interval: Seconds between requests for consent that the engine makes, beside
        those of ICE; None for none.
    :param waits: Until :meth:`hand_over` is called.
    """

    def __init__(
        self,
        config: ClientConfig,
        media: EngineHost,
        *,
        rng: random.Random,
        host: str = "127.0.0.1",
        publisher: int = 0,
        sampled: float = 0.0,
        shares: bool = False,
        consent_interval: float | None = None,
        waits: bool = False,
    ) -> None:
        can_share = shares and not sampled and host == LOOPBACK
        self._place = media.place() if can_share else None
        if self._place is None:
            super().__init__(config, rng=rng, host=host)
        else:
            super().__init__(config, rng=rng, host=self._place.address, port=self._place.port)
        self.inbound: dict[int, int] = {}
        """Numbers of the engine's streams, by SSRC."""
        self.outbound: dict[int, int] = {}
        self._media, self._publisher, self._sampled = media, publisher, sampled
        self._consent_interval = consent_interval
        self._waits = waits
        self._connection: int | None = None

    @property
    def connection(self) -> int:
        """The engine's number for it. :raises RuntimeError: before it is connected."""
        if self._connection is None:
            raise RuntimeError("not connected yet")
        return self._connection

    def send_video(self, pattern: VideoPattern) -> None:
        """Send on all video sections that were agreed on."""
        self._send_pattern("video", pattern)

    def send_audio(self, pattern: AudioPattern) -> None:
        """Send on all audio sections that were agreed on."""
        self._send_pattern("audio", pattern)

    def receive_answer(self, sdp: str) -> None:
        """Apply an answer."""
        super().receive_answer(sdp)
        self._follow_descriptions()

    def receive_offer(self, sdp: str) -> str:
        """Return the answer to an offer."""
        answer = super().receive_offer(sdp)
        self._follow_descriptions()
        return answer

    def assume_sent(self, ssrc: int, packets: int, timestamp: int) -> int:
        """
        Report what was sent in place of a stream; see the engine.

        :returns: How many key frames were asked for so far.
        """
        return self._media.engine.assume_sent(self.outbound[ssrc], packets, timestamp)

    def assume_received(
        self, packets: Mapping[int, int], first: int, arrivals_us: "array[int]"
    ) -> None:
        """Report what was dropped on purpose on the way; see the engine."""
        self._media.engine.assume_received(self.connection, packets, first, arrivals_us)

    def close(self, *, silently: bool = False) -> None:
        """Close the socket."""
        if self._connection is not None:
            self._media.engine.remove_connection(self._connection)
            del self._media.peers[self._connection]
            self._connection = None
        super().close(silently=silently)

    def _note(self, event: ClientEvent) -> None:
        super()._note(event)
        if isinstance(event, Connected) and not self._waits:
            self.hand_over()

    def hand_over(self, *, reads: bool = True) -> None:
        """
        Let the engine have the socket.

        :param reads: Otherwise the engine only sends, and somebody else reads.
        """
        srtp, path = self.core.srtp, self.core.ice.selected_path
        assert srtp is not None
        assert path is not None
        self.core.media_is_elsewhere = True
        self.stop_reading()
        extensions: dict[str, int] = {}
        for section in self.core.descriptions.sections:
            extensions.update(section.extensions)
        place = self._place
        self._connection = self._media.engine.add_connection(
            (self if place is None else place).socket.fileno(),
            path[1],
            profile=srtp.profile.id,
            send_key=srtp.local_keys[0],
            send_salt=srtp.local_keys[1],
            receive_key=srtp.remote_keys[0],
            receive_salt=srtp.remote_keys[1],
            extensions=extensions,
            sampled=self._sampled,
            consent=None if self._consent_interval is None else self.core.consent_credentials(),
            consent_interval=self._consent_interval or 0.0,
            reads=reads,
            source=None if place is None else place.address,
        )
        self._media.peers[self._connection] = self
        self._follow_descriptions()
        if place is not None:
            # What its own socket takes does not come to the shared one.
            self._read()
            self._close_socket()

    def _send_to(self, data: bytes, address: Address) -> None:
        if self._place is not None and self.socket.fileno() < 0:
            self._place.send(data, address)
        else:
            super()._send_to(data, address)

    def _follow_descriptions(self) -> None:
        if self._connection is None:
            return
        for section in self.core.descriptions.sections:
            if section.is_media:
                self._follow(self._connection, section)

    def _follow(self, connection: int, section: Section) -> None:
        engine = self._media.engine
        if section.current.receives and section.remote_ssrcs:
            ssrc, *rtx = section.remote_ssrcs
            if ssrc not in self.inbound:
                known = self.core.media.inbound.get(ssrc)
                self.inbound[ssrc] = engine.add_inbound(
                    connection,
                    ssrc=ssrc,
                    kind=section.kind,
                    rtx_ssrc=rtx[0] if rtx else 0,
                    highest=None if known is None else known.highest,
                )
        sends = section.current.sends and section.payload_type is not None
        if sends and section.ssrc not in self.outbound:
            assert section.payload_type is not None
            has_rtx = section.rtx_ssrc and section.rtx_payload_type is not None
            self.outbound[section.ssrc] = engine.add_outbound(
                connection,
                ssrc=section.ssrc,
                payload_type=section.payload_type,
                rtx_ssrc=section.rtx_ssrc if has_rtx else 0,
                rtx_payload_type=section.rtx_payload_type or 0,
                mid=section.mid,
                publisher=self._publisher,
                pattern=SILENT_VIDEO if section.kind == "video" else SILENT_AUDIO,
            )

    def _send_pattern(self, kind: str, pattern: VideoPattern | AudioPattern) -> None:
        for section in self.core.descriptions.sections:
            if section.kind == kind and section.ssrc in self.outbound:
                self._media.engine.set_pattern(self.outbound[section.ssrc], pattern)
