"""
Domain events as the rows that REST replays and callbacks carry.

Each room's events have sequence numbers from 0. Rows go to the store by the room service's own
writer, after the rows of the rooms, participants and tracks that they tell of.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from signaling.ids import new_event_sid
from signaling.rooms import (
    ParticipantConnected,
    ParticipantDisconnected,
    RoomCompleted,
    RoomCreated,
    RoomEvent,
    TrackChanged,
    TrackPublished,
    TrackUnpublished,
)
from signaling.service import Clock, LiveRoom
from signaling.service.timestamps import timestamp
from signaling.storage.event_records import EventRecord
from signaling.storage.media_records import RecordingRecord
from signaling.storage.records import RoomRecord

EVENTS_PER_ROOM_MAX = 100_000
"""Beyond it a room's tracks and participants make no events: a client could go on for ever."""

_TOLD = (
    RoomCreated,
    RoomCompleted,
    ParticipantConnected,
    ParticipantDisconnected,
    TrackPublished,
    TrackUnpublished,
    TrackChanged,
)
"""The events of the domain that are told; there are as many others."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody inside."""

    sid: str
    identity: str
    since: datetime


@dataclass(slots=True, kw_only=True)
class _RoomLog:
    """What the events of one room need to remember."""

    next_sequence: int = 0
    people: dict[str, Person] = field(default_factory=dict)
    enabled: dict[str, bool] = field(default_factory=dict)
    """Of the published tracks, by SID."""


class EventWriter:
    """
    Makes the rows of events.

    :param account_sid: The account of all rooms.
    :param rng: Draws their SIDs.
    """

    def __init__(self, *, account_sid: str, rng: random.Random) -> None:
        self._account_sid = account_sid
        self._rng = rng

    def make(
        self,
        room: RoomRecord,
        sequence: int,
        name: str,
        at: datetime,
        *,
        person: Person | None = None,
        more: dict[str, str] | None = None,
        without: str | None = None,
    ) -> EventRecord:
        """
        Return an event.

        :param more: The parameters that not all events have, or not as others have them.
        :param without: One that this event has not, unlike others about somebody.
        """
        parameters = {
            "RoomStatus": room.status,
            "RoomType": room.settings.type,
            "RoomSid": room.sid,
            "RoomName": room.name,
            "SequenceNumber": str(sequence),
            "StatusCallbackEvent": name,
            "Timestamp": timestamp(at),
            "AccountSid": self._account_sid,
        }
        if person is not None:
            parameters |= {"ParticipantSid": person.sid, "ParticipantIdentity": person.identity}
            parameters["ParticipantStatus"] = "connected"
        parameters |= more or {}
        parameters.pop(without or "", None)
        url = room.settings.status_callback
        return EventRecord(
            sid=new_event_sid(self._rng),
            account_sid=self._account_sid,
            room_sid=room.sid,
            sequence=sequence,
            name=name,
            created_at=at,
            participant_sid=None if person is None else person.sid,
            parameters=parameters,
            url=url,
            method=room.settings.status_callback_method,
            delivery="none" if url is None else "pending",
        )


class EventLog:
    """
    Observes the rooms.

    :param record: Lets a row be written soon.
    :param recorded: Called after that, for each event that is to be delivered.
    """

    def __init__(
        self,
        *,
        writer: EventWriter,
        clock: Clock,
        record: Callable[[EventRecord], None],
        recorded: Callable[[EventRecord], None],
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._record = record
        self._recorded = recorded
        self._rooms: dict[str, _RoomLog] = {}

    def resume(self, room_sid: str, next_sequence: int) -> None:
        """Go on with the events of a room that a former run left in progress."""
        self._rooms[room_sid] = _RoomLog(next_sequence=next_sequence)

    def observe(self, live: LiveRoom, event: RoomEvent) -> None:
        """Take one domain event."""
        if not isinstance(event, _TOLD):
            return
        log = self._rooms.get(live.sid)
        if log is None:
            log = self._rooms[live.sid] = _RoomLog()
        room, now = live.record, self._clock.utc_now()
        match event:
            case RoomCreated():
                self._write(log, room, "room-created", room.created_at)
            case RoomCompleted():
                ended_at = room.ended_at or now
                more = {"RoomDuration": seconds(room.created_at, ended_at)}
                self._write(log, room, "room-ended", ended_at, more=more)
                del self._rooms[live.sid]
            case ParticipantConnected():
                person = Person(sid=event.participant_sid, identity=event.identity, since=now)
                log.people[person.sid] = person
                self._write(log, room, "participant-connected", now, person=person)
            case ParticipantDisconnected():
                person = log.people.pop(event.participant_sid)
                self._write(
                    log,
                    room,
                    "participant-disconnected",
                    now,
                    person=person,
                    more=left(person, now),
                )
            case TrackPublished() | TrackUnpublished() | TrackChanged():
                self._track(log, room, event, now)

    def recording_failed(self, live: LiveRoom, recording: RecordingRecord) -> None:
        """Tell of a recording that could not begin."""
        log = self._rooms[live.sid]
        at = recording.created_at
        more = {
            # The one group of events with microseconds.
            "Timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "RecordingSid": recording.sid,
            "RecordingUri": f"/v1/Recordings/{recording.sid}",
            "SourceSid": recording.source_sid,
            "TrackName": recording.track_name,
            "Type": recording.kind,
            "Container": recording.container,
            "Codec": recording.codec,
            "OffsetFromTwilioVideoEpoch": str(recording.offset_ms),
            "FailedOperation": "RecordingStart",
        }
        self._write(
            log,
            live.record,
            "recording-failed",
            at,
            person=log.people[recording.participant_sid],
            more=more,
            without="ParticipantStatus",
        )

    def _track(
        self,
        log: _RoomLog,
        room: RoomRecord,
        event: TrackPublished | TrackUnpublished | TrackChanged,
        now: datetime,
    ) -> None:
        track = event.track
        known = log.enabled.get(track.sid)
        log.enabled[track.sid] = track.enabled
        if isinstance(event, TrackPublished):
            name = "track-added"
        elif isinstance(event, TrackUnpublished):
            name = "track-removed"
            del log.enabled[track.sid]
        elif known is not track.enabled:
            name = "track-enabled" if track.enabled else "track-disabled"
        else:
            # Another priority.
            return
        more = track_parameters(track.sid, track.kind.value, track.name)
        self._write(log, room, name, now, person=log.people[event.participant_sid], more=more)

    def _write(
        self,
        log: _RoomLog,
        room: RoomRecord,
        name: str,
        at: datetime,
        *,
        person: Person | None = None,
        more: dict[str, str] | None = None,
        without: str | None = None,
    ) -> None:
        if log.next_sequence >= EVENTS_PER_ROOM_MAX and person is not None:
            if log.next_sequence == EVENTS_PER_ROOM_MAX:
                _log.warning("a room has too many events: no more are kept", room_sid=room.sid)
                # Logged once; only the end of the room has a number after this one.
                log.next_sequence += 1
            return
        made = self._writer.make(
            room, log.next_sequence, name, at, person=person, more=more, without=without
        )
        log.next_sequence += 1
        self._record(made)
        if made.delivery == "pending":
            self._recorded(made)


def left(person: Person, at: datetime) -> dict[str, str]:
    """Return the parameters of somebody who left."""
    return {
        "ParticipantStatus": "disconnected",
        "ParticipantDuration": seconds(person.since, at),
    }


def track_parameters(sid: str, kind: str, name: str) -> dict[str, str]:
    """Return the parameters of a track."""
    return {"TrackSid": sid, "TrackKind": kind, "TrackName": name}


def seconds(start: datetime, end: datetime) -> str:
    """Return a duration in whole seconds."""
    return str(max(0, (end - start) // timedelta(seconds=1)))
