"""
The FORWARD TSN chunk (RFC 3758 section 3.2).

.. code-block:: text

    +---------------------------------------------------------------+
    |                      New Cumulative TSN                       |
    +-------------------------------+-------------------------------+
    |  N x: Stream                  |         Stream Sequence       |
    +-------------------------------+-------------------------------+
"""

import struct
from dataclasses import dataclass

from ...errors import WireFormatError
from .chunk_type import ChunkType
from .control import serialize_chunk

_NEW_CUMULATIVE_TSN = struct.Struct("!I")
_STREAM = struct.Struct("!HH")
FORWARD_TSN_HEADER_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardTsnChunk:
    """The sender gave up everything up to a TSN."""

    new_cumulative_tsn: int
    streams: tuple[tuple[int, int], ...] = ()
    """Stream identifier and the last stream sequence number that is skipped in it."""

    def serialize(self) -> bytes:
        """Return the chunk with its header."""
        value = _NEW_CUMULATIVE_TSN.pack(self.new_cumulative_tsn)
        value += b"".join(_STREAM.pack(stream_id, ssn) for stream_id, ssn in self.streams)
        return serialize_chunk(ChunkType.FORWARD_TSN, value)


def parse_forward_tsn(value: bytes) -> ForwardTsnChunk:
    """
    Parse the value of a FORWARD TSN chunk.

    :raises WireFormatError: if the length is wrong.
    """
    if len(value) < _NEW_CUMULATIVE_TSN.size or len(value) % _STREAM.size:
        raise WireFormatError(f"FORWARD TSN chunk value has {len(value)} bytes")
    (new_cumulative_tsn,) = _NEW_CUMULATIVE_TSN.unpack_from(value)
    return ForwardTsnChunk(
        new_cumulative_tsn=new_cumulative_tsn,
        streams=tuple(_STREAM.iter_unpack(value[_NEW_CUMULATIVE_TSN.size :])),
    )
