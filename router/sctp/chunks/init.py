"""
The INIT and INIT ACK chunks and their parameters (RFC 9260 sections 3.3.2, 3.3.3).

.. code-block:: text

    +---------------------------------------------------------------+
    |                         Initiate Tag                          |
    +---------------------------------------------------------------+
    |           Advertised Receiver Window Credit (a_rwnd)          |
    +-------------------------------+-------------------------------+
    |  Number of Outbound Streams   |   Number of Inbound Streams   |
    +-------------------------------+-------------------------------+
    |                          Initial TSN                          |
    +---------------------------------------------------------------+
    |              Optional/Variable-Length Parameters              |
    +---------------------------------------------------------------+
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from ...errors import WireFormatError
from .control import serialize_chunk
from .parameters import Parameter, parse_parameters, serialize_parameters

_FIELDS = struct.Struct("!IIHHI")


class InitParameter(IntEnum):
    """Parameters that may appear; those without a use over DTLS are known so as to be skipped."""

    IPV4_ADDRESS = 5
    IPV6_ADDRESS = 6
    STATE_COOKIE = 7
    UNRECOGNIZED_PARAMETER = 8
    COOKIE_PRESERVATIVE = 9
    HOST_NAME_ADDRESS = 11
    SUPPORTED_ADDRESS_TYPES = 12
    ECN_CAPABLE = 0x8000
    ZERO_CHECKSUM_ACCEPTABLE = 0x8001  # RFC 9653
    SUPPORTED_EXTENSIONS = 0x8008  # RFC 5061 section 4.2.7
    FORWARD_TSN_SUPPORTED = 0xC000  # RFC 3758 section 3.1
    ADAPTATION_LAYER_INDICATION = 0xC006


#: The Error Detection Method Identifier of SCTP over DTLS (RFC 9653 section 4.1).
EDMID_DTLS = struct.pack("!I", 1)

_KNOWN_PARAMETERS = frozenset(int(parameter) for parameter in InitParameter)


@dataclass(frozen=True, slots=True, kw_only=True)
class InitChunk:
    """An INIT or an INIT ACK, which have the same fields."""

    initiate_tag: int
    a_rwnd: int
    """Bytes."""
    outbound_streams: int
    inbound_streams: int
    initial_tsn: int
    parameters: tuple[Parameter, ...] = ()

    def serialize(self, chunk_type: int) -> bytes:
        """Return the chunk of the given type (INIT or INIT ACK) with its header and padding."""
        value = _FIELDS.pack(
            self.initiate_tag,
            self.a_rwnd,
            self.outbound_streams,
            self.inbound_streams,
            self.initial_tsn,
        )
        return serialize_chunk(chunk_type, value + serialize_parameters(self.parameters))

    def parameter(self, parameter_type: int) -> bytes | None:
        """Return the value of the first parameter of this type, or None."""
        return next((p.value for p in self.parameters if p.type == parameter_type), None)

    def unrecognized_parameters(self) -> list[Parameter]:
        """Return the unknown parameters that ask to be reported (section 3.2.1), in wire order."""
        return [
            parameter
            for parameter in self.parameters
            if parameter.type & 0x4000 and parameter.type not in _KNOWN_PARAMETERS
        ]


def parse_init(value: bytes) -> InitChunk:
    """
    Parse the value of an INIT or INIT ACK chunk.

    An unknown parameter whose type says so ends the list (section 3.2.1); it is the last one in
    the result.

    :raises WireFormatError: if the chunk is shorter than its fixed fields or a length is wrong.
    """
    if len(value) < _FIELDS.size:
        raise WireFormatError(f"INIT chunk value has {len(value)} bytes")
    initiate_tag, a_rwnd, outbound, inbound, initial_tsn = _FIELDS.unpack_from(value)
    parameters = []
    for parameter in parse_parameters(value[_FIELDS.size :]):
        parameters.append(parameter)
        if not parameter.type & 0x8000 and parameter.type not in _KNOWN_PARAMETERS:
            break
    return InitChunk(
        initiate_tag=initiate_tag,
        a_rwnd=a_rwnd,
        outbound_streams=outbound,
        inbound_streams=inbound,
        initial_tsn=initial_tsn,
        parameters=tuple(parameters),
    )
