"""Alerts: how either side says that something went wrong, or that it is done (RFC 5246 7.2)."""

from dataclasses import dataclass
from enum import IntEnum

from ..errors import WireFormatError


class AlertLevel(IntEnum):
    """Whether the connection survives."""

    WARNING = 1
    FATAL = 2


class Alert(IntEnum):
    """The alert descriptions of RFC 5246 section 7.2 and its extensions, by number."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    RECORD_OVERFLOW = 22
    HANDSHAKE_FAILURE = 40
    BAD_CERTIFICATE = 42
    UNSUPPORTED_CERTIFICATE = 43
    CERTIFICATE_REVOKED = 44
    CERTIFICATE_EXPIRED = 45
    CERTIFICATE_UNKNOWN = 46
    ILLEGAL_PARAMETER = 47
    UNKNOWN_CA = 48
    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    PROTOCOL_VERSION = 70
    INSUFFICIENT_SECURITY = 71
    INTERNAL_ERROR = 80
    INAPPROPRIATE_FALLBACK = 86
    USER_CANCELED = 90
    NO_RENEGOTIATION = 100
    MISSING_EXTENSION = 109
    UNSUPPORTED_EXTENSION = 110
    UNRECOGNIZED_NAME = 112
    NO_APPLICATION_PROTOCOL = 120


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """One alert on the wire."""

    level: int
    """1 or 2; see :class:`AlertLevel`."""
    description: int
    """A number of :class:`Alert`, or one that we do not know."""

    def serialize(self) -> bytes:
        return bytes((self.level, self.description))

    @property
    def name(self) -> str:
        """The registry's name, for messages to people."""
        try:
            return Alert(self.description).name.lower()
        except ValueError:
            return f"alert {self.description}"


def parse_alert(data: bytes) -> AlertMessage:
    """
    Return the alert in one record.

    :raises WireFormatError: unless there are exactly two bytes and the level is known.
    """
    if len(data) != 2 or data[0] not in (AlertLevel.WARNING, AlertLevel.FATAL):
        raise WireFormatError(f"alert of {len(data)} bytes is malformed")
    return AlertMessage(data[0], data[1])
