"""What the data channels of a transport report."""

from dataclasses import dataclass

from ..errors import ProtocolError
from .dcep import ChannelParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationOpened:
    """The SCTP association is up, or up again, without channels, after the peer restarted it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelOpened:
    """A channel is open: the peer opened it, or acknowledged ours, or both agreed on it before."""

    channel_id: int
    """The SCTP stream identifier in both directions."""
    label: str
    parameters: ChannelParameters
    remote: bool
    """Whether the peer opened it in-band."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived:
    """A message came on an open channel."""

    channel_id: int
    data: str | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelClosed:
    """A channel is closed in both directions; its identifier may be used again."""

    channel_id: int
    error: ProtocolError | None
    """None when one of the sides closed it in the regular way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationClosed:
    """The SCTP association is over, all its channels were closed before; nothing else follows."""

    error: ProtocolError | None
    """None after a graceful shutdown or an abort that was asked for here."""


DataChannelEvent = (
    AssociationOpened | ChannelOpened | MessageReceived | ChannelClosed | AssociationClosed
)
