"""A server that is killed between the write and the callback."""

import asyncio
import base64
import signal
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from twilio.request_validator import RequestValidator

from signaling.auth.account import Account
from tests.signaling.cli.process import served
from tests.signaling.webhooks.support import Callback, running_receiver
from tests.support.clients import Clients, clients_of
from tests.support.server import running_server, start_server


def _authorized(account: Account) -> dict[str, str]:
    credentials = f"{account.api_key_sid}:{account.api_key_secret}"
    return {"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()}


async def _post(http: aiohttp.ClientSession, url: str, account: Account, **form: str) -> str:
    async with http.post(url, data=form, headers=_authorized(account)) as answer:
        assert answer.status < 300, await answer.text()
        sid: str = (await answer.json())["sid"]
        return sid


async def test_a_killed_server_delivers_after_its_restart(tmp_path: Path) -> None:
    async with running_receiver() as receiver, aiohttp.ClientSession() as http:
        never = asyncio.Event()

        async def answer(_: Callback) -> web.Response:
            await never.wait()
            return web.Response()

        receiver.answer = answer
        async with served(tmp_path, "--dev", MINUTE_SECONDS="2") as server:
            url, account = f"{server.url}/v1/Rooms", server.account
            ended = await _post(http, url, account, StatusCallback=receiver.url())
            unused = await _post(
                http, url, account, StatusCallback=receiver.url(), UnusedRoomTimeout="1"
            )
            await _post(http, f"{url}/{ended}", account, Status="completed")
            # The list waits for the store, so the end is written now.
            async with http.get(f"{url}/{ended}/Events", headers=_authorized(account)) as listed:
                events = (await listed.json())["events"]
            assert [e["event"] for e in events] == ["room-created", "room-ended"]
            assert [e["delivery"]["status"] for e in events] == ["pending", "pending"]
            await receiver.until_events(2)
            server.signal(signal.SIGKILL)
            assert (await server.ended()).code == -signal.SIGKILL
        receiver.answer = None
        receiver.callbacks.clear()
        async with served(tmp_path, "--dev", MINUTE_SECONDS="2"):
            # The unused room's time began before the kill, and is over 2 s after its creation.
            await receiver.until_events(4)
        for sid in (ended, unused):
            mine = [c for c in receiver.callbacks if c.parameters["RoomSid"] == sid]
            assert [c.event for c in mine] == ["room-created", "room-ended"]
            assert [c.parameters["SequenceNumber"] for c in mine] == ["0", "1"]
        assert receiver.callbacks[-1].parameters["RoomDuration"].isdigit()


async def written(clients: Clients, room_sid: str, events: list[str]) -> None:
    """Wait until exactly these events of a room are in the store, none of them delivered."""
    found: list[dict[str, Any]] = []
    url = f"{clients.url}/v1/Rooms/{room_sid}/Events"
    try:
        async with asyncio.timeout(10):
            while [event["event"] for event in found] != events:
                async with clients.http.get(url, headers=clients.back_end) as listed:
                    found = (await listed.json())["events"]
    except TimeoutError:
        raise AssertionError([event["event"] for event in found]) from None
    assert {event["delivery"]["status"] for event in found} == {"pending"}


async def test_every_class_of_event_outlives_a_kill_before_its_callback(tmp_path: Path) -> None:
    never = asyncio.Event()

    async def hang(_: Callback) -> web.Response:
        await never.wait()
        return web.Response()

    expected = [
        "room-created",
        "participant-connected",
        "track-added",
        "track-disabled",
        "track-enabled",
        "track-removed",
        "track-added",
        "track-removed",
        "participant-disconnected",
        "room-ended",
        "composition-failed",
    ]
    async with running_receiver() as receiver:
        receiver.answer = hang
        server = await start_server(tmp_path)
        async with clients_of(server) as clients:
            room_sid = await _make(clients, "Rooms", UniqueName="r", StatusCallback=receiver.url())
            await _make(
                clients,
                "Compositions",
                RoomSid=room_sid,
                AudioSources="*",
                StatusCallback=receiver.url(),
            )
            alice = clients.participant("alice", "r", publishes=False)
            await alice.join()
            note = alice.publish_data(name="note")
            await written(clients, room_sid, expected[:3])
            alice.set_enabled(note, enabled=False)
            await written(clients, room_sid, expected[:4])
            alice.set_enabled(note, enabled=True)
            await written(clients, room_sid, expected[:5])
            alice.unpublish(note)
            await written(clients, room_sid, expected[:6])
            alice.publish_data(name="another note")
            await written(clients, room_sid, expected[:7])
            await _make(clients, f"Rooms/{room_sid}", Status="completed")
            await written(clients, room_sid, expected)
            assert await server.stop(signal.SIGKILL) == -signal.SIGKILL
        # All that was begun is one attempt: order comes first.
        assert set(receiver.events) == {"room-created"}
        receiver.answer = None
        receiver.callbacks.clear()
        async with running_server(tmp_path) as server:
            await receiver.until_events(len(expected))
            validator = RequestValidator(server.account.auth_token)
        assert receiver.events == expected
        for callback in receiver.callbacks:
            signature = callback.headers["X-Twilio-Signature"]
            assert validator.validate(callback.url, callback.parameters, signature)
        numbered = receiver.callbacks[:-1]
        assert [c.parameters["SequenceNumber"] for c in numbered] == [str(n) for n in range(10)]


async def test_recordings_that_failed_are_told_after_a_kill(tmp_path: Path) -> None:
    never = asyncio.Event()

    async def hang(_: Callback) -> web.Response:
        await never.wait()
        return web.Response()

    expected = ["room-created", "participant-connected"]
    expected += ["track-added", "recording-failed"] * 2
    async with running_receiver() as receiver:
        receiver.answer = hang
        server = await start_server(tmp_path)
        async with clients_of(server) as clients:
            form = {"UniqueName": "r", "StatusCallback": receiver.url()}
            form["RecordParticipantsOnConnect"] = "true"
            room_sid = await _make(clients, "Rooms", **form)
            await clients.participant("alice", "r").join()
            await written(clients, room_sid, expected)
            assert await server.stop(signal.SIGKILL) == -signal.SIGKILL
        assert set(receiver.events) == {"room-created"}
        receiver.answer = None
        receiver.callbacks.clear()
        async with running_server(tmp_path) as server, clients_of(server) as clients:
            await receiver.until(lambda r: "participant-disconnected" in r.events)
            url = f"{clients.url}/v1/Rooms/{room_sid}/Recordings"
            async with clients.http.get(url, headers=clients.back_end) as listed:
                recordings = (await listed.json())["recordings"]
        assert receiver.events[: len(expected)] == expected
        told = [c.parameters for c in receiver.callbacks if c.event == "recording-failed"]
        assert {p["RecordingSid"] for p in told} == {r["sid"] for r in recordings}
        assert [(r["status"], r["size"]) for r in recordings] == [("failed", 0)] * 2


async def test_whoever_was_inside_at_the_kill_is_told_to_have_left(tmp_path: Path) -> None:
    async with running_receiver() as receiver:
        server = await start_server(tmp_path)
        async with clients_of(server) as clients:
            room_sid = await _make(clients, "Rooms", UniqueName="r", StatusCallback=receiver.url())
            alice = clients.participant("alice", "r")
            await alice.join()
            await receiver.until_events(4)
            await server.stop(signal.SIGKILL)
        async with running_server(tmp_path):
            await receiver.until(lambda r: "participant-disconnected" in r.events)
        # At least once: what was under way at the kill comes again, with the number that it had.
        by_number = {int(c.parameters["SequenceNumber"]): c for c in receiver.callbacks}
        told = [by_number[number] for number in range(len(by_number))]
        assert [c.event for c in told] == [
            "room-created",
            "participant-connected",
            *["track-added"] * 2,
            *["track-removed"] * 2,
            "participant-disconnected",
        ]
        assert {c.parameters["TrackSid"] for c in told[2:4]} == {
            c.parameters["TrackSid"] for c in told[4:6]
        }
        assert {c.parameters["ParticipantSid"] for c in told[1:]} == {alice.participant_sid}
        assert told[-1].parameters["ParticipantStatus"] == "disconnected"
        assert told[-1].parameters["ParticipantDuration"].isdigit()
        assert {c.parameters["RoomSid"] for c in told} == {room_sid}


async def _make(clients: Clients, path: str, **form: str) -> str:
    url = f"{clients.url}/v1/{path}"
    async with clients.http.post(url, data=form, headers=clients.back_end) as answer:
        assert answer.status < 300, await answer.text()
        sid: str = (await answer.json())["sid"]
        return sid
