"""What happens in rooms, as events with parameters."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from signaling.rooms import RoomSettings
from signaling.service import LiveRoom
from signaling.service.recordings import RecordingService
from signaling.storage.event_records import EventRecord
from signaling.storage.media_records import RecordingRecord
from signaling.webhooks import event_log
from signaling.webhooks.event_log import EventLog, EventWriter
from signaling.webhooks.takeover import take_over
from tests.signaling.rsp.support import World, track
from tests.signaling.support import ACCOUNT_SID, ServiceHarness, running_service

WRITER = EventWriter(account_sid=ACCOUNT_SID, rng=random.Random(4))
URL = "https://hooks.example.com/x"


@asynccontextmanager
async def logged() -> AsyncIterator[tuple[ServiceHarness, list[EventRecord]]]:
    async with running_service() as h:
        told: list[EventRecord] = []
        log = EventLog(
            writer=WRITER, clock=h.service.clock, record=h.service.record, recorded=told.append
        )
        h.service.observers.append(log.observe)
        yield h, told


async def stored(h: ServiceHarness, room_sid: str) -> list[EventRecord]:
    await h.service.flush()
    return list((await h.store.list_events(room_sid, after=-1, size=1000))[0])


async def test_a_call_is_told_with_every_parameter() -> None:
    async with logged() as (h, told):
        room = await h.service.create_room(RoomSettings(unique_name="r1", status_callback=URL))
        w = World(h)
        alice = w.client("alice")
        h.clock.now += 1.2345
        await alice.connect("r1", track("a1"))
        h.clock.now += 3.0
        await alice.update(track("a1", enabled=False), track("v1", "video"))
        await alice.update(track("a1", enabled=False, priority="high"), track("v1", "video"))
        await alice.update(track("a1"))
        h.clock.now += 4.9
        await h.service.complete_room(room.sid)
        events = await stored(h, room.sid)
        assert told == events
        assert [e.sequence for e in events] == list(range(10))
        assert [e.name for e in events] == [
            "room-created",
            "participant-connected",
            "track-added",
            "track-disabled",
            "track-added",
            "track-removed",
            "track-enabled",
            "track-removed",
            "participant-disconnected",
            "room-ended",
        ]
        common = {
            "RoomStatus": "in-progress",
            "RoomType": "group",
            "RoomSid": room.sid,
            "RoomName": "r1",
            "AccountSid": ACCOUNT_SID,
        }
        person = {"ParticipantSid": alice.sid, "ParticipantIdentity": "alice"}
        assert events[0].parameters == common | {
            "SequenceNumber": "0",
            "StatusCallbackEvent": "room-created",
            "Timestamp": "2026-01-02T03:04:05.000Z",
        }
        assert events[1].parameters == common | person | {
            "SequenceNumber": "1",
            "StatusCallbackEvent": "participant-connected",
            "Timestamp": "2026-01-02T03:04:06.234Z",
            "ParticipantStatus": "connected",
        }
        assert events[2].parameters == common | person | {
            "SequenceNumber": "2",
            "StatusCallbackEvent": "track-added",
            "Timestamp": "2026-01-02T03:04:06.234Z",
            "ParticipantStatus": "connected",
            "TrackSid": events[2].parameters["TrackSid"],
            "TrackKind": "audio",
            "TrackName": "name of a1",
        }
        gone, ended = events[-2:]
        assert gone.parameters == common | person | {
            "SequenceNumber": str(gone.sequence),
            "StatusCallbackEvent": "participant-disconnected",
            "Timestamp": "2026-01-02T03:04:14.134Z",
            "ParticipantStatus": "disconnected",
            "ParticipantDuration": "7",
        }
        assert ended.parameters == common | {
            "RoomStatus": "completed",
            "SequenceNumber": str(ended.sequence),
            "StatusCallbackEvent": "room-ended",
            "Timestamp": "2026-01-02T03:04:14.134Z",
            "RoomDuration": "9",
        }
        assert {(e.url, e.method, e.delivery) for e in events} == {(URL, "POST", "pending")}


async def test_recordings_that_cannot_begin_are_told_with_every_parameter() -> None:
    async with logged() as (h, told):
        recordings: list[RecordingRecord] = []

        def failed(live: LiveRoom, recording: RecordingRecord) -> None:
            recordings.append(recording)
            log.recording_failed(live, recording)

        log = h.service.observers[0].__self__  # type: ignore[attr-defined]
        RecordingService(service=h.service, rng=random.Random(5), failed=failed)
        settings = RoomSettings(
            unique_name="r1", status_callback=URL, record_participants_on_connect=True
        )
        room = await h.service.create_room(settings)
        alice = World(h).client("alice")
        h.clock.now += 1.2345678
        await alice.connect("r1", track("a1"), track("d1", "data"), track("v1", "video"))
        events = await stored(h, room.sid)
        assert told == events
        assert [e.name for e in events[2:]] == [
            "track-added",
            "recording-failed",
            "track-added",
            "track-added",
            "recording-failed",
        ]
        for event, recording, track_added in (
            (events[3], recordings[0], events[2]),
            (events[6], recordings[1], events[5]),
        ):
            assert event.participant_sid == alice.sid
            assert event.parameters == {
                "RoomStatus": "in-progress",
                "RoomType": "group",
                "RoomSid": room.sid,
                "RoomName": "r1",
                "AccountSid": ACCOUNT_SID,
                "SequenceNumber": str(event.sequence),
                "StatusCallbackEvent": "recording-failed",
                "Timestamp": "2026-01-02T03:04:06.234568Z",
                "ParticipantSid": alice.sid,
                "ParticipantIdentity": "alice",
                "RecordingSid": recording.sid,
                "RecordingUri": f"/v1/Recordings/{recording.sid}",
                "SourceSid": track_added.parameters["TrackSid"],
                "TrackName": track_added.parameters["TrackName"],
                "Type": track_added.parameters["TrackKind"],
                "Container": {"audio": "mka", "video": "mkv"}[recording.kind],
                "Codec": {"audio": "opus", "video": "vp8"}[recording.kind],
                "OffsetFromTwilioVideoEpoch": "1767323046234",
                "FailedOperation": "RecordingStart",
            }


async def test_a_room_without_a_callback_has_events_that_nobody_is_told() -> None:
    async with logged() as (h, told):
        room = await h.service.create_room(RoomSettings())
        await h.service.complete_room(room.sid)
        events = await stored(h, room.sid)
        assert [(e.name, e.delivery) for e in events] == [
            ("room-created", "none"),
            ("room-ended", "none"),
        ]
        assert told == []


async def test_a_room_keeps_only_so_many_events_and_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_log, "EVENTS_PER_ROOM_MAX", 5)
    async with logged() as (h, _):
        room = await h.service.create_room(RoomSettings(unique_name="r1"))
        alice = World(h).client("alice")
        await alice.connect("r1", track("a1"))
        for number in range(20):
            await alice.update(track("a1", enabled=bool(number % 2)))
        await h.service.complete_room(room.sid)
        names = [e.name for e in await stored(h, room.sid)]
        assert len(names) == 6
        assert names[-1] == "room-ended"


async def test_whom_a_former_run_left_inside_is_told_of() -> None:
    async with logged() as (h, _):
        room = await h.service.create_room(RoomSettings(unique_name="r1", status_callback=URL))
        quiet = await h.service.create_room(RoomSettings())
        alice = World(h).client("alice")
        await alice.connect("r1", track("a1"))
        known = await stored(h, room.sid)
        h.clock.now += 65.0
        at = h.clock.utc_now()
        numbers = await take_over(h.store, WRITER, at)
        events = await stored(h, room.sid)
        assert events[: len(known)] == known
        new = events[len(known) :]
        assert [e.name for e in new] == ["track-removed", "participant-disconnected"]
        assert [e.sequence for e in events] == list(range(len(events)))
        assert new[1].parameters["ParticipantDuration"] == "65"
        assert new[1].parameters["ParticipantIdentity"] == "alice"
        assert new[0].parameters["TrackName"] == "name of a1"
        assert numbers == {room.sid: len(events), quiet.sid: 1}
        person = await h.store.get_participant(room.sid, alice.sid)
        assert person is not None
        assert (person.status, person.ended_at) == ("disconnected", at)
        # Once more changes nothing.
        assert await take_over(h.store, WRITER, at) == numbers
        assert await stored(h, room.sid) == events


async def test_a_room_whose_first_event_was_lost_gets_it_at_the_restart() -> None:
    async with running_service() as h:
        room = await h.service.create_room(RoomSettings(status_callback=URL))
        h.clock.now += 5.0
        assert await take_over(h.store, WRITER, h.clock.utc_now()) == {room.sid: 1}
        [event] = await stored(h, room.sid)
        assert (event.name, event.delivery) == ("room-created", "pending")
        assert event.parameters["Timestamp"] == "2026-01-02T03:04:05.000Z"
