"""CRC32c against RFC 3720 appendix B.4, a bitwise model and an independent library."""

import random

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.sctp.crc32c import crc32c

# The fields of a SCSI READ (10) command, from the same appendix.
_ISCSI_READ = bytes.fromhex(
    "01c000000000000000000000000000001400000000000400000000140000001828000000000000000200000000000000"
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
        (_ISCSI_READ, 0xD9963A56),
    ],
)
def test_crc32c_of_the_rfc_vectors(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


@given(st.binary(max_size=3000))
def test_crc32c_agrees_with_an_independent_library(data: bytes) -> None:
    assert crc32c(data) == google_crc32c.value(data)


def test_crc32c_agrees_at_every_length_of_a_packet() -> None:
    data = random.Random(1).randbytes(17000)
    for length in [*range(1300), 7363 // 8, 7363 // 8 + 1, 9000, 16384, 17000]:
        assert crc32c(data[:length]) == google_crc32c.value(data[:length]), length
