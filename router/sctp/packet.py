"""
SCTP packets: the common header and the framing of chunks (RFC 9260 section 3).

.. code-block:: text

    +-------------------------------+-------------------------------+
    |      Source Port Number       |     Destination Port Number   |
    +-------------------------------+-------------------------------+
    |                       Verification Tag                        |
    +---------------------------------------------------------------+
    |                           Checksum                            |
    +---------------------------------------------------------------+
    |                            Chunks                             |
    +---------------------------------------------------------------+
"""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from ..errors import WireFormatError
from .chunks.control import CHUNK_HEADER
from .crc32c import crc32c

_COMMON_HEADER = struct.Struct("!HHII")
_CHECKSUM = struct.Struct("<I")  # the CRC's least significant byte goes first (appendix A)
_ZERO_CHECKSUM = bytes(4)
COMMON_HEADER_BYTES = _COMMON_HEADER.size


class RawChunk(NamedTuple):
    """A chunk whose value has not been looked at."""

    type: int
    flags: int
    value: bytes


class SctpPacket(NamedTuple):
    """A packet whose framing and checksum are right."""

    source_port: int
    destination_port: int
    verification_tag: int
    has_zero_checksum: bool
    """True when the checksum is zero and was not compared (RFC 9653)."""
    chunks: list[RawChunk]


def parse_packet(data: bytes, *, zero_checksum_acceptable: bool = False) -> SctpPacket:
    """
    Split a packet into its chunks.

    :param zero_checksum_acceptable: Whether a checksum of zero passes without being compared.
    :raises WireFormatError: if the checksum or a length is wrong or there is no chunk.
    """
    size = len(data)
    if size < COMMON_HEADER_BYTES + CHUNK_HEADER.size:
        raise WireFormatError(f"SCTP packet has {size} bytes")
    source_port, destination_port, verification_tag, checksum = _COMMON_HEADER.unpack_from(data)
    unchecked = zero_checksum_acceptable and checksum == 0
    if not unchecked:
        computed = crc32c(data[:8] + _ZERO_CHECKSUM + data[12:])
        if _CHECKSUM.pack(computed) != data[8:12]:
            raise WireFormatError("SCTP packet has a wrong checksum")
    chunks = []
    position = COMMON_HEADER_BYTES
    while position < size:
        if size - position < CHUNK_HEADER.size:
            raise WireFormatError(f"{size - position} bytes after the last chunk")
        chunk_type, flags, length = CHUNK_HEADER.unpack_from(data, position)
        end = position + length
        if length < CHUNK_HEADER.size or end > size:
            raise WireFormatError(f"chunk {chunk_type} has length {length}")
        chunks.append(RawChunk(chunk_type, flags, data[position + 4 : end]))
        position = (end + 3) & ~3
    return SctpPacket(source_port, destination_port, verification_tag, unchecked, chunks)


def serialize_packet(
    source_port: int,
    destination_port: int,
    verification_tag: int,
    chunks: Iterable[bytes],
    *,
    zero_checksum: bool = False,
) -> bytes:
    """
    Return a packet of serialised, padded chunks.

    :param zero_checksum: Leave the checksum zero, which the peer must have allowed (RFC 9653).
    """
    header = _COMMON_HEADER.pack(source_port, destination_port, verification_tag, 0)
    packet = b"".join((header, *chunks))
    if zero_checksum:
        return packet
    return packet[:8] + _CHECKSUM.pack(crc32c(packet)) + packet[12:]
