"""Error causes, which ERROR and ABORT chunks carry (RFC 9260 section 3.3.10)."""

from collections.abc import Iterable
from enum import IntEnum

from ...errors import WireFormatError
from .parameters import Parameter, parse_parameters, serialize_parameters


class CauseCode(IntEnum):
    """The causes that this implementation sends or understands."""

    INVALID_STREAM_IDENTIFIER = 1
    MISSING_MANDATORY_PARAMETER = 2
    STALE_COOKIE = 3
    OUT_OF_RESOURCE = 4
    UNRECOGNIZED_CHUNK_TYPE = 6
    INVALID_MANDATORY_PARAMETER = 7
    UNRECOGNIZED_PARAMETERS = 8
    NO_USER_DATA = 9
    COOKIE_RECEIVED_WHILE_SHUTTING_DOWN = 10
    RESTART_WITH_NEW_ADDRESSES = 11
    USER_INITIATED_ABORT = 12
    PROTOCOL_VIOLATION = 13


def parse_causes(value: bytes) -> list[Parameter]:
    """
    Return the error causes in wire order; a tail that does not parse is left out.

    An ABORT ends the association whatever its causes look like, so they never raise.
    """
    try:
        return parse_parameters(value)
    except WireFormatError:
        return []


def serialize_causes(causes: Iterable[tuple[int, bytes]]) -> bytes:
    """Return the value of an ERROR or ABORT chunk."""
    return serialize_parameters(Parameter(code, information) for code, information in causes)


def describe_causes(causes: list[Parameter]) -> str:
    """Return the names of the causes for a log line; what the peer wrote into them stays out."""
    known = {int(code): code.name for code in CauseCode}
    return ", ".join(known.get(cause.type, f"cause {cause.type}") for cause in causes[:4]) or "none"
