"""
The SACK chunk (RFC 9260 section 3.3.4).

.. code-block:: text

    +---------------------------------------------------------------+
    |                      Cumulative TSN Ack                       |
    +---------------------------------------------------------------+
    |          Advertised Receiver Window Credit (a_rwnd)           |
    +-------------------------------+-------------------------------+
    | Number of Gap Ack Blocks = N  |  Number of Duplicate TSNs = M |
    +-------------------------------+-------------------------------+
    |  N x: Gap Ack Block Start     |       Gap Ack Block End       |
    +-------------------------------+-------------------------------+
    |  M x: Duplicate TSN                                           |
    +---------------------------------------------------------------+
"""

import struct
from typing import NamedTuple

from ...errors import WireFormatError
from .chunk_type import ChunkType

_CHUNK = struct.Struct("!BBHIIHH")
_FIELDS = struct.Struct("!IIHH")
_GAP_ACK_BLOCK = struct.Struct("!HH")
SACK_HEADER_BYTES = _CHUNK.size


class SackChunk(NamedTuple):
    """What the peer has received, and how much more it has room for."""

    cumulative_tsn_ack: int
    a_rwnd: int
    """Bytes."""
    gap_ack_blocks: list[tuple[int, int]]
    """First and last TSN of each block, as offsets from the Cumulative TSN Ack."""
    duplicate_tsns: list[int]

    def serialize(self) -> bytes:
        """Return the chunk with its header."""
        blocks, duplicates = self.gap_ack_blocks, self.duplicate_tsns
        parts = [
            _CHUNK.pack(
                ChunkType.SACK,
                0,
                _CHUNK.size + 4 * (len(blocks) + len(duplicates)),
                self.cumulative_tsn_ack,
                self.a_rwnd,
                len(blocks),
                len(duplicates),
            )
        ]
        if blocks:
            parts += [_GAP_ACK_BLOCK.pack(start, end) for start, end in blocks]
        if duplicates:
            parts.append(struct.pack(f"!{len(duplicates)}I", *duplicates))
        return b"".join(parts)


def parse_sack(value: bytes) -> SackChunk:
    """
    Parse the value of a SACK chunk; whether the blocks make sense is for the sender to check.

    :raises WireFormatError: if the length does not match the two counts.
    """
    if len(value) < _FIELDS.size:
        raise WireFormatError(f"SACK chunk value has {len(value)} bytes")
    cumulative_tsn_ack, a_rwnd, block_count, duplicate_count = _FIELDS.unpack_from(value)
    if not block_count and not duplicate_count and len(value) == _FIELDS.size:
        return SackChunk(cumulative_tsn_ack, a_rwnd, [], [])
    blocks_end = _FIELDS.size + _GAP_ACK_BLOCK.size * block_count
    if len(value) != blocks_end + 4 * duplicate_count:
        raise WireFormatError(
            f"SACK chunk value has {len(value)} bytes for {block_count} gap ack blocks and "
            f"{duplicate_count} duplicate TSNs"
        )
    blocks = list(_GAP_ACK_BLOCK.iter_unpack(value[_FIELDS.size : blocks_end]))
    duplicates = list(struct.unpack_from(f"!{duplicate_count}I", value, blocks_end))
    return SackChunk(cumulative_tsn_ack, a_rwnd, blocks, duplicates)
