"""Where a whole server calls back to, by its settings, and how a back end sees what came of it."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web

from tests.signaling.cli.test_serve import join
from tests.signaling.edge.site import KEY, basic, running

from .support import Callback, Receiver, running_receiver

DEADLINE = 15.0


async def delivery(http: aiohttp.ClientSession, url: str, callback: str) -> dict[str, Any]:
    """Make a room with a callback; return what REST says of its first event in the end."""
    headers = basic(KEY)
    form = {"StatusCallback": callback}
    async with http.post(f"{url}/v1/Rooms", data=form, headers=headers) as answer:
        room = (await answer.json())["sid"]
    async with asyncio.timeout(DEADLINE):
        while True:
            async with http.get(f"{url}/v1/Rooms/{room}/Events", headers=headers) as answer:
                [event] = (await answer.json())["events"]
            if event["delivery"]["status"] != "pending":
                told: dict[str, Any] = event["delivery"]
                return told
            await asyncio.sleep(0.02)


def spellings(receiver: Receiver) -> list[str]:
    """Return ways to name this machine."""
    hosts = ("127.0.0.1", "127.0.0.2", "localhost", "[::1]", "[::ffff:127.0.0.1]")
    return [f"http://{host}:{receiver.port}/hook" for host in hosts]


async def test_this_machine_is_not_called_and_the_back_end_sees_why(tmp_path: Path) -> None:
    async with (
        running_receiver() as receiver,
        running(tmp_path) as (_, url),
        aiohttp.ClientSession() as http,
    ):
        for callback in spellings(receiver):
            told = await delivery(http, url, callback)
            assert (told["status"], told["attempts"], told["next_attempt"]) == ("dead", 1, None)
            assert "may not be called" in told["error"]
            assert told["date_settled"] is not None
        assert receiver.callbacks == []


@pytest.mark.parametrize("settings", [{"dev": True}, {"callback_allow": ["127.0.0.1/32"]}])
async def test_this_machine_is_called_where_that_is_allowed(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    async with (
        running_receiver() as receiver,
        running(tmp_path, **settings) as (_, url),
        aiohttp.ClientSession() as http,
    ):
        told = await delivery(http, url, spellings(receiver)[0])
        assert (told["status"], told["attempts"], told["error"]) == ("delivered", 1, None)
        # The network that is named, and no other.
        other = await delivery(http, url, spellings(receiver)[1] + "#rc=0")
        assert ("may not be called" in (other["error"] or "")) is ("dev" not in settings)
        assert len(receiver.callbacks) == 1 + (other["status"] == "delivered")


async def test_rooms_that_begin_by_a_join_call_back_where_the_account_says(
    tmp_path: Path,
) -> None:
    async with running_receiver() as receiver:
        parameters = urlencode({"StatusCallback": receiver.url(), "StatusCallbackMethod": "GET"})
        async with (
            running(tmp_path, dev=True, ad_hoc_room=parameters) as (_, url),
            aiohttp.ClientSession() as http,
        ):
            alice = await join(http, url, "alice", "spontaneous")
            await alice.close()
            await receiver.until(lambda r: "room-ended" in r.events)
        assert receiver.events == [
            "room-created",
            "participant-connected",
            "participant-disconnected",
            "room-ended",
        ]
        assert {callback.method for callback in receiver.callbacks} == {"GET"}
        assert {callback.parameters["RoomName"] for callback in receiver.callbacks} == {
            "spontaneous"
        }


async def test_a_room_can_be_fetched_while_its_events_are_told(tmp_path: Path) -> None:
    async with (
        running_receiver() as receiver,
        running(tmp_path, dev=True) as (_, url),
        aiohttp.ClientSession(headers=basic(KEY)) as http,
    ):
        seen: list[tuple[str, str, int | None]] = []

        async def answer(callback: Callback) -> web.Response:
            async with http.get(f"{url}/v1/Rooms/{callback.parameters['RoomSid']}") as fetched:
                assert fetched.status == 200
                room = await fetched.json()
            seen.append((callback.event, room["status"], room["duration"]))
            return web.Response()

        receiver.answer = answer
        form = {"StatusCallback": receiver.url()}
        async with http.post(f"{url}/v1/Rooms", data=form) as made:
            path = f"{url}/v1/Rooms/{(await made.json())['sid']}"
        await receiver.until_events(1)
        async with http.post(path, data={"Status": "completed"}) as ended:
            assert ended.status == 202
        async with asyncio.timeout(DEADLINE):
            while len(seen) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert [event for event, *_ in seen] == ["room-created", "room-ended"]
        assert seen[1][1:] == ("completed", 0)
