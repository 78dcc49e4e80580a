"""What an association reports."""

from dataclasses import dataclass

from ..errors import ProtocolError


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationEstablished:
    """Both sides have shown that they receive; messages flow."""

    outbound_streams: int
    """Stream identifiers below this may be sent on."""
    inbound_streams: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationRestarted:
    """The peer began anew (RFC 9260 section 5.2); queued messages and all stream state are gone."""

    outbound_streams: int
    inbound_streams: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReceived:
    """A whole message."""

    stream_id: int
    ppid: int
    """Payload Protocol Identifier."""
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingStreamsReset:
    """The peer has reset streams that it sends on (RFC 6525); all its messages were delivered."""

    stream_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingStreamsReset:
    """The peer has acknowledged the reset of streams that this side sends on."""

    stream_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamResetFailed:
    """The peer refused the reset or cannot do it; the streams go on as they were."""

    stream_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationClosed:
    """The association is over; nothing else follows."""

    error: ProtocolError | None
    """None after a graceful shutdown or an abort that was asked for here."""


SctpEvent = (
    AssociationEstablished
    | AssociationRestarted
    | DataReceived
    | IncomingStreamsReset
    | OutgoingStreamsReset
    | StreamResetFailed
    | AssociationClosed
)
