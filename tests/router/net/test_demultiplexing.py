"""First-byte demultiplexing."""

import pytest

from router.net import DatagramKind, datagram_kind


@pytest.mark.parametrize(
    ("first", "last", "kind"),
    [
        (0, 3, DatagramKind.STUN),
        (4, 15, None),
        (16, 19, DatagramKind.ZRTP),
        (20, 63, DatagramKind.DTLS),
        (64, 79, DatagramKind.TURN_CHANNEL),
        (80, 127, None),
        (128, 191, DatagramKind.RTP),
        (192, 255, None),
    ],
)
def test_first_byte_decides_as_in_rfc_7983(
    first: int, last: int, kind: DatagramKind | None
) -> None:
    for byte in range(first, last + 1):
        assert datagram_kind(bytes([byte])) is kind
        assert datagram_kind(bytes([byte, 96, 0, 0])) is kind


def test_rtcp_is_told_from_rtp_by_the_second_byte() -> None:
    for second in range(256):
        expected = DatagramKind.RTCP if 192 <= second <= 223 else DatagramKind.RTP
        assert datagram_kind(bytes([0x80, second, 0, 0])) is expected


def test_empty_datagram_has_no_kind() -> None:
    assert datagram_kind(b"") is None
