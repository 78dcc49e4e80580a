"""RTP packets and their header extension elements (RFC 3550 section 5.1, RFC 8285)."""

import struct
from dataclasses import dataclass

from router.errors import WireFormatError

_FIXED_HEADER = struct.Struct("!BBHII")  # V P X CC, M PT, sequence number, timestamp, SSRC
_EXTENSION_HEADER = struct.Struct("!HH")  # defined by profile, length in words

_ONE_BYTE_PROFILE = 0xBEDE
_TWO_BYTE_PROFILE = 0x1000  # the low four bits are "appbits"


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpPacket:
    """One RTP packet, without the protection of SRTP."""

    payload_type: int
    """0 to 127."""
    sequence_number: int
    """16 bits."""
    rtp_timestamp: int
    """32 bits, in units of the codec's clock rate."""
    ssrc: int
    """32 bits."""
    payload: bytes = b""
    """Without padding."""
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    """At most 15."""
    extensions: tuple[tuple[int, bytes], ...] = ()
    """Elements in wire order: id 1 to 14 with 1 to 16 bytes, else id up to 255 and 255 bytes."""
    padding: int = 0
    """Bytes of padding, 0 to 255, the last of which is the count."""

    def extension(self, number: int) -> bytes | None:
        """Return the first element with this id, or None."""
        return next((data for n, data in self.extensions if n == number), None)

    def serialize(self) -> bytes:
        """Return the packet; elements are in the one-byte form wherever all of them fit it."""
        header = _FIXED_HEADER.pack(
            0x80 | (self.padding > 0) << 5 | bool(self.extensions) << 4 | len(self.csrcs),
            self.marker << 7 | self.payload_type,
            self.sequence_number,
            self.rtp_timestamp,
            self.ssrc,
        )
        parts = [header, struct.pack(f"!{len(self.csrcs)}I", *self.csrcs)]
        if self.extensions:
            parts.append(_serialize_extensions(self.extensions))
        parts.append(self.payload)
        if self.padding:
            parts.append(bytes(self.padding - 1) + bytes([self.padding]))
        return b"".join(parts)


def _serialize_extensions(elements: tuple[tuple[int, bytes], ...]) -> bytes:
    if all(1 <= number <= 14 and 1 <= len(data) <= 16 for number, data in elements):
        profile = _ONE_BYTE_PROFILE
        body = b"".join(bytes([n << 4 | len(data) - 1]) + data for n, data in elements)
    else:
        profile = _TWO_BYTE_PROFILE
        body = b"".join(bytes([n, len(data)]) + data for n, data in elements)
    body += bytes(-len(body) % 4)
    return _EXTENSION_HEADER.pack(profile, len(body) // 4) + body


def parse_packet(data: bytes) -> RtpPacket:
    """
    Parse an RTP packet.

    Elements that do not fit end the list of extensions; those before them are kept (RFC 8285
    section 4.1.2 asks receivers for that robustness). Profiles that are not RFC 8285's are skipped.

    :raises WireFormatError: if the header or the padding does not fit.
    """
    if len(data) < _FIXED_HEADER.size:
        raise WireFormatError(f"RTP packet has {len(data)} bytes")
    first, second, sequence_number, rtp_timestamp, ssrc = _FIXED_HEADER.unpack_from(data)
    if first >> 6 != 2:
        raise WireFormatError(f"RTP version is {first >> 6}")
    at = _FIXED_HEADER.size + 4 * (first & 15)
    if at > len(data):
        raise WireFormatError("CSRCs do not fit")
    csrcs = struct.unpack_from(f"!{first & 15}I", data, _FIXED_HEADER.size)
    extensions: tuple[tuple[int, bytes], ...] = ()
    if first & 0x10:
        if at + _EXTENSION_HEADER.size > len(data):
            raise WireFormatError("extension header does not fit")
        profile, words = _EXTENSION_HEADER.unpack_from(data, at)
        at += _EXTENSION_HEADER.size
        if at + 4 * words > len(data):
            raise WireFormatError("header extension does not fit")
        extensions = _parse_extensions(profile, data[at : at + 4 * words])
        at += 4 * words
    padding = 0
    if first & 0x20:
        padding = data[-1]
        if padding == 0 or at + padding > len(data):
            raise WireFormatError(f"padding of {padding} bytes does not fit")
    return RtpPacket(
        payload_type=second & 127,
        sequence_number=sequence_number,
        rtp_timestamp=rtp_timestamp,
        ssrc=ssrc,
        payload=data[at : len(data) - padding],
        marker=second >> 7 == 1,
        csrcs=csrcs,
        extensions=extensions,
        padding=padding,
    )


def _parse_extensions(profile: int, data: bytes) -> tuple[tuple[int, bytes], ...]:
    if profile == _ONE_BYTE_PROFILE:
        return _parse_one_byte(data)
    if profile & 0xFFF0 == _TWO_BYTE_PROFILE:
        return _parse_two_byte(data)
    return ()


def _parse_one_byte(data: bytes) -> tuple[tuple[int, bytes], ...]:
    elements = []
    at = 0
    while at < len(data):
        number, length = data[at] >> 4, (data[at] & 15) + 1
        if data[at] == 0:
            at += 1
            continue
        if number == 15 or at + 1 + length > len(data):
            break
        elements.append((number, data[at + 1 : at + 1 + length]))
        at += 1 + length
    return tuple(elements)


def _parse_two_byte(data: bytes) -> tuple[tuple[int, bytes], ...]:
    elements = []
    at = 0
    while at < len(data):
        if data[at] == 0:
            at += 1
            continue
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            break
        elements.append((data[at], data[at + 2 : at + 2 + data[at + 1]]))
        at += 2 + data[at + 1]
    return tuple(elements)


def unwrap_rtx(packet: RtpPacket, *, payload_type: int, ssrc: int) -> RtpPacket:
    """
    Return the packet that an RTX packet carries (RFC 4588 section 4).

    :param payload_type: Of the original stream; likewise ``ssrc``.
    :raises WireFormatError: if there is no original sequence number, as in padding.
    """
    if len(packet.payload) < 2:
        raise WireFormatError(f"RTX payload has {len(packet.payload)} bytes")
    return RtpPacket(
        payload_type=payload_type,
        sequence_number=int.from_bytes(packet.payload[:2], "big"),
        rtp_timestamp=packet.rtp_timestamp,
        ssrc=ssrc,
        payload=packet.payload[2:],
        marker=packet.marker,
        csrcs=packet.csrcs,
        extensions=packet.extensions,
    )


def wrap_rtx(packet: RtpPacket, *, payload_type: int, sequence_number: int, ssrc: int) -> RtpPacket:
    """Return the RTX packet for ``packet`` (RFC 4588 section 4)."""
    return RtpPacket(
        payload_type=payload_type,
        sequence_number=sequence_number,
        rtp_timestamp=packet.rtp_timestamp,
        ssrc=ssrc,
        payload=packet.sequence_number.to_bytes(2, "big") + packet.payload,
        marker=packet.marker,
        csrcs=packet.csrcs,
        extensions=packet.extensions,
    )
