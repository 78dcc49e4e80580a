"""
The DATA chunk (RFC 9260 section 3.3.1).

.. code-block:: text

    +---------------+-+-+-+-+-+-+-+-+-------------------------------+
    |   Type = 0    |  Res  |I|U|B|E|            Length             |
    +---------------+-------+-------+-------------------------------+
    |                              TSN                              |
    +-------------------------------+-------------------------------+
    |       Stream Identifier       |    Stream Sequence Number     |
    +-------------------------------+-------------------------------+
    |                  Payload Protocol Identifier                  |
    +---------------------------------------------------------------+
    |                           User Data                           |
    +---------------------------------------------------------------+
"""

import struct
from typing import NamedTuple

from ...errors import WireFormatError
from .chunk_type import ChunkType

ENDING_FRAGMENT = 0x01
BEGINNING_FRAGMENT = 0x02
UNORDERED = 0x04
IMMEDIATE = 0x08

DATA_HEADER_BYTES = 16
_FIELDS = struct.Struct("!IHHI")  # TSN, stream identifier, stream sequence number, PPID
_CHUNK = struct.Struct("!BBHIHHI")
_PADDING = (b"", b"\x00\x00\x00", b"\x00\x00", b"\x00")


class DataChunk(NamedTuple):
    """One fragment of a user message, or a whole one."""

    flags: int
    tsn: int
    stream_id: int
    ssn: int
    ppid: int
    user_data: bytes

    def serialize(self) -> bytes:
        """Return the chunk with its header and padding."""
        return serialize_data(*self)


def parse_data(flags: int, value: bytes) -> DataChunk:
    """
    Parse the value of a DATA chunk.

    An empty user data field parses; RFC 9260 section 6.2 makes the receiver abort on it.

    :raises WireFormatError: if the chunk is shorter than its fixed fields.
    """
    if len(value) < _FIELDS.size:
        raise WireFormatError(f"DATA chunk value has {len(value)} bytes")
    tsn, stream_id, ssn, ppid = _FIELDS.unpack_from(value)
    return DataChunk(flags, tsn, stream_id, ssn, ppid, value[_FIELDS.size :])


def serialize_data(
    flags: int, tsn: int, stream_id: int, ssn: int, ppid: int, user_data: bytes
) -> bytes:
    """Return a DATA chunk with its header and padding, without an object in between."""
    length = len(user_data)
    return (
        _CHUNK.pack(ChunkType.DATA, flags, DATA_HEADER_BYTES + length, tsn, stream_id, ssn, ppid)
        + user_data
        + _PADDING[length & 3]
    )
