"""The recordings that the recording rules ask for, as resources and as events."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from signaling.ids import new_recording_sid
from signaling.rooms import RecordingWanted, RoomEvent
from signaling.storage.media_records import RecordingRecord
from signaling.storage.records import RoomRecord, TrackRecord

if TYPE_CHECKING:
    from .live_room import LiveRoom
    from .room_service import RoomService

_log = structlog.get_logger(__name__)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RecordingService:
    """
    Gives each stretch of a track that the rules select a recording of its own.

    Nothing takes the media down, so that each has failed when it begins: it is never shown as going
    on or done, and applications are told. A track that is selected again has another one.

    :param failed: Called with the room and each recording, whose row is written soon, to tell of
        it.
    """

    def __init__(
        self,
        *,
        service: "RoomService",
        rng: random.Random,
        failed: Callable[["LiveRoom", RecordingRecord], None],
    ) -> None:
        self._service = service
        self._rng = rng
        self._failed = failed
        service.observers.append(self._observe)

    def _observe(self, live: "LiveRoom", event: RoomEvent) -> None:
        if not isinstance(event, RecordingWanted):
            return
        track = live.track_record(event.participant_sid, event.track_sid)
        if track is not None:
            recording = self._make(live.record, track)
            self._service.record(recording)
            self._failed(live, recording)
            _log.info("a recording failed: nothing records", recording_sid=recording.sid)

    def _make(self, room: RoomRecord, track: TrackRecord) -> RecordingRecord:
        at = self._service.clock.utc_now()
        return RecordingRecord(
            sid=new_recording_sid(self._rng),
            account_sid=room.account_sid,
            room_sid=room.sid,
            participant_sid=track.participant_sid,
            source_sid=track.sid,
            track_name=track.name,
            kind=track.kind,
            codec=_codec(room, track.kind),
            status="failed",
            offset_ms=(at - _EPOCH) // timedelta(milliseconds=1),
            created_at=at,
            status_callback=room.settings.status_callback,
            status_callback_method=room.settings.status_callback_method,
        )


def _codec(room: RoomRecord, kind: str) -> str:
    """Return what the server would rather receive; nothing of the track may have come yet."""
    return "opus" if kind == "audio" else next(iter(room.settings.video_codecs), "VP8").lower()
