"""RTCP packets: the common header, compounds, reports, SDES and BYE (RFC 3550 section 6)."""

import enum
import struct
from dataclasses import dataclass

from router.errors import WireFormatError

_HEADER = struct.Struct("!BBH")  # V P count, packet type, length in words minus one
_SENDER_INFO = struct.Struct("!IQIII")  # SSRC, NTP, RTP timestamp, packets, octets
_REPORT_BLOCK = struct.Struct("!IIIIII")  # SSRC, fraction and lost, highest, jitter, LSR, DLSR


class PacketType(enum.IntEnum):
    """RTCP packet types."""

    SR = 200
    RR = 201
    SDES = 202
    BYE = 203
    APP = 204
    RTPFB = 205
    PSFB = 206
    XR = 207


@dataclass(frozen=True, slots=True, kw_only=True)
class RtcpPacket:
    """One packet of a compound, its body not yet looked into."""

    packet_type: int
    count: int
    """RC, SC, FMT or subtype: 0 to 31."""
    body: bytes
    """What follows the first word, without padding."""

    def serialize(self) -> bytes:
        """Return the packet, padded where the body does not end with a word."""
        padding = -len(self.body) % 4
        first = 0x80 | (padding > 0) << 5 | self.count
        body = self.body
        if padding:
            body += bytes(padding - 1) + bytes([padding])
        return _HEADER.pack(first, self.packet_type, len(body) // 4) + body


def parse_compound(data: bytes) -> list[RtcpPacket]:
    """
    Return the packets of a compound or reduced-size RTCP datagram (RFC 3550 6.1, RFC 5506).

    RFC 3550 wants padding in words; transport-wide feedback is padded by bytes, so these pass too.

    :raises WireFormatError: if a header, a length or the padding does not fit.
    """
    packets = []
    at = 0
    while at < len(data):
        if at + _HEADER.size > len(data):
            raise WireFormatError(f"{len(data) - at} bytes behind the last RTCP packet")
        first, packet_type, words = _HEADER.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2 or end > len(data):
            raise WireFormatError(f"RTCP header {data[at : at + 4].hex()} does not fit")
        padding = data[end - 1] if first & 0x20 else 0
        if first & 0x20 and not 0 < padding <= 4 * words:
            raise WireFormatError(f"RTCP padding of {padding} bytes does not fit")
        packets.append(
            RtcpPacket(packet_type=packet_type, count=first & 31, body=data[at + 4 : end - padding])
        )
        at = end
    return packets


def serialize_compound(packets: list[RtcpPacket]) -> bytes:
    """Return the packets one behind the other."""
    return b"".join(packet.serialize() for packet in packets)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBlock:
    """What a receiver tells about one SSRC (RFC 3550 section 6.4.1)."""

    ssrc: int
    fraction_lost: int
    """In 1/256, of the last interval."""
    packets_lost: int
    """24 bits, signed."""
    highest_sequence_number: int
    """Extended: 32 bits."""
    jitter: int
    """In timestamp units."""
    last_sr: int
    """Middle 32 bits of the last sender report's NTP time, 0 when there was none."""
    delay_since_last_sr: int
    """In 1/65536 s."""


def _parse_blocks(packet: RtcpPacket, at: int) -> tuple[ReportBlock, ...]:
    if at + packet.count * _REPORT_BLOCK.size > len(packet.body):
        raise WireFormatError(f"{packet.count} report blocks do not fit")
    blocks = []
    for n in range(packet.count):
        ssrc, loss, highest, jitter, last_sr, delay = _REPORT_BLOCK.unpack_from(
            packet.body, at + n * _REPORT_BLOCK.size
        )
        lost = loss & 0xFFFFFF
        blocks.append(
            ReportBlock(
                ssrc=ssrc,
                fraction_lost=loss >> 24,
                packets_lost=lost - (1 << 24) if lost >> 23 else lost,
                highest_sequence_number=highest,
                jitter=jitter,
                last_sr=last_sr,
                delay_since_last_sr=delay,
            )
        )
    return tuple(blocks)


def _serialize_blocks(blocks: tuple[ReportBlock, ...]) -> bytes:
    return b"".join(
        _REPORT_BLOCK.pack(
            block.ssrc,
            block.fraction_lost << 24 | block.packets_lost & 0xFFFFFF,
            block.highest_sequence_number,
            block.jitter,
            block.last_sr,
            block.delay_since_last_sr,
        )
        for block in blocks
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """SR (RFC 3550 section 6.4.1)."""

    ssrc: int
    ntp: int
    """NTP timestamp: seconds since 1900 in 32.32 fixed point."""
    rtp_timestamp: int
    """The same instant on the media clock."""
    packet_count: int
    octet_count: int
    blocks: tuple[ReportBlock, ...] = ()

    def to_packet(self) -> RtcpPacket:
        """Return it as a packet of a compound."""
        info = _SENDER_INFO.pack(
            self.ssrc, self.ntp, self.rtp_timestamp, self.packet_count, self.octet_count
        )
        return RtcpPacket(
            packet_type=PacketType.SR,
            count=len(self.blocks),
            body=info + _serialize_blocks(self.blocks),
        )


def parse_sender_report(packet: RtcpPacket) -> SenderReport:
    """
    Parse an SR; profile-specific extensions are ignored.

    :raises WireFormatError: if it is too short.
    """
    if len(packet.body) < _SENDER_INFO.size:
        raise WireFormatError(f"SR has {len(packet.body)} bytes")
    ssrc, ntp, rtp_timestamp, packets, octets = _SENDER_INFO.unpack_from(packet.body)
    return SenderReport(
        ssrc=ssrc,
        ntp=ntp,
        rtp_timestamp=rtp_timestamp,
        packet_count=packets,
        octet_count=octets,
        blocks=_parse_blocks(packet, _SENDER_INFO.size),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverReport:
    """RR (RFC 3550 section 6.4.2)."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()

    def to_packet(self) -> RtcpPacket:
        """Return it as a packet of a compound."""
        return RtcpPacket(
            packet_type=PacketType.RR,
            count=len(self.blocks),
            body=self.ssrc.to_bytes(4, "big") + _serialize_blocks(self.blocks),
        )


def parse_receiver_report(packet: RtcpPacket) -> ReceiverReport:
    """
    Parse an RR; profile-specific extensions are ignored.

    :raises WireFormatError: if it is too short.
    """
    if len(packet.body) < 4:
        raise WireFormatError(f"RR has {len(packet.body)} bytes")
    return ReceiverReport(
        ssrc=int.from_bytes(packet.body[:4], "big"), blocks=_parse_blocks(packet, 4)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDescription:
    """The CNAME of each source of an SDES packet (RFC 3550 section 6.5), without other items."""

    cnames: tuple[tuple[int, bytes], ...]
    """SSRC and CNAME of each chunk; at most 31."""

    def to_packet(self) -> RtcpPacket:
        """Return it as a packet of a compound."""
        chunks = []
        for ssrc, cname in self.cnames:
            chunk = ssrc.to_bytes(4, "big") + bytes([1, len(cname)]) + cname + b"\0"
            chunks.append(chunk + bytes(-len(chunk) % 4))
        return RtcpPacket(
            packet_type=PacketType.SDES, count=len(self.cnames), body=b"".join(chunks)
        )


def parse_source_description(packet: RtcpPacket) -> SourceDescription:
    """
    Parse an SDES packet.

    :raises WireFormatError: if a chunk does not fit.
    """
    cnames = []
    body = packet.body
    at = 0
    for _ in range(packet.count):
        if at + 4 > len(body):
            raise WireFormatError("SDES chunk does not fit")
        ssrc = int.from_bytes(body[at : at + 4], "big")
        at += 4
        while True:
            if at >= len(body):
                raise WireFormatError("SDES chunk has no end")
            if body[at] == 0:
                at = (at + 4) & ~3
                break
            if at + 2 > len(body) or at + 2 + body[at + 1] > len(body):
                raise WireFormatError("SDES item does not fit")
            if body[at] == 1:
                cnames.append((ssrc, body[at + 2 : at + 2 + body[at + 1]]))
            at += 2 + body[at + 1]
    return SourceDescription(cnames=tuple(cnames))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bye:
    """BYE (RFC 3550 section 6.6), without the reason."""

    ssrcs: tuple[int, ...]

    def to_packet(self) -> RtcpPacket:
        """Return it as a packet of a compound."""
        return RtcpPacket(
            packet_type=PacketType.BYE,
            count=len(self.ssrcs),
            body=struct.pack(f"!{len(self.ssrcs)}I", *self.ssrcs),
        )


def parse_bye(packet: RtcpPacket) -> Bye:
    """
    Parse a BYE packet; its reason is ignored.

    :raises WireFormatError: if the SSRCs do not fit.
    """
    if 4 * packet.count > len(packet.body):
        raise WireFormatError(f"{packet.count} SSRCs do not fit into BYE")
    return Bye(ssrcs=struct.unpack_from(f"!{packet.count}I", packet.body))
