"""The rows of a room's events, and of their delivery to status callbacks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from signaling.storage.records import ParticipantRecord, TrackRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One event of a room, as the application is told of it."""

    sid: str
    account_sid: str
    room_sid: str
    sequence: int
    """From 0 in each room, without gaps."""
    name: str
    """``room-created``, ``composition-failed`` and so on."""
    created_at: datetime
    participant_sid: str | None = None
    """Whom it concerns."""
    parameters: Mapping[str, str]
    """What a callback carries, in order; apart from the signature it is the whole of it."""
    url: str | None = None
    """The status callback of the room or composition; None when nobody is told."""
    method: str = "POST"
    """``POST`` or ``GET``."""
    delivery: str = "none"
    """``none`` (nobody is told), ``pending``, ``delivered`` or ``dead``."""
    attempts: int = 0
    next_attempt_at: datetime | None = None
    """None: at once."""
    settled_at: datetime | None = None
    """When it was delivered, or given up."""
    error: str | None = None
    """What the last attempt failed with."""


@dataclass(frozen=True, slots=True)
class CallbackQueue:
    """Events that are delivered one after the other: those of a room to one URL."""

    room_sid: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingQueue:
    """A queue with events that have not been delivered."""

    queue: CallbackQueue
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind:
    """A participant whom a former run of the server left inside."""

    participant: ParticipantRecord
    tracks: tuple[TrackRecord, ...]
    """What it published."""
