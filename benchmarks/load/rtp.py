"""RTP packets as a client writes and reads them (RFC 3550 section 5.1, RFC 8285, RFC 4588)."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from router.errors import WireFormatError

HEADER_LENGTH = 12
_HEADER = struct.Struct("!BBHII")
_ONE_BYTE_PROFILE = 0xBEDE
_TWO_BYTE_PROFILE = 0x1000


@dataclass(slots=True)
class RtpPacket:
    """A packet that was received."""

    payload_type: int
    marker: bool
    sequence_number: int
    timestamp: int
    ssrc: int
    extensions: bytes
    """What follows the header extension's length word; empty without an extension."""
    extension_profile: int
    payload: bytes
    """Without padding."""


def pack_rtp(
    *,
    payload_type: int,
    marker: bool,
    sequence_number: int,
    timestamp: int,
    ssrc: int,
    extensions: bytes,
    payload: bytes,
) -> bytes:
    """Return a packet. :param extensions: From :func:`pack_extensions`, or empty."""
    return (
        _HEADER.pack(
            0x90 if extensions else 0x80,
            payload_type | (0x80 if marker else 0),
            sequence_number,
            timestamp,
            ssrc,
        )
        + extensions
        + payload
    )


def pack_extensions(elements: Iterable[tuple[int, bytes]]) -> bytes:
    """
    Return a one-byte header extension block, its four-byte head included; empty without elements.

    :param elements: Ids 1..14 with 1 to 16 bytes each.
    """
    body = b"".join(
        bytes(((identifier << 4) | (len(data) - 1),)) + data for identifier, data in elements
    )
    if not body:
        return b""
    body += bytes(-len(body) % 4)
    return struct.pack("!HH", _ONE_BYTE_PROFILE, len(body) // 4) + body


def parse_rtp(data: bytes) -> RtpPacket:
    """
    Parse a packet.

    :raises WireFormatError: if it is malformed.
    """
    if len(data) < HEADER_LENGTH or data[0] >> 6 != 2:
        raise WireFormatError(f"{len(data)} bytes are no RTP packet")
    first, second, sequence_number, timestamp, ssrc = _HEADER.unpack_from(data)
    at = HEADER_LENGTH + 4 * (first & 15)
    profile, extensions = 0, b""
    if first & 0x10:
        if len(data) < at + 4:
            raise WireFormatError("the header extension is cut off")
        profile, words = struct.unpack_from("!HH", data, at)
        extensions = data[at + 4 : at + 4 + 4 * words]
        at += 4 + 4 * words
    end = len(data)
    if first & 0x20:
        if not 0 < data[-1] <= end - at:
            raise WireFormatError("the padding is longer than the payload")
        end -= data[-1]
    if at > end:
        raise WireFormatError("the header is cut off")
    return RtpPacket(
        payload_type=second & 0x7F,
        marker=second >= 0x80,
        sequence_number=sequence_number,
        timestamp=timestamp,
        ssrc=ssrc,
        extensions=extensions,
        extension_profile=profile,
        payload=data[at:end],
    )


def parse_extensions(packet: RtpPacket) -> Iterator[tuple[int, bytes]]:
    """Yield the extension elements with their ids, in one-byte or two-byte form."""
    data, at = packet.extensions, 0
    if packet.extension_profile == _ONE_BYTE_PROFILE:
        while at < len(data):
            identifier, size = data[at] >> 4, (data[at] & 15) + 1
            if data[at] == 0:
                at += 1
                continue
            if identifier == 15:
                return
            yield identifier, data[at + 1 : at + 1 + size]
            at += 1 + size
    elif packet.extension_profile & 0xFFF0 == _TWO_BYTE_PROFILE:
        while at + 1 < len(data):
            if data[at] == 0:
                at += 1
                continue
            yield data[at], data[at + 2 : at + 2 + data[at + 1]]
            at += 2 + data[at + 1]


def unwrap_rtx(packet: RtpPacket, *, ssrc: int, payload_type: int) -> RtpPacket | None:
    """
    Return the packet that an RTX packet repeats (RFC 4588 section 4), or None for a bare probe.

    :param ssrc: Of the repeated stream; likewise ``payload_type``.
    """
    if len(packet.payload) < 2:
        return None
    return RtpPacket(
        payload_type=payload_type,
        marker=packet.marker,
        sequence_number=int.from_bytes(packet.payload[:2], "big"),
        timestamp=packet.timestamp,
        ssrc=ssrc,
        extensions=packet.extensions,
        extension_profile=packet.extension_profile,
        payload=packet.payload[2:],
    )


class SequenceUnwrapper:
    """Makes numbers of ``bits`` bits that wrap into numbers that do not (RFC 3550 A.1)."""

    __slots__ = ("_half", "_last", "_modulus")

    def __init__(self, bits: int) -> None:
        self._modulus = 1 << bits
        self._half = 1 << (bits - 1)
        self._last: int | None = None

    def unwrap(self, number: int) -> int:
        """Return the extended number nearest to the highest one seen."""
        if self._last is None:
            # Room for packets that were overtaken by the first one.
            self._last = self._modulus + number
            return self._last
        delta = (number - self._last) % self._modulus
        if delta >= self._half:
            delta -= self._modulus
        extended = self._last + delta
        self._last = max(self._last, extended)
        return extended
