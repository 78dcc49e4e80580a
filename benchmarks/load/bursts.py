"""
Media in bulk: frames as one sealed, segmented message; and receivers whose media is dropped on the
way, which report all the same as if they had it.
"""

import random
import socket
import struct
import time
from dataclasses import dataclass, field

from router._fastpath.srtp import SrtpSession, seal_batch
from router.rtp import PacketType, RtcpPacket, TransportFeedback
from router.sdp.config import TRANSPORT_WIDE_CC_EXTENSION

from .description import Section
from .peer import Peer

UDP_SEGMENT = 103
PACKETS = (5, 15)
"""Of a frame: at least and at most."""
PACKET_BYTES = 1200
"""A full packet with header and tag."""
FEEDBACK_PACKETS = 1000
"""Of which one feedback packet tells, so that it fits into a datagram."""
HISTORY = 2048
"""Frames that can still be checked."""
_TAG = 16
_FILLER = random.Random(3).randbytes(4096)
_MARK = struct.Struct("!4sIIH")
_MAGIC = b"plbf"
MARK_AT = 5
"""Bytes of VP8 descriptor and frame header before what :func:`frame_payload` returns."""


def frame_payload(publisher: int, frame: int, index: int, length: int) -> bytes:
    """Return what a packet carries: all of it follows from these."""
    head = _MARK.pack(_MAGIC, publisher, frame, index)
    offset = (frame * 7 + index * 13) % 1024
    return head + _FILLER[offset : offset + length - len(head)]


def read_mark(payload: bytes) -> tuple[int, int, int] | None:
    """Return publisher, frame and index of a packet of :class:`FrameSender`, or None."""
    if len(payload) < MARK_AT + _MARK.size:
        return None
    magic, publisher, frame, index = _MARK.unpack_from(payload, MARK_AT)
    return (publisher, frame, index) if magic == _MAGIC else None


@dataclass(frozen=True, slots=True)
class SentFrame:
    """The numbers by which a frame went out."""

    at: float
    """Wall-clock time, in seconds."""
    sequence_number: int
    """Of its first packet."""
    timestamp: int
    picture_id: int
    """Of 15 bits."""
    packets: int


class FrameSender:
    """
    Sends frames of VP8: full packets and a shorter last one, as one message to the kernel.

    :param session: Keys of AEAD_AES_128_GCM.
    :param wraps: Whether rollovers count, as SRTP wants it.
    """

    def __init__(
        self,
        sending: socket.socket,
        destination: tuple[str, int],
        session: SrtpSession,
        *,
        publisher: int,
        ssrc: int,
        payload_type: int,
        transport_cc_id: int,
        sequence_number: int = 0,
        timestamp: int = 0,
        picture_id: int = 0,
        rollover: int = 0,
        wraps: bool = True,
    ) -> None:
        self.publisher = publisher
        self.frames = 0
        self.packets = 0
        self.sent: dict[int, SentFrame] = {}
        """The last frames, by number."""
        self.key_frame_wanted = True
        self.sequence_number = sequence_number
        """Of the next packet; likewise the others."""
        self.timestamp = timestamp
        self.transport_cc = 0
        self._socket, self._destination, self._session = sending, destination, session
        self._ssrc, self._payload_type, self._transport_cc_id = ssrc, payload_type, transport_cc_id
        self._picture_id, self._rollover, self._wraps = picture_id, rollover, wraps
        self._timestamp_at = time.monotonic()
        self._rng = random.Random(publisher)

    def send(self) -> None:
        """Send one frame."""
        count = self._rng.randint(*PACKETS)
        last = self._rng.randrange(100, PACKET_BYTES - _TAG)
        now = time.monotonic()
        self.timestamp = (self.timestamp + max(1, int((now - self._timestamp_at) * 90000))) % 2**32
        self._timestamp_at = now
        picture = (0x8000 | self._picture_id & 0x7FFF).to_bytes(2, "big")
        first, picture_id = self.sequence_number, self._picture_id & 0x7FFF
        self._picture_id += 1
        key = self.key_frame_wanted
        self.key_frame_wanted = False
        jobs = []
        for index in range(count):
            size = last if index == count - 1 else PACKET_BYTES - _TAG
            marker = 0x80 if index == count - 1 else 0
            header = struct.pack(
                "!BBHIIHHBHB",
                0x90,
                marker | self._payload_type,
                self.sequence_number,
                self.timestamp,
                self._ssrc,
                0xBEDE,
                1,
                self._transport_cc_id << 4 | 1,
                self.transport_cc,
                0,
            )
            # The bit of a key frame (RFC 6386 section 9.1) counts behind the descriptor with S set.
            descriptor = (b"\x90" if index == 0 else b"\x80") + b"\x80" + picture
            descriptor += b"\x10" if key and index == 0 else b"\x11"
            size -= len(header) + len(descriptor)
            body = frame_payload(self.publisher, self.frames, index, size)
            jobs.append((self._session, header + descriptor + body, self._rollover))
            self.sequence_number = (self.sequence_number + 1) & 0xFFFF
            self._rollover += self._wraps and self.sequence_number == 0
            self.transport_cc = (self.transport_cc + 1) & 0xFFFF
        message = b"".join(seal_batch(jobs))
        control = [(socket.SOL_UDP, UDP_SEGMENT, struct.pack("H", PACKET_BYTES))]
        self.sent[self.frames] = SentFrame(time.time(), first, self.timestamp, picture_id, count)
        self.sent.pop(self.frames - HISTORY, None)
        self._socket.sendmsg([message], control, 0, self._destination)
        self.frames += 1
        self.packets += count


class BurstPublisher:
    """
    Takes over a stream that a client publishes, once that is paused.

    :param peer: Connected; its AES-128-GCM keys seal the frames.
    """

    def __init__(self, peer: Peer, section: Section, *, publisher: int) -> None:
        stream = peer.core.media.outbound[section.ssrc]
        srtp, path = peer.core.srtp, peer.core.ice.selected_path
        assert srtp is not None
        assert path is not None
        assert section.payload_type is not None
        self._stream = stream
        self._requests = stream.counters.key_frame_requests
        state = stream.take_over()
        self.sender = FrameSender(
            peer.socket,
            (path[1].host, path[1].port),
            SrtpSession(srtp.profile.id, *srtp.local_keys),
            publisher=publisher,
            ssrc=section.ssrc,
            payload_type=section.payload_type,
            transport_cc_id=section.extensions[TRANSPORT_WIDE_CC_EXTENSION],
            sequence_number=state.sequence_number,
            timestamp=state.timestamp,
            picture_id=state.frames + (1 << 14),
        )
        self.sender.transport_cc = peer.core.media.transport_sequence_number()

    def send(self) -> None:
        """Send one frame, a key frame when the server asked for one."""
        requests = self._stream.counters.key_frame_requests
        if requests != self._requests:
            self._requests = requests
            self.sender.key_frame_wanted = True
        before = self.sender.packets
        self.sender.send()
        self._stream.sent_elsewhere(
            packets=self.sender.packets - before,
            timestamp=self.sender.timestamp,
            now=time.monotonic(),
        )


@dataclass(slots=True)
class Arrivals:
    """What came since the last feedback: the same for everybody whose media is dropped."""

    packets: dict[int, int] = field(default_factory=dict)
    """By publisher."""
    ticks: list[int] = field(default_factory=list)
    """Arrival times in units of 250 us."""

    def add(self, publisher: int, at: float) -> None:
        """Count a packet."""
        self.packets[publisher] = self.packets.get(publisher, 0) + 1
        self.ticks.append(int(at * 4000))


class FeedbackBody:
    """
    Transport-wide feedback that says that everything arrived, for many receivers at once.

    :param ticks: At most :data:`FEEDBACK_PACKETS`.
    """

    def __init__(self, ticks: list[int]) -> None:
        self.count = len(ticks)
        reference = ticks[0] // 256
        before = reference * 256
        deltas = bytearray()
        for tick in ticks:
            delta = min(255, max(0, tick - before))
            before += delta
            deltas.append(delta)
        chunks = b""
        for start in range(0, self.count, 0x1FFF):
            run = min(0x1FFF, self.count - start)
            chunks += (1 << 13 | run).to_bytes(2, "big")
        self._reference = (reference & 0xFFFFFF) << 8
        self._tail = chunks + bytes(deltas)

    def packet(self, *, sender_ssrc: int, media_ssrc: int, base: int, number: int) -> bytes:
        """Return the feedback of one receiver."""
        head = struct.pack(
            "!IIHHI", sender_ssrc, media_ssrc, base, self.count, self._reference | number & 0xFF
        )
        body = head + self._tail
        return RtcpPacket(
            packet_type=PacketType.RTPFB,
            count=TransportFeedback.TRANSPORT_CC,
            body=body + bytes(-len(body) % 4),
        ).serialize()


class DroppedReceiver:
    """
    A client whose media is dropped from now on: reports as if it had come.

    :param streams: SSRC of the inbound stream of each publisher.
    """

    def __init__(self, peer: Peer, streams: dict[int, int]) -> None:
        self._peer = peer
        self._inbound = {
            publisher: peer.core.media.inbound[ssrc] for publisher, ssrc in streams.items()
        }
        self._next = (peer.core.media.last_transport_cc + 1) & 0xFFFF
        self._feedback = 0

    def report(self, arrivals: Arrivals, bodies: list[FeedbackBody]) -> None:
        """Take over what arrived and send feedback; RRs follow by themselves."""
        for publisher, count in arrivals.packets.items():
            self._inbound[publisher].assume_received(count)
        core = self._peer.core
        path = core.ice.selected_path
        if core.srtp is None or path is None:
            return
        for body in bodies:
            packet = body.packet(
                sender_ssrc=1,
                media_ssrc=next(iter(self._inbound.values())).ssrc,
                base=self._next,
                number=self._feedback,
            )
            self._next = (self._next + body.count) & 0xFFFF
            self._feedback += 1
            self._peer.socket.sendto(core.srtp.protect_rtcp(packet), (path[1].host, path[1].port))
