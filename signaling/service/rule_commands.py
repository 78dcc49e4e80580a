"""Commands to rooms that REST gives about rules, single subscriptions, and stored identities."""

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from signaling.errors import ApiError, ErrorCode
from signaling.rooms.recording_rules import TYPES_WITHOUT_RECORDING, initial_recording_rules
from signaling.rules import (
    INCLUDE_ALL,
    RECORDING_RULES,
    SUBSCRIBE_RULES,
    Rule,
    parse_rules,
)
from signaling.storage.records import ParticipantRecord, RoomRecord

if TYPE_CHECKING:
    from .room_service import RoomService


def recording_rules_of(room: RoomRecord) -> tuple[Rule, ...]:
    """Return the recording rules that a room's row holds, or those of a room without."""
    if room.recording_rules is None:
        return initial_recording_rules(
            record_participants_on_connect=room.settings.record_participants_on_connect
        )
    return parse_rules(room.recording_rules, RECORDING_RULES)


def subscribe_rules_of(participant: ParticipantRecord) -> tuple[Rule, ...]:
    """Return the subscribe rules that a participant's row holds."""
    if participant.subscribe_rules is None:
        return INCLUDE_ALL
    return parse_rules(participant.subscribe_rules, SUBSCRIBE_RULES)


class IdentityStore(Protocol):
    """The part of the store's face that keeps identities."""

    async def put_participant(self, participant: ParticipantRecord) -> None:
        """Overwrite a participant."""

    async def forget_identity(self, participant_sid: str) -> None:
        """Put a participant's SID in place of its identity in all its events."""


class RuleCommands:
    """
    What is commanded takes effect at once; each call returns when it is on the disk too, in the
    store or in the journal.

    :raises StorageError: from every call, when neither takes it; what was commanded holds even so.
    """

    def __init__(self, *, service: "RoomService", store: IdentityStore) -> None:
        self._service = service
        self._store = store

    async def set_subscribe_rules(
        self, participant: ParticipantRecord, rules: tuple[Rule, ...]
    ) -> ParticipantRecord:
        """
        Replace a participant's subscribe rules.

        :raises ApiError: 53204 when it has left.
        """
        live = self._service.live_room(participant.room_sid)
        if live is None:
            raise ApiError.of(ErrorCode.PARTICIPANT_NOT_FOUND)
        record = live.set_subscribe_rules(participant.sid, rules)
        await self._service.persist()
        return record

    async def override_subscription(
        self, participant: ParticipantRecord, track_sid: str, *, wanted: bool
    ) -> None:
        """
        Give a participant a single track, or take it, until its rules are replaced.

        :raises ApiError: 53204 when it has left, 20404 when nobody else publishes such a track,
            53117 when it cannot receive the kind.
        """
        live = self._service.live_room(participant.room_sid)
        if live is None:
            raise ApiError.of(ErrorCode.PARTICIPANT_NOT_FOUND)
        live.override_subscription(participant.sid, track_sid, wanted=wanted)
        await self._service.persist()

    async def set_recording_rules(self, room: RoomRecord, rules: tuple[Rule, ...]) -> RoomRecord:
        """
        Replace a room's recording rules.

        :raises ApiError: 53122 when rooms of its type cannot record, 53118 when it has ended.
        """
        if room.settings.type in TYPES_WITHOUT_RECORDING:
            raise ApiError.of(ErrorCode.RECORDING_NOT_SUPPORTED)
        live = self._service.live_room(room.sid)
        if live is None:
            raise ApiError.of(ErrorCode.ROOM_COMPLETED)
        record = live.set_recording_rules(rules)
        await self._service.persist()
        return record

    async def anonymize(self, participant: ParticipantRecord) -> ParticipantRecord:
        """
        Replace a participant's stored identity by its SID, for good.

        :raises ApiError: 53209 when it is still inside.
        """
        if participant.status != "disconnected":
            raise ApiError.of(ErrorCode.PARTICIPANT_STATUS_INVALID)
        if participant.identity != participant.sid:
            # The events first: should the second write fail, another attempt does both.
            await self._store.forget_identity(participant.sid)
            participant = replace(
                participant, identity=participant.sid, updated_at=self._service.clock.utc_now()
            )
            await self._store.put_participant(participant)
        return participant
