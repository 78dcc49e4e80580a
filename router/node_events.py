"""What a media node reports, and the ids that cross its door."""

from dataclasses import dataclass
from enum import Enum
from typing import NewType

PeerId = NewType("PeerId", int)
SourceId = NewType("SourceId", int)


class MediaKind(Enum):
    """What a source carries."""

    AUDIO = "audio"
    VIDEO = "video"
    DATA = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One thing that a peer sends: a camera, a microphone, a data channel."""

    source_id: SourceId
    peer_id: PeerId
    kind: MediaKind
    track_id: str
    """The sender's own id: the second token of ``a=msid``, or the data channel's label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEvent:
    """Base of the node's events."""

    peer_id: PeerId


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerConnected(NodeEvent):
    """DTLS is up (for the first time or again) and media can flow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerDisconnected(NodeEvent):
    """ICE consent was lost; the peer may come back by an ICE restart or by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFailed(NodeEvent):
    """The transport cannot recover (DTLS failed or was closed)."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAdded(NodeEvent):
    """A peer sends something new; it can be subscribed to."""

    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRemoved(NodeEvent):
    """A source ended; all its subscriptions are gone."""

    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverAssigned(NodeEvent):
    """A subscription that had to wait for negotiation now has its receiver id."""

    source_id: SourceId
    receiver_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverLost(NodeEvent):
    """
    The peer no longer receives under the id that a subscription had.

    It stopped the m-section. The subscription stays and waits: :class:`ReceiverAssigned` follows
    if a negotiation brings another one.
    """

    source_id: SourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiationNeeded(NodeEvent):
    """The peer's m-sections do not suffice: make an offer when the protocol allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelOpened(NodeEvent):
    """The peer can be sent messages on a channel that :meth:`MediaNode.open_channel` asked for."""

    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelReceived(NodeEvent):
    """The peer sent a message on such a channel."""

    label: str
    data: str | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelClosed(NodeEvent):
    """Such a channel is gone; the peer itself may go on."""

    label: str
