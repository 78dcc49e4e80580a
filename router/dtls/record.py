"""
DTLS records (RFC 6347 section 4.1) and the window that refuses replayed ones (section 4.1.2.6).

     0        1               3       5                       11      13
    +--------+---------------+-------+-----------------------+-------+-----------
    | type   | version       | epoch | sequence_number       | length| fragment
    +--------+---------------+-------+-----------------------+-------+-----------
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from ..errors import WireFormatError

_HEADER = struct.Struct("!BHQH")  # type, version, epoch (16 bits) and sequence number (48), length

HEADER_LENGTH = _HEADER.size
MAX_PLAINTEXT_LENGTH = 1 << 14
MAX_CIPHERTEXT_LENGTH = MAX_PLAINTEXT_LENGTH + 2048
MAX_SEQUENCE_NUMBER = (1 << 48) - 1

DTLS_1_0 = 0xFEFF
DTLS_1_2 = 0xFEFD


class ContentType(IntEnum):
    """What a record carries."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


@dataclass(frozen=True, slots=True)
class Record:
    """One record, protected or not."""

    content_type: int
    """See :class:`ContentType`; unknown numbers parse."""
    version: int
    epoch: int
    """0 to 65535; 0 is the epoch without protection."""
    sequence_number: int
    """48 bits, counted from 0 in each epoch."""
    fragment: bytes
    """At most MAX_CIPHERTEXT_LENGTH bytes."""

    def serialize(self) -> bytes:
        return (
            serialize_record_header(
                self.content_type,
                self.version,
                self.epoch << 48 | self.sequence_number,
                len(self.fragment),
            )
            + self.fragment
        )


def serialize_record_header(
    content_type: int, version: int, epoch_and_sequence_number: int, length: int
) -> bytes:
    """Return the 13 bytes in front of a fragment of ``length`` bytes."""
    return _HEADER.pack(content_type, version, epoch_and_sequence_number, length)


def parse_record(data: bytes, offset: int = 0) -> tuple[Record, int]:
    """
    Return the record at ``offset`` of a datagram, and the offset behind it.

    :raises WireFormatError: if the record is cut short, too long, or of another protocol version.
    """
    if len(data) - offset < HEADER_LENGTH:
        raise WireFormatError(f"record header cut short at {len(data) - offset} bytes")
    content_type, version, number, length = _HEADER.unpack_from(data, offset)
    # RFC 6347 section 4.1: a ClientHello may come in a record of an earlier version.
    if version not in (DTLS_1_0, DTLS_1_2):
        raise WireFormatError(f"record of version 0x{version:04x}")
    if length > MAX_CIPHERTEXT_LENGTH:
        raise WireFormatError(f"record of {length} bytes")
    start = offset + HEADER_LENGTH
    end = start + length
    if end > len(data):
        raise WireFormatError(f"record of {length} bytes cut short at {len(data) - start}")
    record = Record(
        content_type, version, number >> 48, number & MAX_SEQUENCE_NUMBER, data[start:end]
    )
    return record, end


class ReplayWindow:
    """
    Remembers which of the last 64 sequence numbers of an epoch were received.

    :param authenticated: False for epoch 0. Its numbers can be forged, so one that is older than
        the window counts as new there: else a single forged number would shut the true peer out.
    """

    __slots__ = ("_authenticated", "_newest", "_received")

    SIZE = 64

    def __init__(self, *, authenticated: bool) -> None:
        self._authenticated = authenticated
        self._newest = -1
        self._received = 0  # bit i: _newest - i

    def is_new(self, sequence_number: int) -> bool:
        """Return whether a record with this number may be accepted."""
        age = self._newest - sequence_number
        if age < 0:
            return True
        if age >= self.SIZE:
            return not self._authenticated
        return not self._received >> age & 1

    def add(self, sequence_number: int) -> None:
        """Remember a number; call only after its record has been authenticated."""
        age = self._newest - sequence_number
        if age < 0:
            kept = self._received << -age if -age < self.SIZE else 0
            self._received = (kept | 1) & ((1 << self.SIZE) - 1)
            self._newest = sequence_number
        elif age < self.SIZE:
            self._received |= 1 << age
