"""
Type-length-value lists: parameters of chunks and error causes (RFC 9260 sections 3.2.1, 3.3.10).

.. code-block:: text

    +-------------------------------+-------------------------------+
    |        Parameter Type         |       Parameter Length        |
    +-------------------------------+-------------------------------+
    |              Parameter Value, padded to 4 bytes               |
    +---------------------------------------------------------------+
"""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from ...errors import WireFormatError

_HEADER = struct.Struct("!HH")


class Parameter(NamedTuple):
    """One parameter or error cause."""

    type: int
    value: bytes


def parse_parameters(data: bytes) -> list[Parameter]:
    """
    Return the parameters in wire order.

    The padding of the last one may be missing: chunk lengths do not count it.

    :raises WireFormatError: if a length runs past the end or below the header.
    """
    parameters = []
    position = 0
    while position < len(data):
        if len(data) - position < _HEADER.size:
            raise WireFormatError(f"{len(data) - position} bytes after the last parameter")
        parameter_type, length = _HEADER.unpack_from(data, position)
        if length < _HEADER.size or position + length > len(data):
            raise WireFormatError(f"parameter {parameter_type} has length {length}")
        parameters.append(Parameter(parameter_type, data[position + 4 : position + length]))
        position += (length + 3) & ~3
    return parameters


def serialize_parameters(parameters: Iterable[Parameter]) -> bytes:
    """Return the wire form, every parameter padded to 4 bytes except the last."""
    parts: list[bytes] = []
    padding = b""
    for parameter_type, value in parameters:
        parts.append(padding + _HEADER.pack(parameter_type, len(value) + _HEADER.size) + value)
        padding = bytes(-len(value) % 4)
    return b"".join(parts)
