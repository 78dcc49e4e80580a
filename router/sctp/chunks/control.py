"""Chunks that carry at most one field, and the header that all chunks share."""

import struct

from ...errors import WireFormatError

CHUNK_HEADER = struct.Struct("!BBH")  # type, flags, length without padding
_TSN = struct.Struct("!I")

#: In ABORT and SHUTDOWN COMPLETE: the verification tag is the receiver's peer's (section 8.5.1).
TAG_REFLECTED = 0x01


def serialize_chunk(chunk_type: int, value: bytes = b"", flags: int = 0) -> bytes:
    """Return a chunk with its header and padding (RFC 9260 section 3.2)."""
    length = CHUNK_HEADER.size + len(value)
    return CHUNK_HEADER.pack(chunk_type, flags, length) + value + bytes(-length % 4)


def parse_shutdown(value: bytes) -> int:
    """
    Return the Cumulative TSN Ack of a SHUTDOWN chunk (RFC 9260 section 3.3.8).

    :raises WireFormatError: if the length is wrong.
    """
    if len(value) != _TSN.size:
        raise WireFormatError(f"SHUTDOWN chunk value has {len(value)} bytes")
    (tsn,) = _TSN.unpack(value)
    return int(tsn)


def serialize_shutdown(cumulative_tsn_ack: int) -> bytes:
    """Return the value of a SHUTDOWN chunk."""
    return _TSN.pack(cumulative_tsn_ack)
