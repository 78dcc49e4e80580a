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
        "date_created": date_text(room.created_at),
        "date_updated": date_text(room.updated_at),
        "end_time": date_text(room.ended_at),
        "duration": duration_seconds(room.created_at, room.ended_at),
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
        "date_created": date_text(participant.created_at),
        "date_updated": date_text(participant.updated_at),
        "start_time": date_text(participant.created_at),
        "end_time": date_text(participant.ended_at),
        "duration": duration_seconds(participant.created_at, participant.ended_at),
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
        "date_created": date_text(track.created_at),
        "date_updated": date_text(track.updated_at),
        "url": f"{participant}/PublishedTracks/{track.sid}",
    }


def date_text(moment: datetime | None) -> str | None:
    """Return an aware UTC time as the API writes it."""
    # Whole seconds: the Python library hands a date with a fraction on as a string.
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def duration_seconds(start: datetime, end: datetime | None) -> int | None:
    """Return whole seconds between two times, or None before the second."""
    return None if end is None else max(0, (end - start) // timedelta(seconds=1))
