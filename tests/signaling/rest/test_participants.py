import itertools
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from twilio.base.exceptions import TwilioRestException

from router.node_events import NodeEvent
from signaling.ids import new_participant_sid, new_track_sid
from signaling.rooms import LeaveReason, ParticipantView, SubscribeRules
from signaling.storage.records import ParticipantRecord, TrackRecord

from .conftest import RunningServer

rng = random.Random(11)
names = itertools.count()


@dataclass
class Link:
    """A participant's client that only remembers what it was told."""

    reason: LeaveReason | None = None
    channels: set[str] = field(default_factory=set)
    """The media-signaling channels that it has open."""
    signals: list[tuple[str, str]] = field(default_factory=list)

    def participant_changed(self, view: ParticipantView) -> None: ...
    def publications_changed(self) -> None: ...
    def subscriptions_changed(self) -> None: ...
    def peer_event(self, event: NodeEvent) -> None: ...
    def signal(self, channel: str, text: str) -> bool:
        if channel in self.channels:
            self.signals.append((channel, text))
        return channel in self.channels

    def flush(self) -> None: ...
    def ended(self, reason: LeaveReason) -> None:
        self.reason = reason


@dataclass(frozen=True)
class Inside:
    """A participant who is in a room."""

    sid: str
    link: Link


@pytest.fixture
def room(client: Any) -> Any:
    return client.rooms.create(unique_name=f"people-{next(names)}")


def join(server: RunningServer, room_sid: str, identity: str) -> Inside:
    link = Link()

    async def work() -> str:
        live = server.service.live_room(room_sid)
        assert live is not None
        participant = live.join(
            identity=identity,
            rules=SubscribeRules(),
            tracks=(),
            tracks_revision=None,
            peer_id=None,
            make_link=lambda participant: link,
        )
        return str(participant.sid)

    return Inside(sid=server.run(work()), link=link)


def store_past(server: RunningServer, room: Any, *identities: str) -> list[ParticipantRecord]:
    """Put participants who have left into the store, a second apart."""
    start = datetime(2026, 5, 1, 12, tzinfo=UTC)
    records = [
        ParticipantRecord(
            sid=new_participant_sid(rng),
            room_sid=room.sid,
            account_sid=room.account_sid,
            identity=identity,
            status="disconnected",
            created_at=start + timedelta(seconds=number),
            updated_at=start + timedelta(seconds=number + 90),
            ended_at=start + timedelta(seconds=number + 90),
        )
        for number, identity in enumerate(identities)
    ]
    server.run(server.store.put_all(records))
    return records


def test_participant_who_is_inside_is_shown(server: RunningServer, client: Any, room: Any) -> None:
    alice = join(server, room.sid, "alice")
    shown = client.rooms(room.sid).participants("alice").fetch()
    assert (shown.sid, shown.identity, shown.status) == (alice.sid, "alice", "connected")
    assert (shown.room_sid, shown.account_sid) == (room.sid, room.account_sid)
    assert shown.start_time == shown.date_created
    assert (shown.end_time, shown.duration) == (None, None)
    assert shown.url == f"{room.url}/Participants/{alice.sid}"
    assert set(shown.links) == {
        "published_tracks",
        "subscribed_tracks",
        "subscribe_rules",
        "anonymize",
    }
    by_sid = client.rooms(room.unique_name).participants(alice.sid).fetch()
    assert by_sid.sid == alice.sid


def test_kick_removes_the_participant(
    server: RunningServer, client: Any, http: requests.Session, room: Any
) -> None:
    alice = join(server, room.sid, "alice")
    url = f"{room.url}/Participants/{alice.sid}"
    answer = http.post(url, data={"Status": "disconnected"})
    assert answer.status_code == 202
    members = answer.json()
    assert (members["status"], members["duration"]) == ("disconnected", 0)
    assert members["end_time"] is not None
    assert alice.link.reason == LeaveReason.REMOVED
    assert http.get(url).json() == members
    assert client.rooms(room.sid).participants.list() == []
    gone = client.rooms(room.sid).participants.list(status="disconnected")
    assert [participant.sid for participant in gone] == [alice.sid]
    # Again by SID: nothing changes. By identity: nobody of that name is inside.
    assert http.post(url, data={"Status": "disconnected"}).json() == members
    with pytest.raises(TwilioRestException) as caught:
        client.rooms(room.sid).participants("alice").update(status="disconnected")
    assert (caught.value.status, caught.value.code) == (404, 20404)


@pytest.mark.parametrize("data", [{}, {"Status": "connected"}, {"Status": "gone"}])
def test_no_other_status_can_be_set(
    server: RunningServer, http: requests.Session, room: Any, data: dict[str, str]
) -> None:
    alice = join(server, room.sid, "alice")
    answer = http.post(f"{room.url}/Participants/{alice.sid}", data=data)
    assert (answer.status_code, answer.json()["code"]) == (400, 53209)
    assert alice.link.reason is None


def test_completion_of_the_room_ends_its_participants(
    server: RunningServer, client: Any, room: Any
) -> None:
    alice = join(server, room.sid, "alice")
    room.update(status="completed")
    assert alice.link.reason == LeaveReason.ROOM_COMPLETED
    people = client.rooms(room.sid).participants
    assert [participant.sid for participant in people.list()] == [alice.sid]
    assert people.list(status="connected") == []
    assert people(alice.sid).fetch().end_time is not None


def test_participants_are_filtered_and_paged(
    server: RunningServer, client: Any, http: requests.Session, room: Any
) -> None:
    past = store_past(server, room, "a", "b", "a", "A", "é & ü")
    sids = [record.sid for record in past]
    people = client.rooms(room.sid).participants
    assert people.list() == []
    assert [p.sid for p in people.list(status="disconnected")] == sids[::-1]
    assert [p.sid for p in people.list(status="disconnected", identity="a")] == [sids[2], sids[0]]
    assert [p.sid for p in people.list(status="disconnected", page_size=2)] == sids[::-1]
    shown = people(sids[0]).fetch()
    assert (shown.duration, shown.end_time) == (90, past[0].ended_at)
    url = f"{room.url}/Participants?Status=disconnected"
    body = http.get(f"{url}&PageSize=1&Identity=%C3%A9+%26+%C3%BC").json()
    assert [p["sid"] for p in body["participants"]] == [sids[4]]
    assert body["meta"]["key"] == "participants"
    after = http.get(f"{url}&DateCreatedAfter=2026-05-01T12:00:03Z").json()
    assert [p["sid"] for p in after["participants"]] == [sids[4], sids[3]]


def test_reconnecting_counts_as_connected(server: RunningServer, client: Any, room: Any) -> None:
    [record] = store_past(server, room, "carol")
    away = replace(record, status="reconnecting", ended_at=None)
    server.run(server.store.put_participant(away))
    people = client.rooms(room.sid).participants
    assert [p.status for p in people.list(status="connected")] == ["reconnecting"]
    assert people("carol").fetch().sid == record.sid


def test_published_tracks_are_shown(
    server: RunningServer, client: Any, http: requests.Session, room: Any
) -> None:
    [alice] = store_past(server, room, "alice")
    tracks = [
        TrackRecord(
            sid=new_track_sid(rng),
            room_sid=room.sid,
            participant_sid=alice.sid,
            name=name,
            kind=kind,
            enabled=kind != "audio",
            created_at=alice.created_at + timedelta(seconds=number),
        )
        for number, (name, kind) in enumerate(
            [("camera", "video"), ("micro phone,é", "audio"), ("chat", "data"), ("old", "video")]
        )
    ]
    tracks[0] = replace(tracks[0], updated_at=alice.created_at)
    tracks[3] = replace(tracks[3], unpublished_at=alice.created_at)
    server.run(server.store.put_all(tracks))
    published = client.rooms(room.sid).participants(alice.sid).published_tracks
    assert [track.sid for track in published.list()] == [t.sid for t in tracks[2::-1]]
    assert [track.sid for track in published.list(page_size=1)] == [t.sid for t in tracks[2::-1]]
    url = f"{room.url}/Participants/{alice.sid}/PublishedTracks"
    assert http.get(f"{url}/{tracks[1].sid}").json() == {
        "sid": tracks[1].sid,
        "room_sid": room.sid,
        "participant_sid": alice.sid,
        "name": "micro phone,é",
        "kind": "audio",
        "enabled": False,
        "date_created": "2026-05-01T12:00:01Z",
        "date_updated": None,
        "url": f"{url}/{tracks[1].sid}",
    }
    assert published("micro phone,é").fetch().sid == tracks[1].sid
    assert published("camera").fetch().date_updated == alice.created_at
    for absent in (tracks[3].sid, "old", "Camera", "MT" + "f" * 32):
        assert http.get(f"{url}/{absent}").status_code == 404


@pytest.mark.parametrize("who", ["PA" + "f" * 32, "nobody", "bob%20smith"])
@pytest.mark.parametrize("what", ["", "/PublishedTracks", "/PublishedTracks/camera"])
def test_unknown_participant_is_not_found(
    http: requests.Session, room: Any, who: str, what: str
) -> None:
    answer = http.get(f"{room.url}/Participants/{who}{what}")
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)


def test_participant_of_another_room_is_not_found(
    server: RunningServer, client: Any, http: requests.Session, room: Any
) -> None:
    alice = join(server, room.sid, "alice")
    other = client.rooms.create()
    assert http.get(f"{other.url}/Participants/{alice.sid}").status_code == 404
