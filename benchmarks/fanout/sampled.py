"""The one subscriber whose media is not dropped: opens every packet and compares it."""

import socket
import struct

from pylibsrtp import Error

from benchmarks.load.bursts import MARK_AT, Arrivals, FrameSender, frame_payload, read_mark
from benchmarks.load.peer import Peer
from router.rtp import parse_packet

SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("ll")
_PER_WAKE = 64


class WrongPacket(Exception):
    """What came is not what was sent."""


class SampledReceiver:
    """Reads a client's socket from now on. :raises WrongPacket: from :meth:`check`."""

    def __init__(self, peer: Peer, senders: dict[int, FrameSender]) -> None:
        self.packets = self.lost = 0
        self.latencies_ms: list[float] = []
        self.arrivals = Arrivals()
        self._peer, self._senders = peer, senders
        self._next: dict[int, int] = {}
        self._frames: dict[int, tuple[int, int]] = {}
        self._failure: Exception | None = None
        peer.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        peer.read_by(self._read)

    def check(self) -> None:
        """Raise what went wrong so far."""
        if self._failure is not None:
            raise self._failure

    def _read(self) -> None:
        for _ in range(_PER_WAKE):
            try:
                data, control, _, source = self._peer.socket.recvmsg(2048, 64)
            except BlockingIOError:
                return
            if data[0] >> 6 != 2 or 192 <= data[1] <= 223:
                self._peer.receive(data, source)
                continue
            try:
                self._take(data, sum(_timestamp(control)))
            except (WrongPacket, Error) as error:
                self._failure = self._failure or error

    def _take(self, data: bytes, at: float) -> None:
        assert self._peer.core.srtp is not None
        packet = self._peer.core.srtp.unprotect(data)
        if packet is None:
            raise WrongPacket("a packet does not authenticate")
        rtp = parse_packet(packet)
        mark = read_mark(rtp.payload)
        if mark is None:
            raise WrongPacket(f"a packet of SSRC {rtp.ssrc} is nobody's: {rtp.payload[:24].hex()}")
        publisher, frame, index = mark
        expected = frame_payload(publisher, frame, index, len(rtp.payload) - MARK_AT)
        if rtp.payload[MARK_AT:] != expected:
            raise WrongPacket(
                f"packet {index} of frame {frame} of {publisher} is not what was sent"
            )
        wanted = self._next.get(rtp.ssrc, rtp.sequence_number)
        gap = (rtp.sequence_number - wanted) & 0xFFFF
        if gap > 0x7FFF:
            raise WrongPacket(f"sequence number {rtp.sequence_number} after {wanted}")
        self.lost += gap
        self._next[rtp.ssrc] = (rtp.sequence_number + 1) & 0xFFFF
        picture = int.from_bytes(rtp.payload[2:4], "big") & 0x7FFF
        before = self._frames.get(rtp.ssrc)
        if before is not None and (picture - before[1]) & 0x7FFF != (frame - before[0]) & 0x7FFF:
            raise WrongPacket(f"picture id {picture} of frame {frame} after {before}")
        self._frames[rtp.ssrc] = frame, picture
        self.packets += 1
        self.arrivals.add(publisher, at)
        sent_at = self._senders[publisher].sent_at.get(frame)
        if sent_at is not None:
            self.latencies_ms.append((at - sent_at) * 1e3)


def _timestamp(control: list[tuple[int, int, bytes]]) -> tuple[float, float]:
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return seconds, nanoseconds / 1e9
    raise WrongPacket("the kernel gave no time of arrival")
