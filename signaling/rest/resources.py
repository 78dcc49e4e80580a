"""Records as the JSON resources of the API. Every member is always there, null without a value."""

from datetime import datetime, timedelta

from signaling.storage.records import ParticipantRecord, RoomRecord, TrackRecord


def room_resource(room: RoomRecord, base_url: str) -> dict[str, object]:
    """Return a room as the API shows it."""
    url = f"{base_url}/v1/Rooms/{room.sid}"
    settings = room.settings
    return {
        "sid": room.sid,
        "account_sid": room.account_sid,
        "status": room.status,
        "type": settings.type,
        "unique_name": room.name,
        "enable_turn": True,
        "max_participants": settings.max_participants,
        "max_participant_duration": settings.max_participant_duration,
        "max_concurrent_published_tracks": settings.max_concurrent_published_tracks,
        "record_participants_on_connect": settings.record_participants_on_connect,
        "video_codecs": list(settings.video_codecs),
        "audio_only": settings.audio_only,
        "large_room": settings.large_room,
        "media_region": settings.media_region,
        "empty_room_timeout": settings.empty_room_timeout,
        "unused_room_timeout": settings.unused_room_timeout,
        "status_callback": settings.status_callback,
        "status_callback_method": settings.status_callback_method,
        "date_created": _date(room.created_at),
        "date_updated": _date(room.updated_at),
        "end_time": _date(room.ended_at),
        "duration": _duration(room.created_at, room.ended_at),
        "url": url,
        "links": {
            "participants": f"{url}/Participants",
            "recordings": f"{url}/Recordings",
            "recording_rules": f"{url}/RecordingRules",
            "transcriptions": f"{url}/Transcriptions",
        },
    }


def participant_resource(participant: ParticipantRecord, base_url: str) -> dict[str, object]:
    """Return a participant as the API shows it."""
    url = f"{base_url}/v1/Rooms/{participant.room_sid}/Participants/{participant.sid}"
    return {
        "sid": participant.sid,
        "room_sid": participant.room_sid,
        "account_sid": participant.account_sid,
        "identity": participant.identity,
        "status": participant.status,
        "date_created": _date(participant.created_at),
        "date_updated": _date(participant.updated_at),
        "start_time": _date(participant.created_at),
        "end_time": _date(participant.ended_at),
        "duration": _duration(participant.created_at, participant.ended_at),
        "url": url,
        "links": {
            "published_tracks": f"{url}/PublishedTracks",
            "subscribed_tracks": f"{url}/SubscribedTracks",
            "subscribe_rules": f"{url}/SubscribeRules",
            "anonymize": f"{url}/Anonymize",
        },
    }


def published_track_resource(track: TrackRecord, base_url: str) -> dict[str, object]:
    """Return a published track as the API shows it."""
    participant = f"{base_url}/v1/Rooms/{track.room_sid}/Participants/{track.participant_sid}"
    return {
        "sid": track.sid,
        "room_sid": track.room_sid,
        "participant_sid": track.participant_sid,
        "name": track.name,
        "kind": track.kind,
        "enabled": track.enabled,
        "date_created": _date(track.created_at),
        "date_updated": _date(track.updated_at),
        "url": f"{participant}/PublishedTracks/{track.sid}",
    }


def _date(moment: datetime | None) -> str | None:
    # Whole seconds: the Python library hands a date with a fraction on as a string.
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _duration(start: datetime, end: datetime | None) -> int | None:
    return None if end is None else max(0, (end - start) // timedelta(seconds=1))
