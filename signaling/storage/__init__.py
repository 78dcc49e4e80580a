"""What outlives a call: rooms, participants and published tracks, in a database."""

from signaling.storage.records import ParticipantRecord, RoomRecord, TrackRecord
from signaling.storage.store import (
    Page,
    PageKey,
    ParticipantFilter,
    Record,
    RoomFilter,
    Slice,
    Store,
)

__all__ = [
    "Page",
    "PageKey",
    "ParticipantFilter",
    "ParticipantRecord",
    "Record",
    "RoomFilter",
    "RoomRecord",
    "Slice",
    "Store",
    "TrackRecord",
]
