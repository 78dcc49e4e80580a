"""The part of the room service's face that REST uses."""

from typing import Protocol

from signaling.rooms.settings import RoomSettings
from signaling.rules import Rule
from signaling.storage.records import ParticipantRecord, RoomRecord


class RestService(Protocol):
    """Commands to the rooms. All raise ``ApiError`` when they are refused."""

    async def create_room(
        self, settings: RoomSettings, *, recording_rules: tuple[Rule, ...] | None = None
    ) -> RoomRecord:
        """Make a room; 53113 when its name is taken."""

    def room_in_progress(self, name: str) -> RoomRecord | None:
        """Return the room in progress with this SID or name, or None when only the store knows."""

    async def complete_room(self, room_sid: str) -> RoomRecord:
        """End a room; 53112 when it is not in progress."""

    async def disconnect_participant(
        self, room_sid: str, participant_sid: str
    ) -> ParticipantRecord:
        """Remove a participant; one who has left stays as it is."""

    def find_inside(self, room_sid: str, name_or_sid: str) -> ParticipantRecord | None:
        """Return the row of somebody inside a room, without asking the store."""

    async def flush(self) -> None:
        """Wait until all that happened so far is in the store."""

    async def persist(self) -> None:
        """Wait until it is on the disk: in the store, or in what is replayed into it."""
