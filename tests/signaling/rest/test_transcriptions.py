"""Transcriptions: started and stopped by the application, ended by the room."""

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import requests
from twilio.base.exceptions import TwilioRestException

from signaling.rooms import LeaveReason

from .conftest import RunningServer
from .test_participants import join

names = itertools.count()


def refused(call: Callable[[], Any]) -> tuple[int, int]:
    with pytest.raises(TwilioRestException) as caught:
        call()
    return caught.value.status, caught.value.code


@pytest.fixture
def room(client: Any) -> Any:
    return client.rooms.create(unique_name=f"heard-{next(names)}")


def test_room_has_at_most_one(client: Any, room: Any) -> None:
    transcriptions = client.rooms(room.sid).transcriptions
    assert transcriptions.list() == []
    made = transcriptions.create(configuration={"languageCode": "de-DE"})
    assert re.fullmatch("video_transcriptions_[0-9a-f]{32}", made.ttid)
    assert (made.status, made.room_sid, made.source_sid) == ("started", room.sid, None)
    assert made.configuration == {"languageCode": "de-DE"}
    assert (made.start_time, made.end_time, made.duration) == (None, None, None)
    again = transcriptions.create(configuration={"languageCode": "fr-FR"})
    assert (again.ttid, again.configuration) == (made.ttid, made.configuration)
    assert [listed.ttid for listed in transcriptions.list()] == [made.ttid]
    assert client.rooms(room.unique_name).transcriptions(made.ttid).fetch().ttid == made.ttid
    assert refused(transcriptions("video_transcriptions_x").fetch) == (404, 20404)


def test_time_runs_from_the_first_participant(
    server: RunningServer, client: Any, room: Any
) -> None:
    transcriptions = client.rooms(room.sid).transcriptions
    made = transcriptions.create()
    assert made.start_time is None
    join(server, room.sid, "alice")
    shown = transcriptions(made.ttid).fetch()
    assert shown.start_time is not None
    assert shown.duration is None
    stopped = transcriptions(made.ttid).update(status="stopped")
    assert (stopped.status, stopped.start_time) == ("stopped", shown.start_time)
    # Shown without fractions, the times may be a second further apart than they are.
    seconds = int((stopped.end_time - stopped.start_time).total_seconds())
    assert stopped.duration in (seconds, seconds - 1)
    # The same again changes nothing.
    assert transcriptions(made.ttid).update(status="stopped").end_time == stopped.end_time
    started = transcriptions(made.ttid).update(status="started")
    assert (started.status, started.end_time, started.duration) == ("started", None, None)


def test_started_with_somebody_inside_runs_at_once(
    server: RunningServer, client: Any, room: Any
) -> None:
    join(server, room.sid, "alice")
    assert client.rooms(room.sid).transcriptions.create().start_time is not None


def test_end_of_the_room_stops_it(server: RunningServer, client: Any, room: Any) -> None:
    transcriptions = client.rooms(room.sid).transcriptions
    made = transcriptions.create()
    alice = join(server, room.sid, "alice")
    client.rooms(room.sid).update(status="completed")
    assert alice.link.reason is LeaveReason.ROOM_COMPLETED
    ended = transcriptions(made.ttid).fetch()
    assert ended.status == "stopped"
    assert ended.end_time is not None
    assert ended.duration is not None
    assert refused(lambda: transcriptions(made.ttid).update(status="started")) == (400, 53118)
    assert transcriptions.create().ttid == made.ttid


def test_ended_room_without_one_gets_none(client: Any, room: Any) -> None:
    client.rooms(room.sid).update(status="completed")
    assert refused(client.rooms(room.sid).transcriptions.create) == (400, 53118)
    assert client.rooms(room.sid).transcriptions.list() == []


def test_configuration_is_merged(client: Any, room: Any) -> None:
    transcriptions = client.rooms(room.sid).transcriptions
    made = transcriptions.create(configuration={"languageCode": "de-DE", "hints": "x"})
    updated = transcriptions(made.ttid).update(configuration={"hints": "y"})
    assert updated.configuration == {"languageCode": "de-DE", "hints": "y"}
    assert transcriptions(made.ttid).fetch().configuration == updated.configuration


def test_room_can_begin_with_one(server: RunningServer, client: Any) -> None:
    room = client.rooms.create(
        transcribe_participants_on_connect=True,
        transcriptions_configuration={"languageCode": "en-US"},
    )
    # Written before the room was answered.
    assert server.run(server.store.transcription_of_room(room.sid)) is not None
    [made] = client.rooms(room.sid).transcriptions.list()
    assert (made.status, made.configuration) == ("started", {"languageCode": "en-US"})
    other = client.rooms.create(transcriptions_configuration={"languageCode": "en-US"})
    assert client.rooms(other.sid).transcriptions.list() == []


@pytest.mark.parametrize(
    "data", [{}, {"Status": "failed"}, {"Status": "x"}, {"Configuration": "[]"}]
)
def test_bad_updates_are_refused(
    server: RunningServer, client: Any, room: Any, http: requests.Session, data: dict[str, str]
) -> None:
    made = client.rooms(room.sid).transcriptions.create()
    answer = http.post(made.url, data=data)
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


def test_bad_configuration_is_refused(
    server: RunningServer, client: Any, room: Any, http: requests.Session
) -> None:
    url = f"{server.url}/v1/Rooms/{room.sid}/Transcriptions"
    for text in (
        "[]",
        "{",
        "[" * 100_000,
        '{"a": 1, "a": 2}',
        '{"a": NaN}',
        '{"a": 1e999}',
        r'{"a": "\ud800"}',
        r'{"\u0000": 1}',
    ):
        answer = http.post(url, data={"Configuration": text})
        assert (answer.status_code, answer.json()["code"]) == (400, 20001)
    assert client.rooms(room.sid).transcriptions.list() == []
    made = http.post(url, data={"Configuration": r'{"a": "\\u0000 \ud83d\ude00"}'})
    assert made.json()["configuration"] == {"a": "\\u0000 \U0001f600"}


MESSAGE: dict[str, Any] = {
    "participant": "PA" + "1" * 32,
    "track": "MT" + "2" * 32,
    "transcription": "hello",
    "language_code": "en-US",
    "timestamp": "2026-11-26T12:00:00Z",
    "partial_results": False,
    "sequence_number": 1,
}


def test_messages_are_passed_on_as_they_are(
    server: RunningServer, client: Any, room: Any, http: requests.Session
) -> None:
    made = client.rooms(room.sid).transcriptions.create()
    alice, bob = join(server, room.sid, "alice"), join(server, room.sid, "bob")
    alice.link.channels.add("extension_transcriptions")
    message = MESSAGE | {"transcription": "Grüße \u2028 ✓", "confidence": 0.5, "words": ["a"]}
    answer = http.post(f"{made.url}/Messages", json=message)
    assert (answer.status_code, answer.json()) == (202, {"participants": 1})
    [(channel, text)] = alice.link.signals
    assert channel == "extension_transcriptions"
    assert json.loads(text) == message | {"type": "extension_transcriptions"}
    assert bob.link.signals == []


def test_messages_need_a_started_transcription(
    server: RunningServer, client: Any, room: Any, http: requests.Session
) -> None:
    transcriptions = client.rooms(room.sid).transcriptions
    made = transcriptions.create()
    url = f"{made.url}/Messages"
    unknown = http.post(url.replace(made.ttid, "video_transcriptions_x"), json=MESSAGE)
    assert (unknown.status_code, unknown.json()["code"]) == (404, 20404)
    assert requests.post(url, json=MESSAGE, timeout=10).status_code == 401
    transcriptions(made.ttid).update(status="stopped")
    stopped = http.post(url, json=MESSAGE)
    assert (stopped.status_code, stopped.json()["code"]) == (400, 20001)
    transcriptions(made.ttid).update(status="started")
    assert http.post(url, json=MESSAGE).json() == {"participants": 0}
    client.rooms(room.sid).update(status="completed")
    ended = http.post(url, json=MESSAGE)
    assert (ended.status_code, ended.json()["code"]) == (400, 53118)
    assert http.get(url).status_code == 405


@pytest.mark.parametrize(
    "change",
    [
        {"participant": "alice"},
        {"participant": None},
        {"track": "MT1"},
        {"transcription": 1},
        {"language_code": None},
        {"timestamp": 5},
        {"partial_results": "true"},
        {"sequence_number": "1"},
        {"type": "active_speaker"},
        {"transcription": "x" * (17 << 10)},
    ],
)
def test_bad_messages_are_refused(
    client: Any, room: Any, http: requests.Session, change: dict[str, Any]
) -> None:
    made = client.rooms(room.sid).transcriptions.create()
    answer = http.post(f"{made.url}/Messages", json=MESSAGE | change)
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"\xff", b"[" * 10_000, b'{"a":' * 3_000, b'{"x": NaN}']
)
def test_bodies_that_are_no_json_object_are_refused(
    client: Any, room: Any, http: requests.Session, body: bytes
) -> None:
    url = client.rooms(room.sid).transcriptions.create().url + "/Messages"
    answer = http.post(url, data=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


def test_messages_are_json_and_nothing_else_is(
    client: Any, room: Any, http: requests.Session
) -> None:
    made = client.rooms(room.sid).transcriptions.create()
    form = http.post(f"{made.url}/Messages", data=MESSAGE)
    assert (form.status_code, form.json()["code"]) == (415, 20001)
    other = http.post(made.url, json={"Status": "stopped"})
    assert (other.status_code, other.json()["code"]) == (415, 20001)
