"""The one subscriber whose media is not dropped: opens every packet and compares it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.engine import SentFrame
from benchmarks.load.bursts import MARK_AT, frame_payload, read_mark
from benchmarks.load.peer import Peer
from router.rtp import RtpPacket, parse_packet
from router.sdp.config import TRANSPORT_WIDE_CC_EXTENSION

if TYPE_CHECKING:
    from array import array

    from benchmarks.engine import FrameSender

_HALF = 0x8000


class WrongPacket(Exception):
    """What came is not what was sent."""


@dataclass(slots=True)
class _Stream:
    """By how much the numbers of a stream differ from those of its publisher."""

    sequence_number: int
    timestamp: int
    picture_id: int
    next_frame: tuple[int, int]
    """Frame and index of the packet that has to come next."""


class Continuity:
    """
    Compares the packets of one receiver with what was sent: payloads byte for byte, markers, and
    sequence numbers, timestamps and picture ids, which may differ by the same amount all along.
    Transport-wide numbers have to count all packets of the receiver.

    :param senders: By publisher's number.
    :param transport_cc_id: Of the header extension element.
    """

    def __init__(self, senders: "Mapping[int, FrameSender]", transport_cc_id: int) -> None:
        self.packets = 0
        """Since the start or :meth:`forget`; likewise the others."""
        self.latencies_ms: list[float] = []
        self._senders, self._transport_cc_id = senders, transport_cc_id
        self._streams: dict[int, _Stream] = {}
        self._transport_cc: int | None = None
        self._missing = self._skipped = self._forgotten = 0
        self._withheld = self._withheld_before = 0

    @property
    def lost(self) -> int:
        """Packets that did not come: gaps of the streams, or in the transport-wide numbers."""
        return max(self._missing, self._skipped) - self._forgotten

    @property
    def withheld(self) -> int:
        """Packets that the server did not send, having switched streams off."""
        return self._withheld - self._withheld_before

    def forget(self) -> None:
        """Count from here on."""
        self._forgotten += self.lost
        self._withheld_before = self._withheld
        self.packets = 0
        self.latencies_ms.clear()

    def take(self, rtp: RtpPacket, at_ns: int) -> None:
        """
        Take an opened packet.

        :param at_ns: Wall-clock time of its arrival.
        :raises WrongPacket: saying what is wrong with it.
        """
        mark = read_mark(rtp.payload)
        if mark is None:
            raise WrongPacket(f"a packet of SSRC {rtp.ssrc} is nobody's: {rtp.payload[:24].hex()}")
        publisher, frame, index = mark
        name = f"packet {index} of frame {frame} of publisher {publisher}"
        sent = self._senders[publisher].sent(frame) if publisher in self._senders else None
        if sent is None:
            raise WrongPacket(f"{name} was not sent lately")
        expected = frame_payload(publisher, frame, index, len(rtp.payload) - MARK_AT)
        if rtp.payload[MARK_AT:] != expected:
            raise WrongPacket(f"{name} is not what was sent")
        if rtp.marker != (index == sent.packets - 1):
            raise WrongPacket(f"{name} has marker {rtp.marker}")
        self._missing += self._compare(rtp, sent, (frame, index), name)
        self._count_transport_wide(rtp, name)
        self.packets += 1
        self.latencies_ms.append((at_ns - sent.at_ns) / 1e6)

    def _compare(self, rtp: RtpPacket, sent: SentFrame, place: tuple[int, int], name: str) -> int:
        """Return how many packets of the stream are missing before this one."""
        frame, index = place
        picture = int.from_bytes(rtp.payload[2:4], "big")
        found = _Stream(
            (rtp.sequence_number - sent.sequence_number - index) & 0xFFFF,
            (rtp.rtp_timestamp - sent.timestamp) & 0xFFFFFFFF,
            (picture - sent.picture_id) & 0x7FFF,
            (frame, index + 1) if index + 1 < sent.packets else (frame + 1, 0),
        )
        before = self._streams.get(rtp.ssrc)
        self._streams[rtp.ssrc] = found
        if before is None:
            return 0
        if place < before.next_frame:
            raise WrongPacket(f"{name} comes twice or late")
        if place == before.next_frame:
            missing = 0
        else:
            missing = self._sent_between(rtp, before.next_frame, sent.sequence_number + index, name)
        withheld = (before.sequence_number - found.sequence_number) & 0xFFFF
        if 0 < withheld <= missing and index == 0:
            # The server had switched the stream off; its numbers go on as if nothing had been sent.
            self._withheld += withheld
            return missing - withheld
        for what in ("sequence_number", "timestamp", "picture_id"):
            if getattr(before, what) != getattr(found, what):
                raise WrongPacket(
                    f"{name}: {what} is now {getattr(found, what)} ahead of what was sent, "
                    f"and was {getattr(before, what)} before"
                )
        return missing

    def _sent_between(self, rtp: RtpPacket, place: tuple[int, int], until: int, name: str) -> int:
        """Return how many packets of a publisher there are from a place to a sequence number."""
        sender = self._senders[int.from_bytes(rtp.payload[MARK_AT + 4 : MARK_AT + 8], "big")]
        first = sender.sent(place[0])
        if first is None:
            raise WrongPacket(f"{name} comes after frame {place[0]}, long ago")
        return (until - first.sequence_number - place[1]) & 0xFFFF

    def _count_transport_wide(self, rtp: RtpPacket, name: str) -> None:
        element = rtp.extension(self._transport_cc_id)
        if element is None or len(element) != 2:
            raise WrongPacket(f"{name} has no transport-wide number")
        number = int.from_bytes(element, "big")
        before, self._transport_cc = self._transport_cc, number
        if before is None:
            return
        step = (number - before) & 0xFFFF
        if not 1 <= step < _HALF:
            raise WrongPacket(f"{name} has transport-wide number {number} after {before}")
        self._skipped += step - 1


class SampledReceiver:
    """
    Reads a client's socket, which nobody else does any more, and keeps media until :meth:`check`.

    :param streams: SSRC of the inbound stream of each publisher.
    """

    def __init__(
        self, peer: Peer, senders: "Mapping[int, FrameSender]", streams: Mapping[int, int]
    ) -> None:
        from benchmarks.engine import Capture

        path = peer.core.ice.selected_path
        assert path is not None
        self.continuity = Continuity(senders, _transport_cc_id(peer))
        self._peer, self._server = peer, path[1]
        self._publishers = {ssrc: publisher for publisher, ssrc in streams.items()}
        self.capture = Capture(peer.socket)
        """To be read by whoever sends; besides, now and then, by :meth:`read`."""

    def check(self) -> None:
        """
        Open and compare what came since the last time.

        :raises WrongPacket: for the first one that is not right.
        """
        assert self._peer.core.srtp is not None
        for data, at_ns in self.capture.take():
            packet = self._peer.core.srtp.unprotect(data)
            if packet is None:
                raise WrongPacket(f"a packet does not authenticate: {data[:12].hex()}")
            self.continuity.take(parse_packet(packet), at_ns)

    def read(self) -> None:
        """Take what is there, and let the client have what is no media."""
        for data in self.capture.read():
            self._peer.receive(data, self._server)

    def arrivals(self) -> "tuple[dict[int, int], array[int]]":
        """Return what came since the last time: packets of each publisher, and when, in us."""
        packets, arrivals_us = self.capture.arrivals()
        found = self._publishers
        return {found[s]: count for s, count in packets.items() if s in found}, arrivals_us


def _transport_cc_id(peer: Peer) -> int:
    return next(
        section.extensions[TRANSPORT_WIDE_CC_EXTENSION]
        for section in peer.core.descriptions.sections
        if section.remote_ssrcs
    )
