from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests
from twilio.base.exceptions import TwilioRestException

from .conftest import RunningServer


def refused(code: int, status: int, call: Any) -> None:
    with pytest.raises(TwilioRestException) as caught:
        call()
    assert (caught.value.status, caught.value.code) == (status, code)


def test_created_room_has_the_documented_defaults(client: Any, server: RunningServer) -> None:
    room = client.rooms.create()
    assert room.unique_name == room.sid
    assert room.account_sid == server.account.account_sid
    assert (room.status, room.type, room.media_region) == ("in-progress", "group", "us1")
    assert (room.max_participants, room.max_participant_duration) == (50, 14400)
    assert (room.empty_room_timeout, room.unused_room_timeout) == (5, 5)
    assert room.max_concurrent_published_tracks == 170
    assert room.video_codecs == ["VP8", "H264"]
    assert (room.enable_turn, room.audio_only, room.large_room) == (True, False, False)
    assert (room.status_callback, room.status_callback_method) == (None, "POST")
    assert (room.end_time, room.duration) == (None, None)
    assert room.date_created == room.date_updated
    assert abs(datetime.now(UTC) - room.date_created) < timedelta(seconds=30)
    assert room.url == f"{server.url}/v1/Rooms/{room.sid}"
    assert set(room.links) == {"participants", "recordings", "recording_rules", "transcriptions"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"Type": "go"}, {"max_participants": 2, "max_concurrent_published_tracks": 0}),
        ({"Type": "peer-to-peer"}, {"max_participants": 10, "type": "peer-to-peer"}),
        ({"Type": "group-small"}, {"max_participants": 4, "max_concurrent_published_tracks": 170}),
        (
            {"MaxParticipants": "51"},
            {"max_participants": 51, "max_concurrent_published_tracks": 16, "large_room": True},
        ),
        ({"VideoCodecs": ["H264", "VP8", "H264"]}, {"video_codecs": ["H264", "VP8"]}),
        ({"VideoCodecs": "H264,VP8"}, {"video_codecs": ["H264", "VP8"]}),
        ({"VideoCodecs": ""}, {"video_codecs": ["VP8", "H264"]}),
        ({"AudioOnly": "TRUE"}, {"audio_only": True, "video_codecs": []}),
        ({"MediaRegion": "de1"}, {"media_region": "de1"}),
        ({"MediaRegion": "gll"}, {"media_region": "us1"}),
        ({"EnableTurn": "false", "LargeRoom": "true"}, {"enable_turn": True, "large_room": False}),
        (
            {"StatusCallback": "https://u:p@a.example/x?y=1", "StatusCallbackMethod": "GET"},
            {
                "status_callback": "https://u:p@a.example/x?y=1",
                "status_callback_method": "GET",
            },
        ),
        ({"StatusCallback": "", "MaxParticipants": ""}, {"status_callback": None}),
        ({"uniquename": "ignored", "Colour": "blue"}, {"max_participants": 50}),
        ({"RecordParticipantsOnConnect": "true"}, {"record_participants_on_connect": True}),
        ({"EmptyRoomTimeout": "60", "UnusedRoomTimeout": "1"}, {"empty_room_timeout": 60}),
    ],
)
def test_room_shows_what_it_was_created_with(
    http: requests.Session, server: RunningServer, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    answer = http.post(f"{server.url}/v1/Rooms", data=given)
    assert answer.status_code == 201
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["Twilio-Request-Id"].startswith("RQ")
    members = answer.json()
    assert {name: members[name] for name in expected} == expected
    assert http.get(members["url"]).json() == members


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"UniqueName": "x" * 129}, 53101),
        ("UniqueName=%ff", 53102),
        ("UniqueName=a%00b", 53102),
        ({"Type": "conference"}, 53108),
        ({"MaxParticipants": "0"}, 53107),
        ({"MaxParticipants": "101"}, 53107),
        ({"MaxParticipants": "1.5"}, 53107),
        ({"MaxParticipants": "many"}, 53107),
        ({"MaxParticipants": "9" * 5000}, 53107),
        ({"MaxParticipants": "٣"}, 53107),
        ({"Type": "go", "MaxParticipants": "3"}, 53107),
        ({"MaxParticipantDuration": "599"}, 53123),
        ({"MaxParticipantDuration": "86401"}, 53123),
        ({"EmptyRoomTimeout": "0"}, 53109),
        ({"UnusedRoomTimeout": "61"}, 53109),
        ({"VideoCodecs": ["VP8", "THEORA"]}, 20001),
        ({"MediaRegion": "atlantis"}, 53115),
        ({"StatusCallback": "ftp://a.example/"}, 53111),
        ({"StatusCallback": "https://a.example/\r\nx"}, 53111),
        ({"StatusCallback": "http://[::1"}, 53111),
        ({"StatusCallback": "https://a.example/" + "x" * 1024}, 53111),
        ({"StatusCallbackMethod": "PUT"}, 53110),
        ({"AudioOnly": "perhaps"}, 20001),
        ({"AudioOnly": "true", "Type": "go"}, 53124),
        ({"RecordParticipantsOnConnect": "true", "Type": "go"}, 53122),
        ({"RecordingRules": "not JSON"}, 53120),
        ({"RecordingRules": "[" * 9000}, 53120),
        ({"TranscriptionsConfiguration": "[]"}, 20001),
        (
            {
                "TranscribeParticipantsOnConnect": "true",
                "TranscriptionsConfiguration": '{"a": 1, "a": 2}',
            },
            20001,
        ),
    ],
)
def test_parameter_out_of_its_range_is_refused(
    http: requests.Session, server: RunningServer, given: Any, code: int
) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    before = server.service.room_count
    answer = http.post(f"{server.url}/v1/Rooms", data=given, headers=headers)
    assert answer.status_code == 400
    members = answer.json()
    assert members == {
        "code": code,
        "message": members["message"],
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": 400,
    }
    assert server.service.room_count == before


@pytest.mark.parametrize(
    "name", ["with space", "grüße-日本", "a+b", "100%25", "it's", "a&b=c", "a/b?c#d", "x" * 128]
)
def test_room_is_found_by_its_name(
    http: requests.Session, client: Any, server: RunningServer, name: str
) -> None:
    room = client.rooms.create(unique_name=name)
    assert [found.sid for found in client.rooms.list(unique_name=name)] == [room.sid]
    answer = http.get(f"{server.url}/v1/Rooms/{quote(name, safe='')}")
    assert answer.json()["sid"] == room.sid


def test_bare_percent_sign_in_a_path_is_literal(
    client: Any, server: RunningServer, http: requests.Session
) -> None:
    room = client.rooms.create(unique_name="50%")
    request = requests.Request("GET", server.url, auth=http.auth).prepare()
    request.url = f"{server.url}/v1/Rooms/50%"
    assert http.send(request).json()["sid"] == room.sid


def test_names_are_unique_among_rooms_in_progress(client: Any) -> None:
    first = client.rooms.create(unique_name="taken")
    refused(53113, 400, lambda: client.rooms.create(unique_name="taken"))
    assert client.rooms.create(unique_name="Taken").sid != first.sid
    first.update(status="completed")
    second = client.rooms.create(unique_name="taken")
    assert client.rooms("taken").fetch().sid == second.sid
    assert client.rooms(first.sid).fetch().status == "completed"


def test_of_concurrent_creates_of_one_name_exactly_one_succeeds(
    http: requests.Session, server: RunningServer
) -> None:
    def create(_number: int) -> int:
        data = {"UniqueName": "race"}
        answer = requests.post(f"{server.url}/v1/Rooms", data=data, auth=http.auth, timeout=20)
        return int(answer.json().get("code", answer.status_code))

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(8))) == [201] + [53113] * 7


def test_completion_ends_the_room_once(http: requests.Session, client: Any) -> None:
    room = client.rooms.create(unique_name="to-complete")
    answer = http.post(room.url, data={"Status": "completed"})
    assert answer.status_code == 202
    members = answer.json()
    assert (members["status"], members["duration"]) == ("completed", 0)
    assert members["end_time"] >= members["date_created"]
    assert http.get(room.url).json() == members
    refused(53112, 400, lambda: client.rooms(room.sid).update(status="completed"))
    refused(20404, 404, lambda: client.rooms("to-complete").update(status="completed"))
    refused(20404, 404, lambda: client.rooms("to-complete").fetch())


@pytest.mark.parametrize(
    "data", [{}, {"Status": ""}, {"Status": "failed"}, {"status": "completed"}]
)
def test_no_other_status_can_be_set(
    http: requests.Session, client: Any, data: dict[str, str]
) -> None:
    room = client.rooms.create()
    answer = http.post(room.url, data=data)
    assert (answer.status_code, answer.json()["code"]) == (400, 53112)
    assert client.rooms(room.sid).fetch().status == "in-progress"


def test_list_shows_rooms_in_progress_newest_first(client: Any) -> None:
    rooms = [client.rooms.create(unique_name=f"listed-{n}") for n in range(3)]
    rooms[0].update(status="completed")
    mine = {room.sid for room in rooms}
    sids = [room.sid for room in client.rooms.list() if room.sid in mine]
    assert sids == [rooms[2].sid, rooms[1].sid]
    completed = client.rooms.list(status="completed")
    assert [room.sid for room in completed if room.sid in mine] == [rooms[0].sid]
    assert client.rooms.list(status="failed") == []


def test_date_filters_include_the_start_and_exclude_the_end(
    http: requests.Session, client: Any, server: RunningServer
) -> None:
    room = client.rooms.create(unique_name="dated")
    at = room.date_created

    def found(**filters: str) -> int:
        query = {"UniqueName": "dated", **filters}
        answer = http.get(f"{server.url}/v1/Rooms", params=query)
        assert answer.status_code == 200
        return len(answer.json()["rooms"])

    stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert found(DateCreatedAfter=stamp) == 1
    assert found(DateCreatedBefore=stamp) == 0
    later = (at + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert found(DateCreatedAfter=later) == 0
    assert found(DateCreatedBefore=later) == 1
    assert found(DateCreatedAfter=at.strftime("%Y-%m-%d")) == 1
    shifted = (at + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S+02:00")
    assert found(DateCreatedAfter=shifted) == 1
    assert found(DateCreatedBefore=shifted.replace("+", " ")) == 0
    shifted = (at - timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%S-03:00")
    assert found(DateCreatedBefore=shifted) == 0


@pytest.mark.parametrize(
    "query",
    [
        "Status=open",
        "DateCreatedAfter=yesterday",
        "DateCreatedAfter=2026-13-01",
        "DateCreatedAfter=2026-01-01T00:00:00.5Z",
        "DateCreatedBefore=0001-01-01T00:00:00%2B23:59",
        "PageSize=0",
        "PageSize=-1",
        "PageSize=many",
        "Page=-1",
        "PageToken=xyz",
        "PageToken=PTQTEuUk0",
        "PageToken=PT!!",
        "UniqueName=%ff",
        "a=1&" * 1100,
    ],
)
def test_list_refuses_a_bad_query(
    http: requests.Session, server: RunningServer, query: str
) -> None:
    answer = http.get(f"{server.url}/v1/Rooms?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


def test_pages_are_walked_by_their_links(
    http: requests.Session, client: Any, server: RunningServer
) -> None:
    sids = []
    for _ in range(7):
        room = client.rooms.create(unique_name="paged & filtered")
        room.update(status="completed")
        sids.append(room.sid)
    first = f"{server.url}/v1/Rooms?Status=completed&UniqueName=paged+%26+filtered&PageSize=3"
    pages = [http.get(first).json()]
    for page in pages:
        url = page["meta"]["next_page_url"]
        if url is not None:
            pages.append(http.get(url).json())
            query = parse_qs(urlsplit(url).query)
            assert query["UniqueName"] == ["paged & filtered"]
            assert (query["PageSize"], query["Status"]) == (["3"], ["completed"])
    assert [[room["sid"] for room in page["rooms"]] for page in pages] == [
        sids[:3:-1],
        sids[3:0:-1],
        [sids[0]],
    ]
    metas = [page["meta"] for page in pages]
    assert [meta["page"] for meta in metas] == [0, 1, 2]
    assert metas[0]["previous_page_url"] is None
    assert "PageToken" not in metas[0]["url"] + metas[0]["first_page_url"]
    assert {meta["first_page_url"] for meta in metas} == {metas[0]["url"]}
    for before, meta in zip(pages, metas[1:], strict=False):
        assert set(meta) == {
            "page",
            "page_size",
            "first_page_url",
            "previous_page_url",
            "url",
            "next_page_url",
            "key",
        }
        assert http.get(meta["previous_page_url"]).json()["rooms"] == before["rooms"]
        assert http.get(meta["url"]).json()["meta"] == meta
    by_offset = http.get(metas[0]["url"].replace("Page=0", "Page=1")).json()
    assert by_offset["rooms"] == pages[1]["rooms"]


def test_list_without_a_full_next_page_ends(
    http: requests.Session, client: Any, server: RunningServer
) -> None:
    for _ in range(2):
        client.rooms.create(unique_name="exact").update(status="completed")
    url = f"{server.url}/v1/Rooms?UniqueName=exact&Status=completed"
    assert http.get(f"{url}&PageSize=2").json()["meta"]["next_page_url"] is None
    beyond = http.get(f"{url}&PageSize=2&Page=9").json()
    assert (beyond["rooms"], beyond["meta"]["next_page_url"]) == ([], None)
    assert http.get(f"{url}&PageSize=5000").json()["meta"]["page_size"] == 1000
