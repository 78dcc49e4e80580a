"""Telling apart the protocols that share one UDP port (RFC 7983, RFC 5761)."""

import enum


class DatagramKind(enum.Enum):
    """What the first byte of a datagram says it is (RFC 7983 section 7)."""

    STUN = "stun"
    ZRTP = "zrtp"
    DTLS = "dtls"
    TURN_CHANNEL = "turn channel"
    RTP = "rtp"
    RTCP = "rtcp"


def _kinds_by_first_byte() -> list[DatagramKind | None]:
    kinds: list[DatagramKind | None] = [None] * 256
    for first, last, kind in (
        (0, 3, DatagramKind.STUN),
        (16, 19, DatagramKind.ZRTP),
        (20, 63, DatagramKind.DTLS),
        (64, 79, DatagramKind.TURN_CHANNEL),
        (128, 191, DatagramKind.RTP),
    ):
        kinds[first : last + 1] = [kind] * (last + 1 - first)
    return kinds


_KINDS = _kinds_by_first_byte()


def datagram_kind(data: bytes) -> DatagramKind | None:
    """
    Return which protocol a datagram belongs to, or None for one that no range covers.

    RTP and RTCP are told apart by the second byte: with rtcp-mux, 192..223 are RTCP packet types
    and never RTP payload types, with or without the marker bit (RFC 5761 section 4). Only the
    first two bytes are read; the datagram may still be malformed.
    """
    if not data:
        return None
    kind = _KINDS[data[0]]
    if kind is DatagramKind.RTP and len(data) > 1 and 192 <= data[1] <= 223:
        return DatagramKind.RTCP
    return kind
