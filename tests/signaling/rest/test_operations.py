"""Every operation with its exact status, and what all answers and all lists have in common."""

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from signaling.errors import ApiError, ErrorCode
from signaling.rest.parameters import Parameters
from signaling.rest.room_parameters import RoomLimits, read_room_settings

from .conftest import RunningServer
from .test_keys import Guest, minted, with_guest
from .test_rules import join, leave, track

names = itertools.count()
Call = Callable[..., requests.Response]
EVERYTHING = json.dumps([{"type": "include", "all": True}])
NOBODY = "f" * 32


@pytest.fixture
def call(server: RunningServer, http: requests.Session) -> Call:
    """Return a function that makes a request by its method and path."""

    def make(method: str, path: str, **arguments: Any) -> requests.Response:
        return http.request(method, server.url + path, timeout=20, **arguments)

    return make


@pytest.fixture
def room(client: Any) -> Any:
    return client.rooms.create(unique_name=f"operations-{next(names)}")


def answered(answer: requests.Response, status: int) -> Any:
    """Check what all answers have; return the members."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Twilio-Request-Id"].startswith("RQ")
    assert len(answer.headers["Twilio-Request-Id"]) == 34
    if status == 204:
        assert answer.content == b""
        return None
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    return answer.json()


def test_every_operation_answers_with_its_status(
    server: RunningServer, call: Call, room: Any
) -> None:
    join(server, room, "alice", track("audio", "mic"))
    bob = join(server, room, "bob")
    at = f"/v1/Rooms/{room.sid}"
    person = f"{at}/Participants/bob"
    [given] = answered(call("GET", f"{person}/SubscribedTracks"), 200)["subscribed_tracks"]
    name = f"hook {next(names)}"
    layout = {"FriendlyName": name, "AudioSources": "*"}
    composition = answered(
        call("POST", "/v1/Compositions", data={"RoomSid": room.sid, "AudioSources": "*"}), 201
    )["sid"]
    hook = answered(call("POST", "/v1/CompositionHooks", data=layout), 201)["sid"]
    transcription = answered(call("POST", f"{at}/Transcriptions"), 202)["ttid"]
    other = answered(call("POST", "/v1/Rooms"), 201)["sid"]
    account = f"/2010-04-01/Accounts/{server.account.account_sid}"
    for method, path, data, status in (
        ("GET", "/v1/Rooms", {}, 200),
        ("GET", at, {}, 200),
        ("POST", f"/v1/Rooms/{other}", {"Status": "completed"}, 202),
        ("GET", f"{at}/Participants", {}, 200),
        ("GET", person, {}, 200),
        ("GET", f"{at}/Participants/alice/PublishedTracks", {}, 200),
        ("GET", f"{at}/Participants/alice/PublishedTracks/mic", {}, 200),
        ("GET", f"{person}/SubscribedTracks/{given['sid']}", {}, 200),
        (
            "POST",
            f"{person}/SubscribedTracks",
            {"Track": given["sid"], "Status": "unsubscribe"},
            202,
        ),
        ("GET", f"{person}/SubscribeRules", {}, 200),
        ("POST", f"{person}/SubscribeRules", {"Rules": EVERYTHING}, 200),
        ("POST", person, {"Status": "disconnected"}, 202),
        ("POST", f"{at}/Participants/{bob}", {"Status": "disconnected"}, 202),
        ("POST", f"{at}/Participants/{bob}/Anonymize", {}, 200),
        ("GET", f"{at}/RecordingRules", {}, 200),
        ("POST", f"{at}/RecordingRules", {"Rules": EVERYTHING}, 200),
        ("GET", f"{at}/Recordings", {}, 200),
        ("GET", "/v1/Recordings", {}, 200),
        ("GET", "/v1/Compositions", {}, 200),
        ("GET", f"/v1/Compositions/{composition}", {}, 200),
        ("DELETE", f"/v1/Compositions/{composition}", {}, 204),
        ("GET", "/v1/CompositionHooks", {}, 200),
        ("GET", f"/v1/CompositionHooks/{hook}", {}, 200),
        ("POST", f"/v1/CompositionHooks/{hook}", layout, 200),
        ("DELETE", f"/v1/CompositionHooks/{hook}", {}, 204),
        ("GET", f"/v1/CompositionHooks/{hook}", {}, 404),
        ("GET", "/v1/RecordingSettings/Default", {}, 200),
        ("GET", "/v1/CompositionSettings/Default", {}, 200),
        ("GET", f"{at}/Transcriptions", {}, 200),
        ("GET", f"{at}/Transcriptions/{transcription}", {}, 200),
        ("POST", f"{at}/Transcriptions/{transcription}", {"Status": "stopped"}, 202),
        ("POST", f"{account}/Tokens.json", {}, 201),
        ("GET", f"{account}/Keys.json", {}, 200),
        ("GET", f"{at}/Events", {}, 200),
    ):
        answered(call(method, path, data=data or None), status)
    # What failed to be recorded can be deleted, as often as one likes.
    recordings = answered(call("GET", f"{at}/Recordings"), 200)["recordings"]
    for recording in recordings:
        for below in ("/v1", at):
            path = f"{below}/Recordings/{recording['sid']}"
            assert answered(call("GET", path), 200)["status"] in ("failed", "deleted")
            answered(call("GET", f"{path}/Media"), 404)
            answered(call("DELETE", path), 204)
    assert len(recordings) == 1


@pytest.mark.parametrize(
    ("method", "path", "arguments", "code"),
    [
        ("GET", "/v1/Rooms?PageSize=0", {}, 20001),
        ("GET", f"/v1/Rooms/RM{NOBODY}", {}, 20404),
        ("GET", "/v1/Rooms/RM123", {}, 20404),
        ("PATCH", "/v1/Rooms", {}, 20004),
        ("GET", "/v1/Rooms", {"auth": ("SK" + NOBODY, "x")}, 20003),
        ("POST", "/v1/Rooms", {"json": {}}, 20001),
        ("POST", "/v1/Rooms", {"data": {"MaxParticipants": "0"}}, 53107),
    ],
)
def test_every_refusal_has_the_same_members(
    call: Call, method: str, path: str, arguments: dict[str, Any], code: int
) -> None:
    answer = call(method, path, **arguments)
    members = answered(answer, answer.status_code)
    assert members == {
        "code": code,
        "message": members["message"],
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": answer.status_code,
    }
    assert isinstance(members["message"], str)


def test_every_list_names_its_records_and_has_all_links(
    server: RunningServer, call: Call, room: Any
) -> None:
    alice = join(server, room, "alice", track("audio"))
    at = f"/v1/Rooms/{room.sid}"
    for path, key, most in (
        ("/v1/Rooms", "rooms", 1000),
        (f"{at}/Participants", "participants", 1000),
        (f"{at}/Participants/{alice}/PublishedTracks", "published_tracks", 1000),
        (f"{at}/Participants/{alice}/SubscribedTracks", "subscribed_tracks", 1000),
        (f"{at}/Recordings", "recordings", 1000),
        ("/v1/Recordings", "recordings", 100),
        ("/v1/Compositions", "compositions", 100),
        ("/v1/CompositionHooks", "composition_hooks", 1000),
        (f"{at}/Transcriptions", "transcriptions", 1000),
    ):
        default = answered(call("GET", path), 200)
        assert set(default) == {key, "meta"}
        assert (default["meta"]["page_size"], default["meta"]["page"]) == (50, 0)
        body = answered(call("GET", f"{path}?PageSize=5000"), 200)
        first = f"{server.url}{path}?PageSize={most}&Page=0"
        assert body["meta"] == {
            "page": 0,
            "page_size": most,
            "first_page_url": first,
            "previous_page_url": None,
            "url": first,
            "next_page_url": None,
            "key": key,
        }
        assert isinstance(body[key], list)
        for query in ("PageSize=0", "PageSize=-1", "PageSize=x", "Page=-1", "PageToken=x"):
            refused = answered(call("GET", f"{path}?{query}"), 400)
            assert refused["code"] == 20001


def test_rooms_that_come_meanwhile_do_not_shift_the_pages(
    client: Any, call: Call, http: requests.Session
) -> None:
    name = f"shifted-{next(names)}"

    def add() -> str:
        room = client.rooms.create(unique_name=name)
        room.update(status="completed")
        return str(room.sid)

    sids = [add() for _ in range(4)]
    path = f"/v1/Rooms?Status=completed&UniqueName={name}&PageSize=2"
    first = answered(call("GET", path), 200)
    late = add()
    second = http.get(first["meta"]["next_page_url"], timeout=20).json()
    assert [room["sid"] for room in first["rooms"]] == sids[:1:-1]
    assert [room["sid"] for room in second["rooms"]] == sids[1::-1]
    assert answered(call("GET", path), 200)["rooms"][0]["sid"] == late


def test_sid_of_a_room_wins_over_the_name_of_another(client: Any, call: Call) -> None:
    first = client.rooms.create(unique_name=f"first-{next(names)}")
    second = client.rooms.create(unique_name=first.sid)
    assert client.rooms(first.sid).fetch().sid == first.sid
    assert [room.sid for room in client.rooms.list(unique_name=first.sid)] == [second.sid]
    first.update(status="completed")
    assert client.rooms(first.sid).fetch().sid == first.sid
    # Links go by SID even where the room was asked for by its name.
    named = client.rooms.create(unique_name=f"named-{next(names)}")
    assert client.rooms(named.unique_name).fetch().url.endswith(f"/v1/Rooms/{named.sid}")


def test_participant_whose_connection_broke_is_reconnecting(
    server: RunningServer, client: Any, room: Any
) -> None:
    people = client.rooms(room.sid).participants

    async def vanishes(guest: Guest) -> None:
        assert (await guest.body())["type"] == "connected"
        guest.vanish()
        async with asyncio.timeout(10):
            while (await asyncio.to_thread(people("alice").fetch)).status == "connected":  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    token = minted(server, server.key, "alice", room.unique_name)
    with_guest(server, token, vanishes)
    [shown] = people.list(status="connected")
    assert (shown.status, shown.end_time, shown.duration) == ("reconnecting", None, None)
    assert people.list(status="disconnected") == []
    assert [p.sid for p in people.list(status="reconnecting")] == [shown.sid]
    removed = people("alice").update(status="disconnected")
    assert (removed.sid, removed.status) == (shown.sid, "disconnected")


def test_operators_can_switch_off_what_is_old() -> None:
    new = RoomLimits(legacy_room_types=False, audio_only_rooms=False)
    for text, code in (
        ("Type=go", ErrorCode.LEGACY_ROOM_TYPE),
        ("Type=group-small", ErrorCode.LEGACY_ROOM_TYPE),
        ("Type=peer-to-peer", ErrorCode.LEGACY_ROOM_TYPE),
        ("AudioOnly=true", ErrorCode.AUDIO_ONLY_REMOVED),
    ):
        with pytest.raises(ApiError) as refused:
            read_room_settings(Parameters(text), new)
        assert refused.value.code == code
    assert read_room_settings(Parameters("Type=group&AudioOnly=false"), new).type == "group"


def test_participant_who_comes_back_is_another(
    server: RunningServer, client: Any, room: Any
) -> None:
    first = join(server, room, "alice")
    leave(server, room, first)
    second = join(server, room, "alice")
    assert first != second
    people = client.rooms(room.sid).participants
    assert people("alice").fetch().sid == second
    assert people(first).fetch().status == "disconnected"
    assert [p.sid for p in people.list(status="disconnected", identity="alice")] == [first]
