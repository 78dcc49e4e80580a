"""Quotas of rooms and participants, and what rooms are made with that begin by a join."""

import asyncio
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import structlog

from signaling.config import load_settings
from signaling.errors import ApiError, ConfigError, ErrorCode
from signaling.part_settings import ad_hoc_settings_of
from signaling.service.quota import Quota

from .conftest import RunningServer
from .test_keys import Guest, joining, minted, with_guest

ROOMS, PARTICIPANTS = 4, 2
AD_HOC = "RecordParticipantsOnConnect=true&MaxParticipantDuration=600&VideoCodecs=VP8"
names = itertools.count()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Run a server with small quotas."""
    running = RunningServer(
        load_settings(
            {
                "http_port": 0,
                "media_host": "127.0.0.1",
                "media_port": 0,
                "media_threads": 1,
                "metrics_bind": "off",
                "data_dir": tmp_path_factory.mktemp("quotas"),
                "room_quota": ROOMS,
                "participant_quota": PARTICIPANTS,
                "page_closed_grace": 0.0,
                "ad_hoc_room": AD_HOC,
            }
        )
    )
    yield running
    running.close()


class BackEnd:
    """Rooms and tokens of the server."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.auth = (server.account.api_key_sid, server.account.api_key_secret)

    def post(self, path: str = "", **data: str) -> dict[str, Any]:
        url = f"{self.server.url}/v1/Rooms{path}"
        members: dict[str, Any] = requests.post(url, data=data, auth=self.auth, timeout=20).json()
        return members

    def end_all(self) -> None:
        url = f"{self.server.url}/v1/Rooms"
        for room in requests.get(url, auth=self.auth, timeout=20).json()["rooms"]:
            self.post(f"/{room['sid']}", Status="completed")

    def token(self, identity: str, room: str) -> str:
        return minted(self.server, self.server.key, identity, room)


@pytest.fixture
def back_end(small: RunningServer) -> Iterator[BackEnd]:
    made = BackEnd(small)
    yield made
    made.end_all()


def test_rooms_beyond_the_quota_are_refused_however_they_are_made(back_end: BackEnd) -> None:
    with ThreadPoolExecutor(12) as pool:
        made = list(pool.map(lambda n: back_end.post(UniqueName=f"q{n}"), range(12)))
    refused = [room for room in made if "code" in room]
    assert len(refused) == 12 - ROOMS
    assert {(room["code"], room["status"]) for room in refused} == {(53119, 400)}
    assert refused[0]["message"] == "Maximum number of concurrent Rooms exceeded"
    [taken, *_] = [room for room in made if "sid" in room]
    # Programs that create first count on the answer for a room that is there.
    assert back_end.post(UniqueName=taken["unique_name"])["code"] == 53113
    answer = joining(back_end.server, back_end.token("alice", "one more"))
    assert (answer["type"], answer["code"]) == ("error", 53119)
    # Whoever joins a room that is there needs no other.
    answer = joining(back_end.server, back_end.token("alice", taken["unique_name"]))
    assert answer["type"] == "connected"
    back_end.post(f"/{taken['sid']}", Status="completed")
    assert "sid" in back_end.post(UniqueName="one more")


def test_participants_beyond_the_quota_are_refused(back_end: BackEnd) -> None:
    server, token = back_end.server, back_end.token
    room = back_end.post(UniqueName=f"people-{next(names)}")["unique_name"]

    async def alice_is_inside(guest: Guest) -> Any:
        assert (await guest.body())["type"] == "connected"
        return await asyncio.to_thread(with_guest, server, token("bob", room), bob_is_inside)

    async def bob_is_inside(guest: Guest) -> list[tuple[str, int | None]]:
        assert (await guest.body())["type"] == "connected"
        newcomers = (
            token("carol", room),
            token("carol", "a room that would be made"),
            # The same identity makes way for itself.
            token("bob", room),
        )
        answers = [await asyncio.to_thread(joining, server, each) for each in newcomers]
        return [(answer["type"], answer.get("code")) for answer in answers]

    answers = with_guest(server, token("alice", room), alice_is_inside)
    assert answers == [("error", 53206), ("error", 53206), ("connected", None)]
    assert server.service.room_count == 1
    assert joining(server, token("carol", room))["type"] == "connected"


def test_ad_hoc_rooms_have_the_settings_of_the_account(back_end: BackEnd) -> None:
    async def room_of(guest: Guest) -> dict[str, Any]:
        connected = await guest.body()
        url = f"{back_end.server.url}/v1/Rooms/{connected['sid']}"
        answer = await asyncio.to_thread(requests.get, url, auth=back_end.auth, timeout=20)
        members: dict[str, Any] = answer.json()
        return members

    token = back_end.token("alice", "spontaneous")
    room = with_guest(back_end.server, token, room_of)
    assert (room["unique_name"], room["record_participants_on_connect"]) == ("spontaneous", True)
    assert (room["max_participant_duration"], room["video_codecs"]) == (600, ["VP8"])
    assert (room["empty_room_timeout"], room["unused_room_timeout"]) == (0, 0)


@pytest.mark.parametrize("text", ["Type=conference", "StatusCallback=ftp://x", "AudioOnly=maybe"])
def test_ad_hoc_rooms_that_rest_would_refuse_are_an_error_of_the_settings(text: str) -> None:
    with pytest.raises(ConfigError, match=r"ad_hoc_room: [25]"):
        ad_hoc_settings_of(load_settings({"ad_hoc_room": text}))


def test_log_tells_once_when_most_of_a_quota_is_used() -> None:
    quota = Quota("rooms", most=10, code=ErrorCode.ROOM_QUOTA_EXCEEDED)
    with structlog.testing.capture_logs() as logged:
        for used in (6, 7, 8, 9, 6, 7, 5, 6, 7, 8):
            quota.note(used)
            quota.check(used)
    assert [(line["code"], line["used"], line["most"]) for line in logged] == [(53121, 7, 10)] * 2
    with pytest.raises(ApiError):
        quota.check(10)
    unlimited = Quota("rooms", most=0, code=ErrorCode.ROOM_QUOTA_EXCEEDED)
    unlimited.note(10**6)
    unlimited.check(10**6)
