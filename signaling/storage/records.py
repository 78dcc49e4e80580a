"""The rows that REST reads, as the room service writes them. All times are aware UTC datetimes."""

from dataclasses import dataclass
from datetime import datetime

from signaling.rooms.settings import RoomSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRecord:
    """A room, live or ended."""

    sid: str
    account_sid: str
    name: str
    """The unique name, or the SID when none was given."""
    settings: RoomSettings
    ad_hoc: bool
    status: str
    """``in-progress`` or ``completed``."""
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    recording_rules: str | None = None
    """Recording rules as JSON; None when none were ever given."""
    recording_rules_created_at: datetime | None = None
    recording_rules_updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantRecord:
    """One stay of an identity in a room."""

    sid: str
    room_sid: str
    account_sid: str
    identity: str
    status: str
    """``connected``, ``reconnecting`` or ``disconnected``."""
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    subscribe_rules: str | None = None
    """Subscribe rules as JSON; None is ``[{"type": "include", "all": true}]``."""
    subscribe_rules_created_at: datetime | None = None
    """When they were first set by the application; None before."""
    subscribe_rules_updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRecord:
    """One published track."""

    sid: str
    room_sid: str
    participant_sid: str
    name: str
    kind: str
    """``audio``, ``video`` or ``data``."""
    enabled: bool
    created_at: datetime
    updated_at: datetime | None = None
    unpublished_at: datetime | None = None
