"""
The timers of rooms and participants over a SIGKILL.

Time that passes while no server runs is made by moving what is stored into the past.
"""

import asyncio
import signal
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from tests.signaling.webhooks.support import Receiver, running_receiver
from tests.support.clients import Clients, clients_of
from tests.support.server import running_server, start_server

from .support import look

PROMPT = 5.0
"""Seconds after the start within which everything is done that was due before it."""
AMPLE = 20.0
"""Seconds on a busy machine."""
NEARLY = timedelta(milliseconds=50)
_MICROSECONDS = 1_000_000
_TIMES = {
    "rooms": ("created_at", "updated_at", "ended_at"),
    "participants": ("created_at", "updated_at", "ended_at"),
    "tracks": ("created_at", "updated_at", "unpublished_at"),
    "events": ("created_at",),
}


class Rooms:
    """Rooms on a server that is killed, by name."""

    def __init__(self, url: str, receiver: Receiver) -> None:
        self._url = url
        self._receiver = receiver
        self.sids: dict[str, str] = {}

    async def make(self, clients: Clients, name: str, *guests: str, **form: str) -> None:
        """Make a room; a guest whose name begins with ``left`` joins and leaves, others stay."""
        form |= {"UniqueName": name, "StatusCallback": self._receiver.url()}
        url = f"{clients.url}/v1/Rooms"
        async with clients.http.post(url, data=form, headers=clients.back_end) as answer:
            assert answer.status == 201, await answer.text()
            self.sids[name] = (await answer.json())["sid"]
        for guest in guests:
            participant = clients.participant(guest, name, publishes=guest == "publisher")
            await participant.join()
            if guest.startswith("left"):
                await participant.leave()

    async def until_told(self, count: int) -> None:
        """Wait until so many events have been told, which are in the store then."""
        async with asyncio.timeout(AMPLE):
            await self._receiver.until_events(count)

    async def let_pass(self, seconds: Mapping[str, float]) -> None:
        """Let time pass for each room."""

        def move(connection: Connection) -> None:
            for name, passed in seconds.items():
                for table, columns in _TIMES.items():
                    changes = ", ".join(f"{column} = {column} - :passed" for column in columns)
                    key = "sid" if table == "rooms" else "room_sid"
                    connection.execute(
                        text(f"UPDATE {table} SET {changes} WHERE {key} = :room"),
                        {"passed": int(passed * _MICROSECONDS), "room": self.sids[name]},
                    )

        await look(self._url, move)

    async def rows(self, table: str, name: str) -> list[dict[str, Any]]:
        """Return the rows of a table that belong to a room, with times as datetimes."""
        key = "sid" if table == "rooms" else "room_sid"
        query = text(f"SELECT * FROM {table} WHERE {key} = :room")

        def read(connection: Connection) -> list[dict[str, Any]]:
            found = connection.execute(query, {"room": self.sids[name]}).mappings()
            return [dict(row) for row in found]

        rows = await look(self._url, read)
        for row in rows:
            for column in _TIMES[table]:
                if row[column] is not None:
                    row[column] = datetime.fromtimestamp(0, UTC) + timedelta(
                        microseconds=row[column]
                    )
        return rows

    async def until_completed(self, name: str, seconds: float) -> dict[str, Any]:
        """Return the row of a room that has ended."""
        async with asyncio.timeout(seconds):
            while True:
                [row] = await self.rows("rooms", name)
                if row["status"] == "completed":
                    return row
                await asyncio.sleep(0.05)


async def test_all_timers_go_on_from_stored_times_after_a_kill(url: str, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": url}
    async with running_receiver() as receiver:
        rooms = Rooms(url, receiver)
        server = await start_server(tmp_path / "data", settings=settings)
        async with clients_of(server) as clients:
            for when in ("past", "soon"):
                await rooms.make(clients, f"unused {when}", UnusedRoomTimeout="1")
                await rooms.make(clients, f"empty {when}", "left", EmptyRoomTimeout="1")
                await rooms.make(
                    clients,
                    f"old {when}",
                    "inside",
                    EmptyRoomTimeout="60",
                    MaxParticipantDuration="86400",
                )
            await rooms.make(
                clients,
                "session over",
                "publisher",
                EmptyRoomTimeout="5",
                MaxParticipantDuration="600",
            )
            await rooms.make(clients, "session goes on", "inside", EmptyRoomTimeout="5")
            # Created: 8; joined: 6; left: 2; published: 2.
            await rooms.until_told(18)
            await server.stop(signal.SIGKILL)
        receiver.callbacks.clear()
        await rooms.let_pass(
            {
                "unused past": 600,
                "unused soon": 55,
                "empty past": 600,
                "empty soon": 55,
                "old past": 90_000,
                "old soon": 86_395,
                "session over": 700,
                "session goes on": 700,
            }
        )
        began_at = datetime.now(UTC)
        async with running_server(tmp_path / "data", settings=settings):
            minute, day = timedelta(minutes=1), timedelta(days=1)
            for when, seconds in (("past", PROMPT), ("soon", AMPLE)):
                unused = await rooms.until_completed(f"unused {when}", seconds)
                assert abs(unused["ended_at"] - unused["created_at"] - minute) < NEARLY
                empty = await rooms.until_completed(f"empty {when}", seconds)
                [left] = await rooms.rows("participants", f"empty {when}")
                assert abs(empty["ended_at"] - left["ended_at"] - minute) < NEARLY
                old = await rooms.until_completed(f"old {when}", seconds)
                assert abs(old["ended_at"] - old["created_at"] - day) < NEARLY
                [inside] = await rooms.rows("participants", f"old {when}")
                assert inside["status"] == "disconnected"
                assert inside["ended_at"] <= old["ended_at"]

            [over] = await rooms.rows("participants", "session over")
            assert over["status"] == "disconnected"
            assert over["ended_at"] - over["created_at"] == timedelta(seconds=600)
            tracks = await rooms.rows("tracks", "session over")
            assert {track["unpublished_at"] for track in tracks} == {over["ended_at"]}
            assert len(tracks) == 2
            [room] = await rooms.rows("rooms", "session over")
            assert room["status"] == "in-progress"
            [goes_on] = await rooms.rows("participants", "session goes on")
            assert goes_on["status"] == "disconnected"
            assert began_at <= goes_on["ended_at"] <= datetime.now(UTC)

            def told(name: str) -> dict[str, dict[str, str]]:
                return {
                    callback.event: callback.parameters
                    for callback in receiver.callbacks
                    if callback.parameters["RoomSid"] == rooms.sids[name]
                }

            async with asyncio.timeout(AMPLE):
                await receiver.until(
                    lambda _: (
                        "participant-disconnected" in told("session over")
                        and all("room-ended" in told(f"{n} past") for n in ("unused", "old"))
                    )
                )
            left_told = told("session over")["participant-disconnected"]
            assert left_told["ParticipantDuration"] == "600"
            assert told("unused past")["room-ended"]["RoomDuration"] == "60"
            assert told("old past")["room-ended"]["RoomDuration"] == "86400"
            stayed = int(told("old past")["participant-disconnected"]["ParticipantDuration"])
            assert 86_400 - AMPLE < stayed < 86_400


async def test_a_room_whose_last_session_ran_out_is_empty_from_then(
    url: str, tmp_path: Path
) -> None:
    settings = {"DATABASE_URL": url}
    async with running_receiver() as receiver:
        rooms = Rooms(url, receiver)
        server = await start_server(tmp_path / "data", settings=settings)
        async with clients_of(server) as clients:
            await rooms.make(
                clients, "r", "inside", EmptyRoomTimeout="2", MaxParticipantDuration="600"
            )
            await rooms.until_told(2)
            await server.stop(signal.SIGKILL)
        await rooms.let_pass({"r": 3600})
        async with running_server(tmp_path / "data", settings=settings):
            ended = await rooms.until_completed("r", PROMPT)
            [inside] = await rooms.rows("participants", "r")
            assert inside["ended_at"] - inside["created_at"] == timedelta(minutes=10)
            assert abs(ended["ended_at"] - inside["ended_at"] - timedelta(minutes=2)) < NEARLY
