"""
Domain events: everything that happens in a room, in order.

REST records, webhooks, signaling sessions and the media node are all told by these and by
nothing else.
"""

from dataclasses import dataclass
from enum import Enum

from router.node_events import SourceId
from signaling.errors import ErrorCode

from .participant import LeaveReason, ParticipantView
from .publication import TrackView


class CompletionReason(Enum):
    """Why a room ended."""

    REQUESTED = "requested"
    """The application completed it."""
    UNUSED = "unused"
    """Nobody joined within the unused room timeout."""
    EMPTY = "empty"
    """Nobody came back within the empty room timeout."""
    LIFETIME_EXCEEDED = "lifetime-exceeded"
    """A room lasts 24 hours at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomEvent:
    """Base of the room's events."""

    at: float
    """The time that was passed to the command, in seconds on the caller's monotonic clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomCreated(RoomEvent):
    """The room exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomCompleted(RoomEvent):
    """The room ended and everybody has left; it never comes back."""

    reason: CompletionReason
    due_at: float | None = None
    """When the time of a room ran out that nobody was in: long ago if no server ran then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantConnected(RoomEvent):
    """Somebody joined. Tracks published at the same time follow as events of their own."""

    participant_sid: str
    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantReconnecting(RoomEvent):
    """A participant's signaling was lost; its grace period runs."""

    participant_sid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantReconnected(RoomEvent):
    """A participant came back within its grace period."""

    participant_sid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantDisconnected(RoomEvent):
    """A participant left; its tracks were unpublished before and its media can be freed."""

    participant_sid: str
    identity: str
    reason: LeaveReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantChanged(RoomEvent):
    """Others see something new of a participant: once for each command, after the details."""

    participant: ParticipantView


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackPublished(RoomEvent):
    """A track exists, whether or not its media has arrived."""

    participant_sid: str
    track: TrackView


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackChanged(RoomEvent):
    """A track was muted, unmuted, or got another priority."""

    participant_sid: str
    track: TrackView


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackUnpublished(RoomEvent):
    """A track is gone; its SID never comes back."""

    participant_sid: str
    track: TrackView


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationFailed(RoomEvent):
    """A track could not be published; only its owner is told."""

    participant_sid: str
    track_id: str
    error: ErrorCode


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationsChanged(RoomEvent):
    """The owner's list of publications has a new revision."""

    participant_sid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionStarted(RoomEvent):
    """The media node shall forward a source to the subscriber."""

    participant_sid: str
    """The subscriber."""
    track_sid: str
    source_id: SourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionStopped(RoomEvent):
    """The media node shall no longer forward a source to the subscriber."""

    participant_sid: str
    """The subscriber."""
    track_sid: str
    source_id: SourceId
    source_ended: bool
    """True when the media node said so itself: there is nothing left to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionsChanged(RoomEvent):
    """The subscriber's list of received tracks has a new revision."""

    participant_sid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackSubscribed(RoomEvent):
    """A participant is given a track, whether or not its media has arrived."""

    participant_sid: str
    """The subscriber."""
    subscription_sid: str
    publisher_sid: str
    track_sid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackUnsubscribed(RoomEvent):
    """A participant who stays is no longer given a track; one who leaves keeps its last state."""

    participant_sid: str
    """The subscriber."""
    subscription_sid: str
    track_sid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingWanted(RoomEvent):
    """The recording rules select a track: a recording of it begins, where something records."""

    participant_sid: str
    track_sid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingUnwanted(RoomEvent):
    """The recording rules select a track no more, or it is gone; its recording is over."""

    participant_sid: str
    track_sid: str
