"""Records to rows of the tables, and back."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from signaling.errors import StorageError
from signaling.rooms.settings import RoomSettings
from signaling.storage.media_records import TranscriptionRecord
from signaling.storage.records import ParticipantRecord, RoomRecord, TrackRecord

# A row that an older or newer release wrote may lack settings or have more: defaults fill in.
_SETTINGS = msgspec.json.Decoder(RoomSettings)


def row_of(record: Any) -> dict[str, Any]:
    """Return the column values of a record, a dataclass."""
    row = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    if isinstance(record, RoomRecord):
        row["settings"] = json.dumps(dataclasses.asdict(record.settings), separators=(",", ":"))
    if isinstance(record, TranscriptionRecord):
        row["configuration"] = json.dumps(record.configuration, separators=(",", ":"))
    return row


def room_of(row: Mapping[str, Any]) -> RoomRecord:
    """
    Return the room that a row holds.

    :raises StorageError: if its settings are no settings.
    """
    try:
        settings = _SETTINGS.decode(row["settings"])
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise StorageError(f"the settings of room {row['sid']} cannot be read") from error
    return RoomRecord(**{**row, "settings": settings})


def participant_of(row: Mapping[str, Any]) -> ParticipantRecord:
    """Return the participant that a row holds."""
    return ParticipantRecord(**row)


def track_of(row: Mapping[str, Any]) -> TrackRecord:
    """Return the track that a row holds."""
    return TrackRecord(**row)
