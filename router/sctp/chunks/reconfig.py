"""
The RE-CONFIG chunk and its parameters (RFC 6525 sections 3.1, 4).

.. code-block:: text

    Outgoing SSN Reset Request             Incoming SSN Reset Request
    +---------------+---------------+      +---------------+---------------+
    |       Type = 13, Length       |      |       Type = 14, Length       |
    |   Request Sequence Number     |      |   Request Sequence Number     |
    |   Response Sequence Number    |      |   N x: Stream Number          |
    |   Sender's Last Assigned TSN  |      +-------------------------------+
    |   N x: Stream Number          |
    +-------------------------------+      Re-configuration Response
                                           +-------------------------------+
    Add Outgoing Streams Request           |       Type = 16, Length       |
    +-------------------------------+      |   Response Sequence Number    |
    |       Type = 17, Length       |      |            Result             |
    |   Request Sequence Number     |      |   Sender's Next TSN, optional |
    |   New Streams |   Reserved    |      |   Receiver's Next TSN, opt.   |
    +-------------------------------+      +-------------------------------+
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from ...errors import WireFormatError
from .chunk_type import ChunkType
from .control import serialize_chunk
from .parameters import Parameter, parse_parameters, serialize_parameters

_OUTGOING_RESET = struct.Struct("!III")
_INCOMING_RESET = struct.Struct("!I")
_RESPONSE = struct.Struct("!II")
_ADD_STREAMS = struct.Struct("!IHH")
_STREAM = struct.Struct("!H")


class ReconfigParameter(IntEnum):
    """Parameter types of RE-CONFIG."""

    OUTGOING_SSN_RESET_REQUEST = 13
    INCOMING_SSN_RESET_REQUEST = 14
    SSN_TSN_RESET_REQUEST = 15
    RECONFIGURATION_RESPONSE = 16
    ADD_OUTGOING_STREAMS_REQUEST = 17
    ADD_INCOMING_STREAMS_REQUEST = 18


class Result(IntEnum):
    """Results of a request (RFC 6525 section 4.4)."""

    SUCCESS_NOTHING_TO_DO = 0
    SUCCESS_PERFORMED = 1
    DENIED = 2
    ERROR_WRONG_SSN = 3
    ERROR_REQUEST_ALREADY_IN_PROGRESS = 4
    ERROR_BAD_SEQUENCE_NUMBER = 5
    IN_PROGRESS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingResetRequest:
    """The sender resets the stream sequence numbers of streams that it sends on."""

    request_sequence_number: int
    response_sequence_number: int
    senders_last_assigned_tsn: int
    stream_ids: tuple[int, ...]
    """No streams: all of them."""

    def to_parameter(self) -> Parameter:
        """Return the parameter."""
        value = _OUTGOING_RESET.pack(
            self.request_sequence_number,
            self.response_sequence_number,
            self.senders_last_assigned_tsn,
        )
        return Parameter(
            ReconfigParameter.OUTGOING_SSN_RESET_REQUEST,
            value + struct.pack(f"!{len(self.stream_ids)}H", *self.stream_ids),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingResetRequest:
    """The sender asks its peer to reset streams that the peer sends on."""

    request_sequence_number: int
    stream_ids: tuple[int, ...]
    """No streams: all of them."""

    def to_parameter(self) -> Parameter:
        """Return the parameter."""
        value = _INCOMING_RESET.pack(self.request_sequence_number)
        return Parameter(
            ReconfigParameter.INCOMING_SSN_RESET_REQUEST,
            value + struct.pack(f"!{len(self.stream_ids)}H", *self.stream_ids),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconfigurationResponse:
    """The answer to the request with this sequence number."""

    response_sequence_number: int
    result: int
    """One of :class:`Result`, or a number that a later RFC adds."""

    def to_parameter(self) -> Parameter:
        """Return the parameter, without the TSNs that only an SSN/TSN reset needs."""
        return Parameter(
            ReconfigParameter.RECONFIGURATION_RESPONSE,
            _RESPONSE.pack(self.response_sequence_number, self.result),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOutgoingStreamsRequest:
    """The sender wants to send on more streams."""

    request_sequence_number: int
    new_streams: int

    def to_parameter(self) -> Parameter:
        """Return the parameter."""
        return Parameter(
            ReconfigParameter.ADD_OUTGOING_STREAMS_REQUEST,
            _ADD_STREAMS.pack(self.request_sequence_number, self.new_streams, 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherRequest:
    """A request that this implementation answers with "denied"."""

    request_sequence_number: int
    parameter: Parameter

    def to_parameter(self) -> Parameter:
        """Return the parameter as it came."""
        return self.parameter


ReconfigMessage = (
    OutgoingResetRequest
    | IncomingResetRequest
    | ReconfigurationResponse
    | AddOutgoingStreamsRequest
    | OtherRequest
)


def parse_reconfig(value: bytes) -> list[ReconfigMessage]:
    """
    Parse the value of a RE-CONFIG chunk.

    :raises WireFormatError: if a length is wrong or there are not one or two parameters.
    """
    parameters = parse_parameters(value)
    if not 1 <= len(parameters) <= 2:
        raise WireFormatError(f"RE-CONFIG chunk has {len(parameters)} parameters")
    return [_parse_message(parameter) for parameter in parameters]


def _parse_message(parameter: Parameter) -> ReconfigMessage:
    value = parameter.value
    try:
        if parameter.type == ReconfigParameter.OUTGOING_SSN_RESET_REQUEST:
            request, response, last_tsn = _OUTGOING_RESET.unpack_from(value)
            return OutgoingResetRequest(
                request_sequence_number=request,
                response_sequence_number=response,
                senders_last_assigned_tsn=last_tsn,
                stream_ids=_parse_streams(value[_OUTGOING_RESET.size :]),
            )
        if parameter.type == ReconfigParameter.INCOMING_SSN_RESET_REQUEST:
            (request,) = _INCOMING_RESET.unpack_from(value)
            return IncomingResetRequest(
                request_sequence_number=request,
                stream_ids=_parse_streams(value[_INCOMING_RESET.size :]),
            )
        if parameter.type == ReconfigParameter.RECONFIGURATION_RESPONSE:
            response, result = _RESPONSE.unpack_from(value)
            return ReconfigurationResponse(response_sequence_number=response, result=result)
        if parameter.type == ReconfigParameter.ADD_OUTGOING_STREAMS_REQUEST:
            request, new_streams, _ = _ADD_STREAMS.unpack(value)
            return AddOutgoingStreamsRequest(
                request_sequence_number=request, new_streams=new_streams
            )
        (request,) = _INCOMING_RESET.unpack_from(value)
        return OtherRequest(request_sequence_number=request, parameter=parameter)
    except struct.error as error:
        raise WireFormatError(
            f"RE-CONFIG parameter {parameter.type} has {len(value)} bytes"
        ) from error


def _parse_streams(data: bytes) -> tuple[int, ...]:
    return tuple(stream_id for (stream_id,) in _STREAM.iter_unpack(data))


def serialize_reconfig(*messages: ReconfigMessage) -> bytes:
    """Return a RE-CONFIG chunk with its header and padding."""
    return serialize_chunk(
        ChunkType.RE_CONFIG, serialize_parameters(message.to_parameter() for message in messages)
    )
