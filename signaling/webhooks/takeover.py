"""What a former run of the server could no longer tell: whom it left inside when it ended."""

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from signaling.rooms.room import ROOM_LIFETIME
from signaling.storage.event_records import EventRecord
from signaling.storage.records import ParticipantRecord, RoomRecord

from .event_log import EventWriter, Person, left, track_parameters
from .store import WebhookStore

if TYPE_CHECKING:
    from signaling.storage.store import Record


async def take_over(store: WebhookStore, writer: EventWriter, at: datetime) -> dict[str, int]:
    """
    End what a former run left as live, with the events that tell so, in one transaction.

    Nobody has stayed longer than the room let them, however late this run began.

    Called once at start-up, before the rooms go on.

    :return: The next sequence number of each room in progress.
    :raises StorageError: if the store fails; nothing has changed then.
    """
    rooms = {room.sid: room for room in await store.in_progress_rooms()}
    next_sequence = defaultdict(int)
    for sid, last in (await store.last_sequences()).items():
        next_sequence[sid] = last + 1
    changed: list[Record] = []

    def write(event: EventRecord) -> None:
        changed.append(event)
        next_sequence[event.room_sid] += 1

    for room in rooms.values():
        if not next_sequence[room.sid]:
            # The run ended between the room's row and its first event's.
            write(writer.make(room, 0, "room-created", room.created_at))
    for there in await store.left_behind():
        stay = there.participant
        its = rooms.get(stay.room_sid)
        left_at = at if its is None else min(at, _latest_departure(stay, its))
        changed += [replace(track, unpublished_at=left_at) for track in there.tracks]
        changed.append(replace(stay, status="disconnected", updated_at=left_at, ended_at=left_at))
        if its is None:
            continue
        person = Person(sid=stay.sid, identity=stay.identity, since=stay.created_at)
        for track in there.tracks:
            more = track_parameters(track.sid, track.kind, track.name)
            number = next_sequence[its.sid]
            write(writer.make(its, number, "track-removed", left_at, person=person, more=more))
        more, number = left(person, left_at), next_sequence[its.sid]
        write(
            writer.make(its, number, "participant-disconnected", left_at, person=person, more=more)
        )
    await store.put_all(changed)
    return {sid: next_sequence[sid] for sid in rooms}


def _latest_departure(stay: ParticipantRecord, room: RoomRecord) -> datetime:
    allowed = timedelta(seconds=room.settings.max_participant_duration)
    return min(stay.created_at + allowed, room.created_at + timedelta(seconds=ROOM_LIFETIME))
