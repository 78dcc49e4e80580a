"""
Transport-wide congestion control feedback.

draft-holmer-rmcat-transport-wide-cc-extensions-01. Arrival times are in units of 250 us.
"""

import struct
from dataclasses import dataclass

from router.errors import WireFormatError

from .feedback import TransportFeedback
from .rtcp import PacketType, RtcpPacket

_HEADER = struct.Struct("!IIHHI")  # SSRCs, base, status count, reference time and packet count

REFERENCE_TICKS = 256
"""Units of 250 us in one of the reference time (64 ms)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportCcFeedback:
    """When packets arrived."""

    sender_ssrc: int
    media_ssrc: int
    base_sequence_number: int
    reference_time: int
    """24 bits, in units of 64 ms."""
    feedback_count: int
    """8 bits, one more with each feedback packet."""
    deltas: tuple[int | None, ...]
    """
    For each packet from the base on: ticks of 250 us since the packet received before it (the
    first one: since the reference time), -32,768 to 32,767; None if it was not received.
    """

    def arrivals(self) -> list[tuple[int, int]]:
        """Return (sequence number, arrival time in ticks of 250 us) of each received packet."""
        at = self.reference_time * REFERENCE_TICKS
        arrived = []
        for n, delta in enumerate(self.deltas):
            if delta is not None:
                at += delta
                arrived.append(((self.base_sequence_number + n) & 0xFFFF, at))
        return arrived

    def to_packet(self) -> RtcpPacket:
        """Return it as a packet of a compound, with two-bit status vectors only."""
        symbols = [0 if d is None else 1 if 0 <= d <= 255 else 2 for d in self.deltas]
        body = _HEADER.pack(
            self.sender_ssrc,
            self.media_ssrc,
            self.base_sequence_number,
            len(self.deltas),
            self.reference_time << 8 | self.feedback_count,
        )
        for start in range(0, len(symbols), 7):
            chunk = 0xC000
            for n, symbol in enumerate(symbols[start : start + 7]):
                chunk |= symbol << (12 - 2 * n)
            body += chunk.to_bytes(2, "big")
        for delta, symbol in zip(self.deltas, symbols, strict=True):
            if delta is not None:
                body += delta.to_bytes(symbol, "big", signed=symbol == 2)
        return RtcpPacket(
            packet_type=PacketType.RTPFB,
            count=TransportFeedback.TRANSPORT_CC,
            body=body,
        )


def parse_transport_cc(packet: RtcpPacket) -> TransportCcFeedback:
    """
    Parse transport-wide feedback.

    :raises WireFormatError: if chunks or deltas do not fit, or a symbol is the reserved one.
    """
    body = packet.body
    if len(body) < _HEADER.size:
        raise WireFormatError(f"transport-wide feedback has {len(body)} bytes")
    sender_ssrc, media_ssrc, base, count, reference = _HEADER.unpack_from(body)
    symbols, at = _parse_chunks(body, count)
    deltas: list[int | None] = []
    for symbol in symbols:
        if at + symbol > len(body):
            raise WireFormatError("receive delta does not fit")
        delta = int.from_bytes(body[at : at + symbol], "big", signed=symbol == 2)
        deltas.append(delta if symbol else None)
        at += symbol
    return TransportCcFeedback(
        sender_ssrc=sender_ssrc,
        media_ssrc=media_ssrc,
        base_sequence_number=base,
        reference_time=reference >> 8,
        feedback_count=reference & 0xFF,
        deltas=tuple(deltas),
    )


def _parse_chunks(body: bytes, count: int) -> tuple[list[int], int]:
    """Return ``count`` symbols, each the number of bytes of its delta, and where deltas begin."""
    symbols: list[int] = []
    at = _HEADER.size
    while len(symbols) < count:
        if at + 2 > len(body):
            raise WireFormatError("packet status chunk does not fit")
        chunk = int.from_bytes(body[at : at + 2], "big")
        at += 2
        if chunk >> 15 == 0:
            run = min(chunk & 0x1FFF, count - len(symbols))
            if run == 0:
                raise WireFormatError("packet status run is empty")
            symbols += [chunk >> 13 & 3] * run
        elif chunk >> 14 & 1:
            symbols += [chunk >> shift & 3 for shift in range(12, -2, -2)]
        else:
            symbols += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    symbols = symbols[:count]
    if 3 in symbols:
        raise WireFormatError("packet status symbol is the reserved one")
    return symbols, at
