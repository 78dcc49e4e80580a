"""Recordings, compositions, hooks and settings, as the helper library uses them."""

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from twilio.base.exceptions import TwilioRestException

from signaling.config import load_settings
from signaling.ids import new_participant_sid, new_recording_sid, new_track_sid
from signaling.storage.media_records import RecordingRecord

from .conftest import RunningServer

rng = random.Random(17)
START = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOBODY = "0" * 32
names = itertools.count()


def refused(call: Callable[[], Any]) -> tuple[int, int]:
    with pytest.raises(TwilioRestException) as caught:
        call()
    return caught.value.status, caught.value.code


def record(server: RunningServer, room: Any, **members: Any) -> RecordingRecord:
    """Put a recording into the store, as whatever records will do."""
    recording = RecordingRecord(
        sid=new_recording_sid(rng),
        account_sid=room.account_sid,
        room_sid=room.sid,
        participant_sid=new_participant_sid(rng),
        source_sid=new_track_sid(rng),
        track_name="mic",
        kind="audio",
        codec="opus",
        status="completed",
        offset_ms=1777636800000,
        created_at=START,
        size_bytes=12,
        duration=3,
    )
    recording = replace(recording, **members)
    server.run(server.store.add_recording(recording))
    return recording


def eventually(read: Callable[[], Any], wanted: Any) -> Any:
    deadline = time.monotonic() + 5
    while (found := read()) != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    assert found == wanted
    return found


def status_of(client: Any, sid: str) -> Callable[[], Any]:
    return lambda: client.compositions(sid).fetch().status


@pytest.fixture
def room(client: Any) -> Any:
    return client.rooms.create(unique_name=f"media-{next(names)}")


# Recordings.


def test_recording_has_every_member(server: RunningServer, client: Any, room: Any) -> None:
    kept = record(server, room, status_callback="https://example.com/r")
    shown = client.recordings(kept.sid).fetch()
    assert (shown.status, shown.type, shown.codec) == ("completed", "audio", "opus")
    assert (shown.container_format, shown.size, shown.duration) == ("mka", 12, 3)
    assert shown.grouping_sids == {
        "room_sid": room.sid,
        "participant_sid": kept.participant_sid,
    }
    assert (shown.offset, shown.track_name) == (kept.offset_ms, "mic")
    assert shown.status_callback == "https://example.com/r"
    assert shown.date_created == START
    assert shown.links == {"media": f"{shown.url}/Media"}
    below = client.rooms(room.sid).recordings(kept.sid).fetch()
    assert below.url == f"{server.url}/v1/Rooms/{room.sid}/Recordings/{kept.sid}"
    assert (below.room_sid, below.links) == (room.sid, {"media": f"{below.url}/Media"})


def test_recordings_are_filtered(server: RunningServer, client: Any, room: Any) -> None:
    participant = new_participant_sid(rng)
    audio = record(server, room, participant_sid=participant)
    video = record(
        server,
        room,
        participant_sid=participant,
        kind="video",
        codec="vp8",
        created_at=START + timedelta(minutes=1),
    )
    deleted = record(server, room, status="deleted")

    def sids(**filters: Any) -> list[str]:
        filters.setdefault("grouping_sid", [room.sid])
        return [found.sid for found in client.recordings.list(**filters)]

    assert sids() == [video.sid, audio.sid]
    assert sids(status="deleted") == [deleted.sid]
    assert sids(status="processing") == []
    assert sids(media_type="video") == [video.sid]
    assert sids(source_sid=audio.source_sid) == [audio.sid]
    assert sids(grouping_sid=[participant, room.sid]) == [video.sid, audio.sid]
    assert sids(grouping_sid=[participant, "RM" + NOBODY]) == []
    assert sids(date_created_after=START + timedelta(seconds=1)) == [video.sid]
    assert sids(date_created_before=START + timedelta(minutes=1)) == [audio.sid]
    # Over pages, the links of which repeat both groups.
    assert sids(grouping_sid=[participant, room.sid], page_size=1) == [video.sid, audio.sid]
    below = client.rooms(room.sid).recordings
    assert [found.sid for found in below.list()] == [video.sid, audio.sid]
    assert [found.sid for found in below.list(status="deleted")] == [deleted.sid]
    assert [found.sid for found in below.list(source_sid=video.source_sid)] == [video.sid]


def test_recording_of_another_room_is_not_known(
    server: RunningServer, client: Any, room: Any
) -> None:
    kept = record(server, room)
    other = client.rooms.create()
    assert refused(client.rooms(other.sid).recordings(kept.sid).fetch) == (404, 20404)
    assert refused(client.rooms(other.sid).recordings(kept.sid).delete) == (404, 20404)
    assert client.recordings(kept.sid).fetch().status == "completed"


def test_deleted_recording_keeps_its_resource(
    server: RunningServer, client: Any, room: Any
) -> None:
    kept = record(server, room)
    for _ in range(2):
        assert client.recordings(kept.sid).delete()
        assert client.recordings(kept.sid).fetch().status == "deleted"
    going_on = record(server, room, status="processing")
    assert refused(client.recordings(going_on.sid).delete) == (400, 20001)
    assert client.recordings(going_on.sid).fetch().status == "processing"
    assert client.rooms(room.sid).recordings(record(server, room).sid).delete()


def test_media_that_does_not_exist_is_not_pretended(
    server: RunningServer, client: Any, room: Any, http: requests.Session
) -> None:
    kept = record(server, room)
    for url in (
        f"{server.url}/v1/Recordings/{kept.sid}/Media",
        f"{server.url}/v1/Rooms/{room.sid}/Recordings/{kept.sid}/Media",
    ):
        assert http.get(url, params={"Ttl": "60"}).status_code == 404
        for params in ({"Ttl": "0"}, {"Ttl": "3601"}, {"ContentDisposition": "a\r\nb: c"}):
            assert http.get(url, params=params).status_code == 400


# Compositions.


def test_composition_fails_when_nothing_was_recorded(client: Any, room: Any) -> None:
    made = client.compositions.create(room_sid=room.sid, audio_sources=["*"])
    assert made.status == "enqueued"
    assert client.compositions(made.sid).fetch().status == "enqueued"
    client.rooms(room.sid).update(status="completed")
    eventually(lambda: client.compositions(made.sid).fetch().status, "failed")
    assert (made.size, made.duration, made.bitrate) == (0, 0, 0)
    assert refused(client.compositions(made.sid).delete) == (400, 20001)
    assert client.compositions(made.sid).fetch().date_completed is None


def test_composition_of_an_ended_room_fails_as_well(
    server: RunningServer, client: Any, room: Any
) -> None:
    client.rooms(room.sid).update(status="completed")
    made = client.compositions.create(room_sid=room.sid, audio_sources=["*"])
    assert made.status == "enqueued"
    eventually(lambda: client.compositions(made.sid).fetch().status, "failed")
    stored = server.run(server.store.get_composition(made.sid))
    assert stored is not None
    assert stored.failure_code == 53630


def test_composition_of_deleted_recordings_says_so(
    server: RunningServer, client: Any, room: Any
) -> None:
    record(server, room, status="deleted")
    made = client.compositions.create(room_sid=room.sid, audio_sources=["*"])
    client.rooms(room.sid).update(status="completed")
    eventually(lambda: client.compositions(made.sid).fetch().status, "failed")
    stored = server.run(server.store.get_composition(made.sid))
    assert stored is not None
    assert stored.failure_code == 53628


def test_composition_with_sources_waits_to_be_rendered(
    server: RunningServer, client: Any, room: Any
) -> None:
    record(server, room, track_name="mic-7")
    fitting = client.compositions.create(room_sid=room.sid, audio_sources=["mic-*"])
    grid = {"grid": {"video_sources": ["mic-*"]}}
    # What was recorded is audio.
    others = [
        client.compositions.create(room_sid=room.sid, video_layout=grid),
        client.compositions.create(room_sid=room.sid, audio_sources=["screen"]),
        client.compositions.create(
            room_sid=room.sid, audio_sources=["*"], audio_sources_excluded=["mic-7"]
        ),
    ]
    client.rooms(room.sid).update(status="completed")
    for other in others:
        eventually(status_of(client, other.sid), "failed")
    assert client.compositions(fitting.sid).fetch().status == "enqueued"


def test_composition_can_be_cancelled(client: Any, room: Any) -> None:
    made = client.compositions.create(room_sid=room.sid, audio_sources=["*"])
    for _ in range(2):
        assert client.compositions(made.sid).delete()
    gone = client.compositions(made.sid).fetch()
    assert gone.status == "deleted"
    assert gone.date_deleted is not None
    client.rooms(room.sid).update(status="completed")
    assert [c.sid for c in client.compositions.list(room_sid=room.sid)] == []
    deleted = client.compositions.list(room_sid=room.sid, status="deleted")
    assert [c.sid for c in deleted] == [made.sid]


def test_sources_may_have_commas(client: Any, room: Any) -> None:
    made = client.compositions.create(room_sid=room.sid, audio_sources=["a,b", "c"])
    assert client.compositions(made.sid).fetch().audio_sources == ["a,b", "c"]


@pytest.mark.parametrize(
    "members",
    [
        {"video_layout": '{"r": {"video_sources": ["*"]}, "r": {"video_sources": ["*"]}}'},
        {"video_layout": "[" * 100_000},
        {"video_layout": "{}"},
        {"video_layout": r'{"\ud800": {"video_sources": ["*"]}}'},
        {"video_layout": r'{"\u0000": {"video_sources": ["*"]}}'},
        {"resolution": "0640x480", "audio_sources": ["*"]},
        {"status_callback": "ftp://x", "audio_sources": ["*"]},
        {"audio_sources": ["\0"]},
    ],
)
def test_bad_compositions_are_refused(client: Any, room: Any, members: dict[str, Any]) -> None:
    status, _ = refused(lambda: client.compositions.create(room_sid=room.sid, **members))
    assert status == 400
    assert client.compositions.list(room_sid=room.sid) == []


def test_waiting_compositions_are_taken_up_after_a_restart(tmp_path: Path) -> None:
    settings = load_settings(
        {
            "http_port": 0,
            "media_host": "127.0.0.1",
            "media_port": 0,
            "media_threads": 1,
            "metrics_bind": "off",
            "data_dir": tmp_path,
        }
    )
    first = RunningServer(settings)
    auth = (first.account.api_key_sid, first.account.api_key_secret)
    try:
        room = requests.post(f"{first.url}/v1/Rooms", auth=auth, timeout=20).json()
        made = requests.post(
            f"{first.url}/v1/Compositions",
            data={"RoomSid": room["sid"], "AudioSources": "*"},
            auth=auth,
            timeout=20,
        ).json()
        stored = first.run(first.store.get_room(room["sid"]))
        assert stored is not None
        # As if the server had died between the end of the room and the composition's.
        now = datetime.now(UTC)
        ended = replace(stored, status="completed", updated_at=now, ended_at=now)
        first.run(first.store.update_room(ended))
    finally:
        first.close()
    second = RunningServer(settings)
    try:
        url = f"{second.url}/v1/Compositions/{made['sid']}"
        eventually(lambda: requests.get(url, auth=auth, timeout=20).json()["status"], "failed")
    finally:
        second.close()


# Hooks.


def test_hook_runs_for_recorded_group_rooms(server: RunningServer, client: Any, room: Any) -> None:
    hook = client.composition_hooks.create(
        friendly_name="every room", audio_sources=["*"], format="mp4"
    )
    idle = client.composition_hooks.create(
        friendly_name="switched off", audio_sources=["*"], enabled=False
    )
    plain = client.rooms.create()
    small = client.rooms.create(type="group-small")
    for recorded in (room, small):
        record(server, recorded)
    for ending in (plain, small, room):
        client.rooms(ending.sid).update(status="completed")
    try:
        eventually(lambda: len(client.compositions.list(room_sid=room.sid)), 1)
        [made] = client.compositions.list(room_sid=room.sid)
        assert (made.format, made.status) == ("mp4", "enqueued")
        for ending in (plain, small):
            assert client.compositions.list(room_sid=ending.sid) == []
    finally:
        for each in (hook, idle):
            client.composition_hooks(each.sid).delete()


def test_hook_names_are_unique_and_found_in_any_case(client: Any) -> None:
    first = client.composition_hooks.create(friendly_name="Été 100%_", audio_sources=["*"])
    second = client.composition_hooks.create(friendly_name="Été 100x_", audio_sources=["*"])
    create = client.composition_hooks.create
    assert refused(lambda: create(friendly_name="Été 100%_", audio_sources=["*"])) == (400, 20001)
    update = client.composition_hooks(second.sid).update
    assert refused(lambda: update(friendly_name="Été 100%_", audio_sources=["*"])) == (400, 20001)
    assert client.composition_hooks(second.sid).fetch().friendly_name == "Été 100x_"

    def found(name: str) -> list[str]:
        return [hook.sid for hook in client.composition_hooks.list(friendly_name=name)]

    assert found("ÉTÉ 100%_") == [first.sid]
    assert found("été*") == [second.sid, first.sid]
    assert found("été 100?_") == []
    for hook in (first, second):
        client.composition_hooks(hook.sid).delete()


# Settings.


@pytest.mark.parametrize("which", ["recording_settings", "composition_settings"])
def test_settings_are_replaced_as_a_whole(client: Any, which: str) -> None:
    settings = getattr(client, which)()
    before = settings.fetch()
    assert (before.friendly_name, before.encryption_enabled) == (None, False)
    credential = "CR" + "1" * 32
    settings.create(
        friendly_name="one", aws_credentials_sid=credential, aws_s3_url="https://b.example.com/p"
    )
    assert settings.fetch().aws_credentials_sid == credential
    settings.create(friendly_name="two")
    shown = settings.fetch()
    assert (shown.friendly_name, shown.aws_credentials_sid, shown.aws_s3_url) == ("two", None, None)
    for members in (
        {"aws_storage_enabled": True},
        {"encryption_enabled": True},
        {"encryption_key_sid": "nonsense"},
        {"aws_s3_url": "http://b.example.com"},
    ):
        with pytest.raises(TwilioRestException) as caught:
            settings.create(friendly_name="x", **members)
        assert (caught.value.status, caught.value.code) == (400, 20001)
    assert settings.fetch().friendly_name == "two"
