"""Rules, subscribed tracks and anonymizing, as the helper library calls them."""

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from twilio.base.exceptions import TwilioRestException

from router.node_events import MediaKind
from signaling.rooms import LeaveReason, SubscribeRules, TrackRequest
from signaling.rules import EXCLUDE_ALL

from .conftest import RunningServer
from .test_participants import Link

names = itertools.count()
ALL = [{"type": "include", "all": True}]
NONE = [{"type": "exclude", "all": True}]
NULLS = dict.fromkeys(("all", "publisher", "track", "kind", "priority"))
UNKNOWN = "MT" + "f" * 32


@pytest.fixture
def room(client: Any) -> Any:
    return client.rooms.create(unique_name=f"rules-{next(names)}")


def join(
    server: RunningServer,
    room: Any,
    identity: str,
    *tracks: TrackRequest,
    rules: SubscribeRules | None = None,
) -> str:
    """Let somebody in; return its SID."""

    async def work() -> str:
        live = server.service.live_room(room.sid)
        assert live is not None
        participant = live.join(
            identity=identity,
            rules=rules if rules is not None else SubscribeRules(),
            tracks=tracks,
            tracks_revision=1,
            peer_id=None,
            make_link=lambda _: Link(),
        )
        return participant.sid

    return server.run(work())


def publish(
    server: RunningServer, room: Any, sid: str, *tracks: TrackRequest, revision: int
) -> None:
    async def work() -> None:
        live = server.service.live_room(room.sid)
        assert live is not None
        live.update_tracks(sid, tracks, revision=revision)

    server.run(work())


def leave(server: RunningServer, room: Any, sid: str) -> None:
    async def work() -> None:
        live = server.service.live_room(room.sid)
        assert live is not None
        live.leave(sid, LeaveReason.LEFT)

    server.run(work())


def track(kind: str, name: str | None = None, *, enabled: bool = True) -> TrackRequest:
    return TrackRequest(
        track_id=f"id of {name or kind}", kind=MediaKind(kind), name=name or kind, enabled=enabled
    )


def tracks_of(client: Any, room: Any, who: str) -> dict[str, str]:
    """Return the SIDs of what somebody publishes, by name."""
    return {t.name: t.sid for t in client.rooms(room.sid).participants(who).published_tracks.list()}


def subscribed(client: Any, room: Any, who: str) -> set[str]:
    """Return the names of what somebody is subscribed to."""
    listed = client.rooms(room.sid).participants(who).subscribed_tracks.list()
    return {t.name for t in listed}


def refusal(call: Callable[[], object]) -> tuple[int, int]:
    with pytest.raises(TwilioRestException) as caught:
        call()
    return caught.value.status, caught.value.code


def full(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [NULLS | rule for rule in rules]


# Subscribe rules.


def test_rules_begin_as_the_client_connected(
    server: RunningServer, client: Any, http: requests.Session, room: Any
) -> None:
    alice = join(server, room, "alice")
    join(server, room, "bob", rules=SubscribeRules(rules=EXCLUDE_ALL))
    url = f"{room.url}/Participants"
    assert http.get(f"{url}/alice/SubscribeRules").json() == {
        "participant_sid": alice,
        "room_sid": room.sid,
        "rules": full(ALL),
        "date_created": None,
        "date_updated": None,
    }
    assert client.rooms(room.sid).participants("bob").subscribe_rules.fetch().rules == full(NONE)


def test_rules_are_replaced_and_decide_what_is_subscribed(
    server: RunningServer, client: Any, http: requests.Session, room: Any
) -> None:
    join(server, room, "alice", track("audio"), track("video"), track("data"))
    join(server, room, "carol", track("video", "screen"))
    join(server, room, "bob", track("audio", "own"))
    rules = client.rooms(room.sid).participants("bob").subscribe_rules
    assert subscribed(client, room, "bob") == {"audio", "video", "data", "screen"}
    wanted: list[dict[str, Any]] = [
        {"type": "include", "kind": "video", "priority": "low"},
        {"type": "exclude", "publisher": "carol", "track": "screen"},
        {"type": "include", "publisher": "alice", "kind": "data"},
    ]
    answer = rules.update(rules=wanted)
    assert answer.rules == full(wanted)
    assert answer.date_created == answer.date_updated is not None
    assert subscribed(client, room, "bob") == {"video", "data"}
    assert rules.fetch().rules == full(wanted)
    rules.update(rules=NONE)
    assert subscribed(client, room, "bob") == set()
    # As the libraries send back what they were given.
    rules.update(rules=full(ALL))
    assert subscribed(client, room, "bob") == {"audio", "video", "data", "screen"}
    assert subscribed(client, room, "alice") == {"screen", "own"}


def test_rules_are_evaluated_when_tracks_come_and_go(
    server: RunningServer, client: Any, room: Any
) -> None:
    alice = join(server, room, "alice", track("audio"))
    bob = join(server, room, "bob")
    rules = [{"type": "include", "track": "camera"}]
    client.rooms(room.sid).participants(bob).subscribe_rules.update(rules=rules)
    assert subscribed(client, room, "bob") == set()
    publish(server, room, alice, track("audio"), track("video", "camera"), revision=2)
    assert subscribed(client, room, "bob") == {"camera"}
    publish(server, room, alice, track("audio"), revision=3)
    assert subscribed(client, room, "bob") == set()


@pytest.mark.parametrize(
    "rules", ["", "[]", "x", '[{"type":"include"}]', '[{"type":"include","kind":"a","kind":"b"}]']
)
def test_bad_rules_are_refused_and_the_active_ones_stay(
    server: RunningServer, client: Any, http: requests.Session, room: Any, rules: str
) -> None:
    join(server, room, "alice", track("audio"))
    join(server, room, "bob")
    url = f"{room.url}/Participants/bob/SubscribeRules"
    active = [{"type": "include", "kind": "audio"}]
    client.rooms(room.sid).participants("bob").subscribe_rules.update(rules=active)
    answer = http.post(url, data={"Rules": rules})
    assert (answer.status_code, answer.json()["code"]) == (400, 53215)
    assert answer.json()["message"] == "Invalid Subscribe Rule(s)"
    assert http.get(url).json()["rules"] == full(active)
    assert subscribed(client, room, "bob") == {"audio"}


def test_who_has_left_has_rules_but_gets_no_new_ones(
    server: RunningServer, client: Any, room: Any
) -> None:
    join(server, room, "alice", track("audio"))
    bob = join(server, room, "bob")
    rules = client.rooms(room.sid).participants(bob).subscribe_rules
    rules.update(rules=[{"type": "include", "kind": "audio"}])
    leave(server, room, bob)
    assert refusal(lambda: rules.update(rules=ALL)) == (400, 53204)
    assert rules.fetch().rules == full([{"type": "include", "kind": "audio"}])
    room.update(status="completed")
    assert refusal(lambda: rules.update(rules=ALL)) == (400, 53204)
    assert rules.fetch().rules == full([{"type": "include", "kind": "audio"}])


# Subscribed tracks.


def test_subscribed_track_is_shown_live_and_after_the_end(
    server: RunningServer, client: Any, http: requests.Session, room: Any
) -> None:
    alice = join(server, room, "alice", track("video", "camera"))
    bob = join(server, room, "bob")
    sid = tracks_of(client, room, "alice")["camera"]
    url = f"{room.url}/Participants/{bob}/SubscribedTracks/{sid}"
    shown = http.get(url).json()
    assert shown == {
        "sid": sid,
        "room_sid": room.sid,
        "participant_sid": bob,
        "publisher_sid": alice,
        "name": "camera",
        "kind": "video",
        "enabled": True,
        "date_created": shown["date_created"],
        "date_updated": None,
        "url": url,
    }
    assert shown["date_created"] is not None
    publish(server, room, alice, track("video", "camera", enabled=False), revision=2)
    muted = http.get(url).json()
    assert (muted["enabled"], muted["date_updated"] is None) == (False, False)
    room.update(status="completed")
    assert http.get(url).json() == muted
    assert subscribed(client, room, bob) == {"camera"}
    assert subscribed(client, room, alice) == set()


def test_a_track_that_went_before_its_subscriber_is_gone(
    server: RunningServer, client: Any, http: requests.Session, room: Any
) -> None:
    alice = join(server, room, "alice", track("audio"))
    carol = join(server, room, "carol", track("audio", "hers"))
    bob = join(server, room, "bob")
    sids = tracks_of(client, room, "alice") | tracks_of(client, room, "carol")
    publish(server, room, alice, revision=2)
    leave(server, room, carol)
    url = f"{room.url}/Participants/{bob}/SubscribedTracks"
    for name in ("audio", "hers"):
        assert http.get(f"{url}/{sids[name]}").status_code == 404
    leave(server, room, bob)
    assert http.get(url).json()["subscribed_tracks"] == []
    # What alice and carol had when they left is what they have.
    assert subscribed(client, room, carol) == set()


def test_subscribed_tracks_are_paged_newest_first(
    server: RunningServer, client: Any, http: requests.Session, room: Any
) -> None:
    tracks = [track("data", f"d{n}") for n in range(5)]
    join(server, room, "alice", *tracks)
    bob = join(server, room, "bob")
    url: str | None = f"{room.url}/Participants/{bob}/SubscribedTracks?PageSize=2"
    seen = []
    while url is not None:
        body = http.get(url).json()
        assert body["meta"]["key"] == "subscribed_tracks"
        seen.append([t["name"] for t in body["subscribed_tracks"]])
        url = body["meta"]["next_page_url"]
    assert [len(page) for page in seen] == [2, 2, 1]
    assert sorted(itertools.chain(*seen)) == [t.name for t in tracks]
    people = client.rooms(room.sid).participants(bob)
    assert len(people.subscribed_tracks.list(page_size=2)) == 5
    # Names are not unique here, so only SIDs are taken.
    assert http.get(f"{room.url}/Participants/{bob}/SubscribedTracks/d0").status_code == 404


# Single tracks.


def test_single_tracks_are_given_and_taken_until_the_rules_are_replaced(
    server: RunningServer, client: Any, http: requests.Session, room: Any
) -> None:
    join(server, room, "alice", track("audio"), track("video"))
    join(server, room, "bob")
    sids = tracks_of(client, room, "alice")
    url = f"{room.url}/Participants/bob/SubscribedTracks"

    def post(name: str, status: str) -> dict[str, Any]:
        answer = http.post(url, data={"Track": sids[name], "Status": status})
        assert answer.status_code == 202
        members: dict[str, Any] = answer.json()
        assert (members["sid"], members["name"]) == (sids[name], name)
        assert set(members) == set(http.get(f"{url}/{sids['audio']}").json())
        return members

    post("video", "unsubscribe")
    assert subscribed(client, room, "bob") == {"audio"}
    assert post("video", "unsubscribe")["kind"] == "video"
    join(server, room, "carol", track("audio", "hers"))
    assert subscribed(client, room, "bob") == {"audio", "hers"}
    post("video", "subscribe")
    assert subscribed(client, room, "bob") == {"audio", "hers", "video"}
    post("video", "unsubscribe")
    client.rooms(room.sid).participants("bob").subscribe_rules.update(rules=ALL)
    assert subscribed(client, room, "bob") == {"audio", "hers", "video"}


def test_single_tracks_that_cannot_be_given_are_refused(
    server: RunningServer, client: Any, http: requests.Session, room: Any
) -> None:
    viewer = SubscribeRules(kinds=frozenset({MediaKind.AUDIO}))
    bob = join(server, room, "bob", track("audio", "own"), rules=viewer)
    join(server, room, "alice", track("video"))
    sids = tracks_of(client, room, "alice") | tracks_of(client, room, "bob")
    url = f"{room.url}/Participants/{bob}/SubscribedTracks"

    def code(**data: str) -> tuple[int, int]:
        answer = http.post(url, data=data)
        return answer.status_code, answer.json()["code"]

    assert code(Track=sids["video"], Status="subscribe") == (400, 53117)
    assert code(Track=sids["own"], Status="subscribe") == (404, 20404)
    assert code(Track=UNKNOWN, Status="subscribe") == (404, 20404)
    assert code(Track="video", Status="subscribe") == (404, 20404)
    assert code(Track=sids["video"]) == (400, 20001)
    assert code(Track=sids["video"], Status="maybe") == (400, 20001)
    assert code(Status="subscribe") == (400, 20001)
    leave(server, room, bob)
    assert code(Track=sids["video"], Status="subscribe") == (400, 53204)
    room.update(status="completed")
    assert code(Track=sids["video"], Status="subscribe") == (400, 53204)


@pytest.mark.parametrize("what", ["SubscribeRules", "SubscribedTracks", "Anonymize"])
def test_nothing_is_found_of_who_is_unknown(http: requests.Session, room: Any, what: str) -> None:
    url = f"{room.url}/Participants/nobody/{what}"
    data = {"Rules": '[{"type":"include","all":true}]', "Track": UNKNOWN, "Status": "subscribe"}
    answer = http.post(url, data=data)
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)
    assert http.delete(url).status_code == 405


# Recording rules.


def test_recording_rules_begin_as_the_room_was_made(client: Any, http: requests.Session) -> None:
    plain = client.rooms.create()
    assert http.get(f"{plain.url}/RecordingRules").json() == {
        "room_sid": plain.sid,
        "rules": NONE,
        "date_created": None,
        "date_updated": None,
    }
    recorded = client.rooms.create(record_participants_on_connect=True)
    shown = recorded.recording_rules.fetch()
    assert (shown.rules, shown.date_created) == (ALL, recorded.date_created)
    rules = [{"type": "include", "kind": "audio"}, {"type": "exclude", "publisher": "alice"}]
    given = client.rooms.create(recording_rules=rules, record_participants_on_connect=True)
    assert given.recording_rules.fetch().rules == rules


def test_recording_rules_are_replaced_and_select_tracks(
    server: RunningServer, client: Any, room: Any
) -> None:
    join(server, room, "alice", track("audio"), track("video"), track("data"))
    sids = tracks_of(client, room, "alice")

    def selected() -> set[str]:
        live = server.service.live_room(room.sid)
        assert live is not None
        return {name for name, sid in sids.items() if sid in live.room.recorded_tracks}

    assert selected() == set()
    first = room.recording_rules.update(rules=ALL)
    assert (first.rules, first.room_sid) == (ALL, room.sid)
    assert selected() == {"audio", "video"}
    room.recording_rules.update(rules=[{"type": "include", "kind": "video", "publisher": "alice"}])
    assert selected() == {"video"}
    shown = room.recording_rules.fetch()
    assert shown.rules == [{"type": "include", "publisher": "alice", "kind": "video"}]
    assert shown.date_created == first.date_created <= shown.date_updated
    assert client.rooms(room.unique_name).recording_rules.fetch().rules == shown.rules


def test_each_stretch_that_is_selected_has_a_recording_which_failed(
    server: RunningServer, client: Any, http: requests.Session
) -> None:
    room = client.rooms.create(
        record_participants_on_connect=True,
        status_callback="https://example.com/r",
        video_codecs=["H264"],
    )
    alice = join(server, room, "alice", track("audio"), track("video"), track("data"))
    sids = tracks_of(client, room, "alice")
    first = {recording.track_name: recording for recording in room.recordings.list()}
    assert set(first) == {"audio", "video"}
    for kind, codec, container in (("audio", "opus", "mka"), ("video", "h264", "mkv")):
        shown = client.recordings(first[kind].sid).fetch()
        assert (shown.status, shown.type, shown.codec) == ("failed", kind, codec)
        assert (shown.container_format, shown.size, shown.duration) == (container, 0, 0)
        assert (shown.source_sid, shown.grouping_sids) == (
            sids[kind],
            {"room_sid": room.sid, "participant_sid": alice},
        )
        assert shown.status_callback == "https://example.com/r"
        assert shown.offset // 1000 == int(shown.date_created.timestamp())
        assert http.get(f"{shown.url}/Media").status_code == 404
    room.recording_rules.update(rules=[{"type": "exclude", "kind": "audio"}])
    assert len(room.recordings.list()) == 2
    # What is selected again has another recording.
    room.recording_rules.update(rules=ALL)
    found = room.recordings.list()
    assert [recording.track_name for recording in found].count("audio") == 2
    assert len({recording.sid for recording in found}) == 3
    assert {recording.status for recording in found} == {"failed"}
    # Of what failed nothing can be composed.
    made = client.compositions.create(room_sid=room.sid, audio_sources=["*"])
    room.update(status="completed")
    deadline = time.monotonic() + 10
    while client.compositions(made.sid).fetch().status == "enqueued":
        assert time.monotonic() < deadline
    assert client.compositions(made.sid).fetch().status == "failed"
    assert client.recordings(first["audio"].sid).delete()
    assert client.recordings(first["audio"].sid).fetch().status == "deleted"


def test_rules_of_a_room_that_records_on_connect_start_from_everything(
    server: RunningServer, client: Any
) -> None:
    room = client.rooms.create(record_participants_on_connect=True)
    join(server, room, "alice", track("audio"), track("video"))
    room.recording_rules.update(rules=[{"type": "exclude", "kind": "video"}])
    live = server.service.live_room(room.sid)
    assert live is not None
    assert live.room.recorded_tracks == {tracks_of(client, room, "alice")["audio"]}


def test_recording_rules_of_a_completed_room_stay_as_they_were(client: Any, room: Any) -> None:
    room.recording_rules.update(rules=ALL)
    room.update(status="completed")
    rules = client.rooms(room.sid).recording_rules
    assert refusal(lambda: rules.update(rules=NONE)) == (400, 53118)
    assert rules.fetch().rules == ALL


@pytest.mark.parametrize("kind", ["go", "peer-to-peer"])
def test_rooms_that_cannot_record_take_no_recording_rules(client: Any, kind: str) -> None:
    assert refusal(lambda: client.rooms.create(type=kind, recording_rules=ALL)) == (400, 53122)
    room = client.rooms.create(type=kind)
    assert refusal(lambda: room.recording_rules.update(rules=ALL)) == (400, 53122)
    assert room.recording_rules.fetch().rules == NONE


def test_bad_recording_rules_are_refused(http: requests.Session, room: Any) -> None:
    url = f"{room.url}/RecordingRules"
    for data in ({}, {"Rules": '[{"type":"include","kind":"data"}]'}):
        answer = http.post(url, data=data)
        assert (answer.status_code, answer.json()["code"]) == (400, 53120)
        assert answer.json()["message"] == "Invalid Recording Rule(s)"


# Identities.


def test_anonymizing_replaces_the_identity_for_good(
    server: RunningServer, client: Any, http: requests.Session, room: Any
) -> None:
    bob = join(server, room, "bob")
    people = client.rooms(room.sid).participants
    assert refusal(lambda: people("bob").anonymize().update()) == (400, 53209)
    leave(server, room, bob)
    before = http.get(f"{room.url}/Participants/{bob}").json()
    url = f"{room.url}/Participants/{bob}/Anonymize"
    assert '"bob"' in http.get(f"{room.url}/Events").text
    answer = http.post(url)
    assert answer.status_code == 200
    assert '"bob"' not in http.get(f"{room.url}/Events").text
    members = answer.json()
    assert members == {
        **{name: value for name, value in before.items() if name != "links"},
        "identity": bob,
        "date_updated": members["date_updated"],
        "url": url,
    }
    assert http.post(url).json() == members
    assert people(bob).anonymize().update().identity == bob
    assert http.get(f"{room.url}/Participants/{bob}").json()["identity"] == bob
    assert people.list(status="disconnected", identity="bob") == []
    assert http.get(url).status_code == 405
