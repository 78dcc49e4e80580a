"""
What the rest of the package asks of a store.

Every call is bounded in time. One that fails raises ``StoreUnavailable`` when the store is down or
too slow, and another ``StorageError`` when it refused what it was asked.

A store belongs to one account: it reads no other account's rows. What was written when the call
returns outlives the process, however that ends, and a power cut as far as the database is set to
that. Lists are newest first by creation, ties by SID, and are paged by the key (creation
time, SID), so that rows made meanwhile do not shift pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeAlias, TypeVar

from signaling.storage.event_records import EventRecord
from signaling.storage.media_records import RecordingRecord, TranscriptionRecord
from signaling.storage.records import ParticipantRecord, RoomRecord, TrackRecord
from signaling.storage.subscription_records import SubscriptionRecord

Record: TypeAlias = (
    RoomRecord
    | ParticipantRecord
    | TrackRecord
    | SubscriptionRecord
    | EventRecord
    | TranscriptionRecord
    | RecordingRecord
)


class Listed(Protocol):
    """What a list can be ordered and paged by."""

    @property
    def sid(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...


RecordT = TypeVar("RecordT", bound=Listed)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageKey:
    """The place of one row in a list."""

    created_at: datetime
    sid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which stretch of a list is wanted: after a key, before a key, or from an offset."""

    size: int = 50
    """Largest number of rows, 1 or more."""
    offset: int = 0
    """Rows to skip; used only without a key."""
    after: PageKey | None = None
    """Return the rows that follow this one (older)."""
    before: PageKey | None = None
    """Return the rows just ahead of this one (newer)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Generic[RecordT]):
    """One page of a list, newest first."""

    records: tuple[RecordT, ...]
    has_more: bool
    """Whether older rows follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomFilter:
    """Which rooms a list shows; None filters nothing."""

    status: str | None = None
    unique_name: str | None = None
    """The whole name, compared byte for byte."""
    created_from: datetime | None = None
    """Inclusive."""
    created_before: datetime | None = None
    """Exclusive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantFilter:
    """Which participants of a room a list shows; None filters nothing."""

    room_sid: str
    statuses: frozenset[str] | None = None
    identity: str | None = None
    """The whole identity, compared byte for byte."""
    created_from: datetime | None = None
    """Inclusive."""
    created_before: datetime | None = None
    """Exclusive."""


class Store(Protocol):
    """Where everything is kept that REST can still be asked after a call ended."""

    @property
    def is_up(self) -> bool:
        """Return whether it answers; while it does not, each call fails at once."""

    async def close(self) -> None:
        """Finish pending writes and let the database go."""

    # Writing. Each call is one transaction.

    async def add_room(self, room: RoomRecord) -> None:
        """
        Add a room.

        Of several concurrent calls with one name exactly one succeeds.

        :raises NameTaken: if an in-progress room has the name.
        :raises StorageError: if the database fails.
        """

    async def update_room(self, room: RoomRecord) -> None:
        """Write what changes in a room: status, ``updated_at``, ``ended_at``, recording rules."""

    async def release_name(self, room: RoomRecord) -> None:
        """End whatever other room in progress has a room's name, when that room was made."""

    async def put_participant(self, participant: ParticipantRecord) -> None:
        """Add a participant, or overwrite the one with this SID."""

    async def put_track(self, track: TrackRecord) -> None:
        """Add a track, or overwrite the one with this SID."""

    async def put_all(self, records: Sequence[Record]) -> None:
        """
        Write several records in one transaction, those of a kind in order.

        Rooms are added or updated, the others added or overwritten. Of repeated records of one SID
        the last counts.

        :raises NameTaken: if a new room's name is taken; nothing is written then.
        """

    async def end_everything_left_behind(self, ended_at: datetime) -> int:
        """
        End participants and tracks that a former run of the server left as live.

        Called once at start-up, before anybody joins.

        :return: How many participants were ended.
        """

    # Reading.

    async def in_progress_rooms(self) -> tuple[RoomRecord, ...]:
        """Return all rooms in progress, for the restart, oldest first."""

    async def get_room(self, sid: str) -> RoomRecord | None:
        """Return a room of any status."""

    async def find_in_progress(self, name: str) -> RoomRecord | None:
        """Return the in-progress room that has a name."""

    async def list_rooms(self, where: RoomFilter, page: Page) -> Slice[RoomRecord]:
        """Return one page of rooms."""

    async def had_participants(self, room_sid: str) -> bool:
        """Tell whether anybody ever joined a room (its empty timer counts then)."""

    async def last_departure(self, room_sid: str) -> datetime | None:
        """Return when the last participant of a room left; None when nobody ever did."""

    async def get_participant(self, room_sid: str, sid: str) -> ParticipantRecord | None:
        """Return a participant of a room, of any status."""

    async def find_participant(self, room_sid: str, identity: str) -> ParticipantRecord | None:
        """Return the participant of a room who has an identity and is not disconnected."""

    async def list_participants(
        self, where: ParticipantFilter, page: Page
    ) -> Slice[ParticipantRecord]:
        """Return one page of a room's participants."""

    async def get_published_track(self, participant_sid: str, sid: str) -> TrackRecord | None:
        """Return a track that a participant publishes now."""

    async def find_published_track(self, participant_sid: str, name: str) -> TrackRecord | None:
        """Return a track that a participant publishes now, by its name."""

    async def list_published_tracks(self, participant_sid: str, page: Page) -> Slice[TrackRecord]:
        """Return one page of the tracks that a participant publishes now."""
