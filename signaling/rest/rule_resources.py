"""Rules, subscribed tracks and anonymized participants as the JSON resources of the API."""

from signaling.rest.resources import date_text, participant_resource
from signaling.rules import members_of
from signaling.service.rule_commands import recording_rules_of, subscribe_rules_of
from signaling.storage.records import ParticipantRecord, RoomRecord
from signaling.storage.subscription_records import SubscribedTrack

_EMPTY: dict[str, object] = dict.fromkeys(("type", "all", "publisher", "track", "kind", "priority"))


def recording_rules_resource(room: RoomRecord) -> dict[str, object]:
    """Return a room's recording rules; rules have only the members that they were given."""
    return {
        "room_sid": room.sid,
        "rules": [members_of(rule) for rule in recording_rules_of(room)],
        "date_created": date_text(room.recording_rules_created_at),
        "date_updated": date_text(room.recording_rules_updated_at),
    }


def subscribe_rules_resource(participant: ParticipantRecord) -> dict[str, object]:
    """Return a participant's subscribe rules; all rules have all members."""
    return {
        "participant_sid": participant.sid,
        "room_sid": participant.room_sid,
        "rules": [_EMPTY | members_of(rule) for rule in subscribe_rules_of(participant)],
        "date_created": date_text(participant.subscribe_rules_created_at),
        "date_updated": date_text(participant.subscribe_rules_updated_at),
    }


def subscribed_track_resource(track: SubscribedTrack, base_url: str) -> dict[str, object]:
    """Return a track as its subscriber's resource shows it."""
    participant = f"{base_url}/v1/Rooms/{track.room_sid}/Participants/{track.participant_sid}"
    return {
        "sid": track.track_sid,
        "room_sid": track.room_sid,
        "participant_sid": track.participant_sid,
        "publisher_sid": track.publisher_sid,
        "name": track.name,
        "kind": track.kind,
        "enabled": track.enabled,
        "date_created": date_text(track.created_at),
        "date_updated": date_text(track.updated_at),
        "url": f"{participant}/SubscribedTracks/{track.track_sid}",
    }


def anonymized_resource(participant: ParticipantRecord, base_url: str) -> dict[str, object]:
    """Return a participant whose identity is gone."""
    members = participant_resource(participant, base_url)
    del members["links"]
    return members | {"url": f"{members['url']}/Anonymize"}
