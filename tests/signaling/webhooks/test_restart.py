"""A server that is killed between the write and the callback."""

import asyncio
import base64
import signal
from pathlib import Path

import aiohttp
from aiohttp import web

from signaling.auth.account import Account
from tests.signaling.cli.process import served
from tests.signaling.webhooks.support import Callback, running_receiver


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
