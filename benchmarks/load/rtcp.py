"""RTCP as a client writes and reads it (RFC 3550 section 6, RFC 4585, RFC 5104)."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from router.errors import WireFormatError

SENDER_REPORT = 200
RECEIVER_REPORT = 201
SOURCE_DESCRIPTION = 202
BYE = 203
TRANSPORT_FEEDBACK = 205
PAYLOAD_FEEDBACK = 206

NACK = 1
TRANSPORT_CC = 15
PLI = 1
FIR = 4
APPLICATION_LAYER_FEEDBACK = 15

NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970."""

_HEAD = struct.Struct("!BBH")
_SENDER_INFO = struct.Struct("!IIIII")
_REPORT = struct.Struct("!IIIIII")


@dataclass(slots=True)
class RtcpPacket:
    """One packet of a compound."""

    packet_type: int
    count: int
    """Report count, source count or feedback message type."""
    body: bytes
    """What follows the four-byte head, without padding."""

    @property
    def sender_ssrc(self) -> int:
        """SSRC of who sent it."""
        return int.from_bytes(self.body[:4], "big")

    @property
    def media_ssrc(self) -> int:
        """SSRC that a feedback message is about."""
        return int.from_bytes(self.body[4:8], "big")


@dataclass(slots=True, kw_only=True)
class ReportBlock:
    """What a receiver says of one stream (RFC 3550 section 6.4.1)."""

    ssrc: int
    fraction_lost: int
    """Of 256, since the last report."""
    cumulative_lost: int
    highest_sequence_number: int
    """Extended."""
    jitter: int
    """RTP timestamp units."""
    last_sender_report: int
    """Middle 32 bits of the NTP timestamp; 0 without one."""
    delay_since_last: int
    """1/65536 seconds."""


@dataclass(slots=True, kw_only=True)
class SenderInfo:
    """The sender's part of an SR."""

    ssrc: int
    ntp: int
    """64-bit NTP timestamp."""
    rtp_timestamp: int
    packets: int
    octets: int


def _pack(packet_type: int, count: int, body: bytes) -> bytes:
    return _HEAD.pack(0x80 | count, packet_type, len(body) // 4) + body


def pack_report_block(block: ReportBlock) -> bytes:
    """Return the 24 bytes of a block."""
    lost = max(-0x800000, min(block.cumulative_lost, 0x7FFFFF)) & 0xFFFFFF
    return _REPORT.pack(
        block.ssrc,
        (block.fraction_lost << 24) | lost,
        block.highest_sequence_number & 0xFFFFFFFF,
        block.jitter & 0xFFFFFFFF,
        block.last_sender_report,
        min(block.delay_since_last, 0xFFFFFFFF),
    )


def pack_sender_report(info: SenderInfo, blocks: Iterable[ReportBlock] = ()) -> bytes:
    """Return an SR with at most 31 report blocks."""
    packed = [pack_report_block(block) for block in blocks]
    body = info.ssrc.to_bytes(4, "big") + _SENDER_INFO.pack(
        info.ntp >> 32, info.ntp & 0xFFFFFFFF, info.rtp_timestamp, info.packets, info.octets
    )
    return _pack(SENDER_REPORT, len(packed), body + b"".join(packed))


def pack_receiver_report(ssrc: int, blocks: Iterable[ReportBlock] = ()) -> bytes:
    """Return an RR with at most 31 report blocks."""
    packed = [pack_report_block(block) for block in blocks]
    return _pack(RECEIVER_REPORT, len(packed), ssrc.to_bytes(4, "big") + b"".join(packed))


def pack_cname(ssrc: int, cname: str) -> bytes:
    """Return an SDES packet with a CNAME."""
    text = cname.encode()
    chunk = ssrc.to_bytes(4, "big") + bytes((1, len(text))) + text + b"\0"
    return _pack(SOURCE_DESCRIPTION, 1, chunk + bytes(-len(chunk) % 4))


def pack_bye(ssrcs: Iterable[int]) -> bytes:
    """Return a BYE for at most 31 sources."""
    packed = [ssrc.to_bytes(4, "big") for ssrc in ssrcs]
    return _pack(BYE, len(packed), b"".join(packed))


def pack_nack(sender_ssrc: int, media_ssrc: int, sequence_numbers: Iterable[int]) -> bytes:
    """Return a generic NACK (RFC 4585 section 6.2.1). :param sequence_numbers: In order."""
    entries: list[tuple[int, int]] = []
    for number in sequence_numbers:
        distance = (number - entries[-1][0]) & 0xFFFF if entries else 0
        if 1 <= distance <= 16:
            pid, mask = entries[-1]
            entries[-1] = (pid, mask | 1 << (distance - 1))
        elif distance or not entries:
            entries.append((number & 0xFFFF, 0))
    body = struct.pack("!II", sender_ssrc, media_ssrc)
    return _pack(
        TRANSPORT_FEEDBACK, NACK, body + b"".join(struct.pack("!HH", *entry) for entry in entries)
    )


def pack_pli(sender_ssrc: int, media_ssrc: int) -> bytes:
    """Return a Picture Loss Indication."""
    return _pack(PAYLOAD_FEEDBACK, PLI, struct.pack("!II", sender_ssrc, media_ssrc))


def parse_compound(data: bytes) -> list[RtcpPacket]:
    """
    Parse the packets of a compound, reduced-size ones included (RFC 5506).

    :raises WireFormatError: if it is malformed.
    """
    packets: list[RtcpPacket] = []
    at = 0
    while at < len(data):
        if len(data) - at < 8 or data[at] >> 6 != 2:
            raise WireFormatError("an RTCP packet is cut off")
        first, packet_type, words = _HEAD.unpack_from(data, at)
        end = at + 4 + 4 * words
        if end > len(data) or not 192 <= packet_type <= 223 or words == 0:
            raise WireFormatError(f"an RTCP packet of type {packet_type} has {words} words")
        body = data[at + 4 : end]
        if first & 0x20:
            if not 0 < body[-1] <= len(body):
                raise WireFormatError("the RTCP padding is longer than its packet")
            body = body[: -body[-1]]
        packets.append(RtcpPacket(packet_type, first & 31, body))
        at = end
    return packets


def parse_sender_info(packet: RtcpPacket) -> SenderInfo:
    """Parse the fixed part of an SR. :raises WireFormatError: if it is cut off."""
    if len(packet.body) < 24:
        raise WireFormatError("a sender report is cut off")
    ntp_high, ntp_low, rtp_timestamp, packets, octets = _SENDER_INFO.unpack_from(packet.body, 4)
    return SenderInfo(
        ssrc=packet.sender_ssrc,
        ntp=ntp_high << 32 | ntp_low,
        rtp_timestamp=rtp_timestamp,
        packets=packets,
        octets=octets,
    )


def parse_report_blocks(packet: RtcpPacket) -> list[ReportBlock]:
    """Parse the report blocks of an SR or RR."""
    at = 24 if packet.packet_type == SENDER_REPORT else 4
    blocks: list[ReportBlock] = []
    for _ in range(packet.count):
        if at + _REPORT.size > len(packet.body):
            raise WireFormatError("a report block is cut off")
        ssrc, lost, highest, jitter, last, delay = _REPORT.unpack_from(packet.body, at)
        cumulative = lost & 0xFFFFFF
        blocks.append(
            ReportBlock(
                ssrc=ssrc,
                fraction_lost=lost >> 24,
                cumulative_lost=cumulative - (1 << 24) if cumulative >= 1 << 23 else cumulative,
                highest_sequence_number=highest,
                jitter=jitter,
                last_sender_report=last,
                delay_since_last=delay,
            )
        )
        at += _REPORT.size
    return blocks


def parse_nack(packet: RtcpPacket) -> Iterator[int]:
    """Yield the sequence numbers that a generic NACK asks for."""
    for at in range(8, len(packet.body) - 3, 4):
        pid, mask = struct.unpack_from("!HH", packet.body, at)
        yield pid
        for bit in range(16):
            if mask >> bit & 1:
                yield (pid + bit + 1) & 0xFFFF


def key_frame_targets(packet: RtcpPacket) -> tuple[int, ...]:
    """Return the SSRCs of which a PLI or FIR wants a key frame; empty for anything else."""
    if packet.packet_type != PAYLOAD_FEEDBACK:
        return ()
    if packet.count == PLI:
        return (packet.media_ssrc,)
    if packet.count == FIR:
        return tuple(
            int.from_bytes(packet.body[at : at + 4], "big")
            for at in range(8, len(packet.body) - 7, 8)
        )
    return ()


def ntp_timestamp(wall_time: float) -> int:
    """Return the 64-bit NTP timestamp of a Unix time in seconds."""
    return int((wall_time + NTP_EPOCH) * (1 << 32))
