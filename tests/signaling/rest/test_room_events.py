"""The events resource, on a whole server."""

from typing import Any

import pytest
import requests

from tests.signaling.rest.conftest import RunningServer


def events_url(server: RunningServer, room: str) -> str:
    return f"{server.url}/v1/Rooms/{room}/Events"


def test_events_are_replayed_page_by_page(
    server: RunningServer, client: Any, http: requests.Session
) -> None:
    room = client.rooms.create(unique_name="replayed")
    room.update(status="completed")
    answer = http.get(events_url(server, room.sid), params={"PageSize": 1})
    assert answer.status_code == 200
    body = answer.json()
    [event] = body["events"]
    assert (event["sequence_number"], event["event"]) == (0, "room-created")
    assert event["room_sid"] == event["parameters"]["RoomSid"] == room.sid
    assert event["sid"].startswith("EV")
    assert event["delivery"] == {
        "status": "none",
        "attempts": 0,
        "next_attempt": None,
        "date_settled": None,
        "error": None,
    }
    assert body["meta"]["key"] == "events"
    following = http.get(body["meta"]["next_page_url"]).json()
    assert [e["event"] for e in following["events"]] == ["room-ended"]
    assert following["events"][0]["parameters"]["RoomDuration"].isdigit()
    assert following["meta"]["next_page_url"] is None


def test_events_after_a_number_are_those_that_follow(
    server: RunningServer, client: Any, http: requests.Session
) -> None:
    room = client.rooms.create(unique_name="after")
    room.update(status="completed")
    url = events_url(server, room.sid)

    def after(number: int) -> list[int]:
        events = http.get(url, params={"After": number}).json()["events"]
        return [e["sequence_number"] for e in events]

    assert (after(-1), after(0), after(1), after(99)) == ([0, 1], [1], [], [])


def test_a_room_in_progress_is_found_by_its_name(
    server: RunningServer, client: Any, http: requests.Session
) -> None:
    room = client.rooms.create(unique_name="by name")
    body = http.get(events_url(server, "by%20name")).json()
    assert [e["room_sid"] for e in body["events"]] == [room.sid]


@pytest.mark.parametrize("query", ["After=x", "After=-2", "PageSize=0", "Page=-1"])
def test_bad_paging_is_refused(
    server: RunningServer, client: Any, http: requests.Session, query: str
) -> None:
    room = client.rooms.create()
    answer = http.get(f"{events_url(server, room.sid)}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


def test_events_of_an_unknown_room_are_not_found(
    server: RunningServer, http: requests.Session
) -> None:
    for name in ("RM" + "f" * 32, "nobody"):
        answer = http.get(events_url(server, name))
        assert (answer.status_code, answer.json()["code"]) == (404, 20404)
    assert http.post(events_url(server, name)).status_code == 405
    assert requests.get(events_url(server, name), timeout=5).status_code == 401
