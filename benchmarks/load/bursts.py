"""
Media in bulk: frames as one sealed, segmented message; and receivers whose media is dropped on the
way, which report all the same as if they had it.
"""

import random
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING

from router._fastpath.srtp import SrtpSession
from router.sdp.config import TRANSPORT_WIDE_CC_EXTENSION

from .description import Section
from .handoff import EnginePeer

if TYPE_CHECKING:
    from array import array

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


class BurstPublisher:
    """
    Takes over a stream that a client publishes, once that is paused.

    :param peer: Connected, and not handed over yet; its AES-128-GCM keys seal the frames.
    """

    def __init__(self, peer: EnginePeer, section: Section, *, publisher: int) -> None:
        from benchmarks.engine import FrameSender

        stream = peer.core.media.outbound[section.ssrc]
        srtp, path = peer.core.srtp, peer.core.ice.selected_path
        assert srtp is not None
        assert path is not None
        assert section.payload_type is not None
        self._peer, self._ssrc = peer, section.ssrc
        self._requests = 0
        state = stream.take_over()
        self._packets = -stream.counters.packets
        self.sender = FrameSender(
            peer.socket,
            path[1],
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
        peer.hand_over()

    def follow(self) -> None:
        """Let reports tell of what was sent, and ask for a key frame when the server did."""
        packets = self.sender.packets
        requests = self._peer.assume_sent(
            self._ssrc, packets - self._packets, self.sender.timestamp
        )
        self._packets = packets
        if requests != self._requests:
            self._requests = requests
            self.sender.want_key_frame()


class DroppedReceiver:
    """
    A client whose media is dropped from now on: reports as if it had come.

    :param streams: SSRC of the inbound stream of each publisher.
    """

    def __init__(self, peer: EnginePeer, streams: dict[int, int]) -> None:
        self._peer = peer
        self._streams = {publisher: peer.inbound[ssrc] for publisher, ssrc in streams.items()}
        self._next = peer.core.media.last_transport_cc + 1

    def report(self, packets: Mapping[int, int], arrivals_us: "array[int]") -> None:
        """
        Take over what arrived and send feedback; RRs follow by themselves.

        :param packets: How many of each publisher.
        """
        self._peer.assume_received(
            {self._streams[publisher]: count for publisher, count in packets.items()},
            self._next & 0xFFFF,
            arrivals_us,
        )
        self._next += len(arrivals_us)
