"""
The errors of the media router.

    RouterError
      WireFormatError(ValueError)      bytes or text that do not parse
      ProtocolError
        LocalProtocolError             the caller's fault
        RemoteProtocolError            the peer's fault; carries the protocol's alert or cause
      NegotiationError                 an SDP offer or answer that cannot be applied
      AuthenticationFailed             a MAC or MESSAGE-INTEGRITY that does not verify
      DataPlaneError                   the compiled data plane refused or stopped
"""


class RouterError(Exception):
    """Base of every error that this package raises."""


class WireFormatError(RouterError, ValueError):
    """Bytes from the network do not have the format that the RFC prescribes."""


class ProtocolError(RouterError):
    """A protocol rule was broken."""


class LocalProtocolError(ProtocolError):
    """The caller asked for something that the protocol's state does not allow."""


class RemoteProtocolError(ProtocolError):
    """
    The peer broke a protocol rule.

    :param message: What was seen and what was allowed, without secrets or payload bytes.
    :param cause: The protocol's own number for it (a DTLS alert, an SCTP error cause), if any.
    """

    def __init__(self, message: str, *, cause: int | None = None) -> None:
        super().__init__(message)
        self.cause = cause


class NegotiationError(RouterError):
    """A session description cannot be applied."""


class AuthenticationFailed(RouterError):
    """A message authentication code does not verify."""


class DataPlaneError(RouterError):
    """The compiled data plane refused a command or its thread stopped."""
