"""Composition hooks of rooms that end right before the server is killed."""

import asyncio
import random
import signal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from signaling.ids import AccountSid
from signaling.storage.sql_store import SqlStore
from tests.support.clients import Clients, clients_of
from tests.support.server import Server, running_server, start_server

from .support import Callback, Receiver, make_recording, running_receiver

AMPLE = 20.0
"""Seconds on a busy machine."""
rng = random.Random(5)


async def ask(clients: Clients, method: str, path: str, **form: str) -> Any:
    url = f"{clients.url}/v1/{path}"
    async with clients.http.request(method, url, data=form, headers=clients.back_end) as answer:
        assert answer.status < 300, await answer.text()
        return await answer.json()


async def look(server: Server, room_sid: str) -> tuple[list[tuple[str, str]], bool]:
    """Return the room's events with their deliveries, and whether its hooks are still due."""
    account_sid = AccountSid(server.account.account_sid)
    store = await SqlStore.open(f"sqlite:///{server.data_dir / 'parlour.db'}", account_sid)
    try:
        events, _ = await store.list_events(room_sid, after=-1, size=100)
        due = {room.sid for room in await store.rooms_with_hooks_due()}
        return [(event.name, event.delivery) for event in events], room_sid in due
    finally:
        await store.close()


async def end_recorded_room(server: Server, clients: Clients, receiver: Receiver) -> str:
    """End a room that was recorded, as if there were a recorder, for which there is a hook."""
    await ask(
        clients,
        "POST",
        "CompositionHooks",
        FriendlyName="every room",
        AudioSources="*",
        StatusCallback=receiver.url(),
    )
    room_sid: str = (await ask(clients, "POST", "Rooms", UniqueName="r"))["sid"]
    account_sid = AccountSid(server.account.account_sid)
    store = await SqlStore.open(f"sqlite:///{server.data_dir / 'parlour.db'}", account_sid)
    await store.add_recording(make_recording(rng, account_sid, room_sid))
    await store.close()
    await ask(clients, "POST", f"Rooms/{room_sid}", Status="completed")
    return room_sid


async def until_written(server: Server, room_sid: str, name: str) -> None:
    """Wait until an event is in the store, and no hook is due."""
    async with asyncio.timeout(AMPLE):
        while await look(server, room_sid) != (  # noqa: ASYNC110
            [("room-created", "none"), ("room-ended", "none"), (name, "pending")],
            False,
        ):
            await asyncio.sleep(0.05)


async def hang(_: Callback) -> web.Response:
    await asyncio.Event().wait()
    return web.Response()


async def test_hooks_run_after_a_kill_that_came_before_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOKS", "late")
    async with running_receiver() as receiver:
        server = await start_server(tmp_path, module="tests.support.hooked_server")
        async with clients_of(server) as clients:
            room_sid = await end_recorded_room(server, clients, receiver)
            assert await server.stop(signal.SIGKILL) == -signal.SIGKILL
        told, due = await look(server, room_sid)
        assert ([name for name, _ in told], due) == (["room-created", "room-ended"], True)
        for _ in range(2):
            # The second time there is nothing left to do.
            async with running_server(tmp_path) as server, clients_of(server) as clients:
                await receiver.until_events(1)
                made = (await ask(clients, "GET", f"Compositions?RoomSid={room_sid}"))[
                    "compositions"
                ]
                assert [composition["status"] for composition in made] == ["enqueued"]
                await server.stop()
        [callback] = receiver.callbacks
        assert callback.event == "composition-enqueued"
        assert callback.parameters["CompositionSid"] == made[0]["sid"]
        assert await look(server, room_sid) == (
            [
                ("room-created", "none"),
                ("room-ended", "none"),
                ("composition-enqueued", "delivered"),
            ],
            False,
        )


@pytest.mark.parametrize("event", ["composition-enqueued", "composition-hook-failed"])
async def test_what_hooks_tell_outlives_a_kill_before_the_callback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    monkeypatch.setenv("HOOKS", "broken")
    module = "tests.support.hooked_server" if event == "composition-hook-failed" else ""
    async with running_receiver() as receiver:
        receiver.answer = hang
        server = await start_server(tmp_path, module=module)
        async with clients_of(server) as clients:
            room_sid = await end_recorded_room(server, clients, receiver)
            await until_written(server, room_sid, event)
            assert await server.stop(signal.SIGKILL) == -signal.SIGKILL
        receiver.answer = None
        receiver.callbacks.clear()
        async with running_server(tmp_path):
            await receiver.until_events(1)
        assert receiver.events == [event]
        assert receiver.callbacks[0].parameters["RoomSid"] == room_sid
        assert (await look(server, room_sid))[0][-1] == (event, "delivered")
