"""RTCP feedback: generic NACK, PLI, FIR and REMB (RFC 4585, RFC 5104)."""

import enum
import struct
from dataclasses import dataclass

from router.errors import WireFormatError

from .rtcp import PacketType, RtcpPacket

_SSRCS = struct.Struct("!II")  # of the packet's sender, of the media source
_NACK_ENTRY = struct.Struct("!HH")  # PID, BLP
_FIR_ENTRY = struct.Struct("!IB3x")  # SSRC, command sequence number


class TransportFeedback(enum.IntEnum):
    """FMT of RTPFB."""

    NACK = 1
    TRANSPORT_CC = 15


class PayloadFeedback(enum.IntEnum):
    """FMT of PSFB."""

    PLI = 1
    FIR = 4
    APPLICATION = 15


def parse_ssrcs(packet: RtcpPacket) -> tuple[int, int]:
    """
    Return the SSRC of the sender and of the media source of a feedback packet.

    :raises WireFormatError: if it is too short.
    """
    if len(packet.body) < _SSRCS.size:
        raise WireFormatError(f"RTCP feedback has {len(packet.body)} bytes")
    sender_ssrc, media_ssrc = _SSRCS.unpack_from(packet.body)
    return sender_ssrc, media_ssrc


@dataclass(frozen=True, slots=True, kw_only=True)
class GenericNack:
    """Packets that a receiver misses (RFC 4585 section 6.2.1)."""

    sender_ssrc: int
    media_ssrc: int
    sequence_numbers: tuple[int, ...]
    """In ascending order, modulo 2^16."""

    def to_packet(self) -> RtcpPacket:
        """Return it as a packet of a compound."""
        entries: list[tuple[int, int]] = []
        for number in self.sequence_numbers:
            if entries and 0 < (number - entries[-1][0]) & 0xFFFF <= 16:
                pid, blp = entries[-1]
                entries[-1] = (pid, blp | 1 << ((number - pid - 1) & 0xFFFF))
            else:
                entries.append((number, 0))
        return RtcpPacket(
            packet_type=PacketType.RTPFB,
            count=TransportFeedback.NACK,
            body=_SSRCS.pack(self.sender_ssrc, self.media_ssrc)
            + b"".join(_NACK_ENTRY.pack(*entry) for entry in entries),
        )


def parse_nack(packet: RtcpPacket) -> GenericNack:
    """
    Parse a generic NACK.

    :raises WireFormatError: if it has no entry or a part of one.
    """
    sender_ssrc, media_ssrc = parse_ssrcs(packet)
    fci = packet.body[_SSRCS.size :]
    if not fci or len(fci) % _NACK_ENTRY.size:
        raise WireFormatError(f"generic NACK FCI has {len(fci)} bytes")
    numbers = []
    for pid, blp in _NACK_ENTRY.iter_unpack(fci):
        numbers.append(pid)
        numbers += [(pid + 1 + bit) & 0xFFFF for bit in range(16) if blp >> bit & 1]
    return GenericNack(
        sender_ssrc=sender_ssrc, media_ssrc=media_ssrc, sequence_numbers=tuple(numbers)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLossIndication:
    """A request for a key frame (RFC 4585 section 6.3.1)."""

    sender_ssrc: int
    media_ssrc: int

    def to_packet(self) -> RtcpPacket:
        """Return it as a packet of a compound."""
        return RtcpPacket(
            packet_type=PacketType.PSFB,
            count=PayloadFeedback.PLI,
            body=_SSRCS.pack(self.sender_ssrc, self.media_ssrc),
        )


def parse_pli(packet: RtcpPacket) -> PictureLossIndication:
    """
    Parse a PLI.

    :raises WireFormatError: if it is too short.
    """
    sender_ssrc, media_ssrc = parse_ssrcs(packet)
    return PictureLossIndication(sender_ssrc=sender_ssrc, media_ssrc=media_ssrc)


@dataclass(frozen=True, slots=True, kw_only=True)
class FullIntraRequest:
    """A command to send key frames (RFC 5104 section 4.3.1)."""

    sender_ssrc: int
    requests: tuple[tuple[int, int], ...]
    """SSRC and command sequence number (8 bits) of each."""

    def to_packet(self) -> RtcpPacket:
        """Return it as a packet of a compound."""
        return RtcpPacket(
            packet_type=PacketType.PSFB,
            count=PayloadFeedback.FIR,
            body=_SSRCS.pack(self.sender_ssrc, 0)
            + b"".join(_FIR_ENTRY.pack(*request) for request in self.requests),
        )


def parse_fir(packet: RtcpPacket) -> FullIntraRequest:
    """
    Parse a FIR.

    :raises WireFormatError: if it has a part of an entry.
    """
    sender_ssrc, _ = parse_ssrcs(packet)
    fci = packet.body[_SSRCS.size :]
    if len(fci) % _FIR_ENTRY.size:
        raise WireFormatError(f"FIR FCI has {len(fci)} bytes")
    requests = tuple((ssrc, number) for ssrc, number in _FIR_ENTRY.iter_unpack(fci))
    return FullIntraRequest(sender_ssrc=sender_ssrc, requests=requests)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverEstimatedMaximumBitrate:
    """REMB (draft-alvestrand-rmcat-remb-03)."""

    sender_ssrc: int
    bitrate_bps: int
    """Carried with 18 significant bits."""
    ssrcs: tuple[int, ...]
    """What the bitrate is for, together."""

    def to_packet(self) -> RtcpPacket:
        """Return it as a packet of a compound."""
        exponent = max(0, self.bitrate_bps.bit_length() - 18)
        return RtcpPacket(
            packet_type=PacketType.PSFB,
            count=PayloadFeedback.APPLICATION,
            body=_SSRCS.pack(self.sender_ssrc, 0)
            + b"REMB"
            + (len(self.ssrcs) << 24 | exponent << 18 | self.bitrate_bps >> exponent).to_bytes(
                4, "big"
            )
            + struct.pack(f"!{len(self.ssrcs)}I", *self.ssrcs),
        )


def parse_remb(packet: RtcpPacket) -> ReceiverEstimatedMaximumBitrate:
    """
    Parse a REMB.

    :raises WireFormatError: if it is no REMB or its SSRCs do not fit.
    """
    sender_ssrc, _ = parse_ssrcs(packet)
    fci = packet.body[_SSRCS.size :]
    if len(fci) < 8 or fci[:4] != b"REMB" or len(fci) < 8 + 4 * fci[4]:
        raise WireFormatError(f"application feedback of {len(fci)} bytes is no REMB")
    field = int.from_bytes(fci[5:8], "big")
    return ReceiverEstimatedMaximumBitrate(
        sender_ssrc=sender_ssrc,
        bitrate_bps=(field & 0x3FFFF) << (field >> 18),
        ssrcs=struct.unpack_from(f"!{fci[4]}I", fci, 8),
    )
