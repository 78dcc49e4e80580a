"""The rows of subscriptions: which participant was given which track, and when."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRecord:
    """
    One stretch in which a participant was given a track.

    It ends with the track, or when the rules take it away. A subscriber who leaves does not end
    it: what was given last stays to be asked for.
    """

    sid: str
    """Of the row; the API never shows it."""
    participant_sid: str
    """The subscriber."""
    publisher_sid: str
    track_sid: str
    created_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribedTrack:
    """A subscription together with what the track's own row says."""

    sid: str
    """Of the subscription's row, for paging."""
    room_sid: str
    participant_sid: str
    """The subscriber."""
    publisher_sid: str
    track_sid: str
    name: str
    kind: str
    """``audio``, ``video`` or ``data``."""
    enabled: bool
    created_at: datetime
    """When the subscription began."""
    updated_at: datetime | None
    """The last change of the track, if there was one since."""
