"""Transcriptions of rooms: at most one each, started and stopped by the application."""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from signaling.errors import ApiError, ErrorCode
from signaling.ids import new_transcription_name
from signaling.rooms import ParticipantConnected, RoomCompleted, RoomEvent
from signaling.storage.media_queries import MediaQueries
from signaling.storage.media_records import TranscriptionRecord
from signaling.storage.records import RoomRecord

if TYPE_CHECKING:
    from .live_room import LiveRoom
    from .room_service import RoomService


CHANNEL = "extension_transcriptions"
"""Key of the media-signaling channel by which clients are told what was said."""


class TranscriptionService:
    """
    The transcriptions of the rooms in progress.

    ``started`` means that somebody else's engine may feed the transcription; nothing is recognised
    here. Rows are written by the room service's recorder, in order with those of the rooms.
    """

    def __init__(self, *, service: "RoomService", store: MediaQueries, rng: random.Random) -> None:
        self._service = service
        self._store = store
        self._rng = rng
        self._live: dict[str, TranscriptionRecord] = {}
        # By room SID.

    async def load(self) -> None:
        """Take up what a former run left, and follow the rooms from now on."""
        self._service.observers.append(self._observe)
        for record in await self._store.transcriptions_in_progress():
            if self._service.live_room(record.room_sid) is not None:
                self._live[record.room_sid] = record
            elif record.status == "started":
                # The room ended while nobody could write it down.
                self._put(self._stopped(record))

    def start(self, room: RoomRecord, configuration: dict[str, object]) -> TranscriptionRecord:
        """
        Start the transcription of a room, or return the one that it has.

        :raises ApiError: 53118 when the room is not in progress and has none.
        """
        known = self._live.get(room.sid)
        if known is not None:
            return known
        live = self._service.live_room(room.sid)
        if live is None:
            raise ApiError.of(ErrorCode.ROOM_COMPLETED)
        now = self._service.clock.utc_now()
        record = TranscriptionRecord(
            sid=new_transcription_name(self._rng),
            account_sid=room.account_sid,
            room_sid=room.sid,
            status="started",
            configuration=configuration,
            created_at=now,
            updated_at=now,
            started_at=now if live.room.participants else None,
        )
        self._live[room.sid] = record
        self._put(record)
        return record

    def update(
        self,
        record: TranscriptionRecord,
        *,
        status: str | None,
        configuration: Mapping[str, object],
    ) -> TranscriptionRecord:
        """
        Start or stop a transcription, and merge members into its configuration.

        :param record: As it was read; what is in memory counts.
        :param status: ``started`` or ``stopped``; None leaves it.
        :raises ApiError: 53118 when it should start in a room that has ended, 20001 when it failed.
        """
        record = self._live.get(record.room_sid, record)
        if status == "started" and record.status != "started":
            if record.status == "failed":
                raise ApiError.of(
                    ErrorCode.INVALID_PARAMETER, "A failed transcription cannot be restarted"
                )
            record = self._started(record)
        elif status == "stopped" and record.status == "started":
            record = self._stopped(record)
        if configuration:
            merged = {**record.configuration, **configuration}
            now = self._service.clock.utc_now()
            record = replace(record, configuration=merged, updated_at=now)
        if record.room_sid in self._live:
            self._live[record.room_sid] = record
        self._put(record)
        return record

    def deliver(self, record: TranscriptionRecord, text: str) -> int:
        """
        Tell the room's clients what an engine heard; return how many are told.

        :param record: As it was read; what is in memory counts.
        :param text: The message, JSON.
        :raises ApiError: 53118 when the room has ended, 20001 when the transcription is stopped.
        """
        live = self._service.live_room(record.room_sid)
        if live is None:
            raise ApiError.of(ErrorCode.ROOM_COMPLETED)
        if self._live.get(record.room_sid, record).status != "started":
            raise ApiError.of(ErrorCode.INVALID_PARAMETER, "The transcription is not started")
        return live.signal(CHANNEL, text)

    def _started(self, record: TranscriptionRecord) -> TranscriptionRecord:
        live = self._service.live_room(record.room_sid)
        if live is None:
            raise ApiError.of(ErrorCode.ROOM_COMPLETED)
        now = self._service.clock.utc_now()
        started_at = record.started_at
        if started_at is None and live.room.participants:
            started_at = now
        return replace(
            record, status="started", updated_at=now, started_at=started_at, ended_at=None
        )

    def _stopped(self, record: TranscriptionRecord) -> TranscriptionRecord:
        now = self._service.clock.utc_now()
        return replace(record, status="stopped", updated_at=now, ended_at=now)

    def _observe(self, live: "LiveRoom", event: RoomEvent) -> None:
        record = self._live.get(live.sid)
        if record is None:
            return
        match event:
            case ParticipantConnected():
                if record.status == "started" and record.started_at is None:
                    now = self._service.clock.utc_now()
                    record = replace(record, started_at=now, updated_at=now)
                    self._live[live.sid] = record
                    self._put(record)
            case RoomCompleted():
                del self._live[live.sid]
                if record.status == "started":
                    self._put(self._stopped(record))

    def _put(self, record: TranscriptionRecord) -> None:
        self._service.record(record)
