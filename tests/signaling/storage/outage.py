"""A server under load whose PostgreSQL goes away for a while, and what it must not have lost."""

import asyncio
import itertools
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from benchmarks.load import SignalingFailed
from tests.signaling.webhooks.support import Receiver
from tests.support.clients import Clients, clients_of
from tests.support.postgres import PostgresServer
from tests.support.server import Server

ROOMS = 3
GUESTS = 4
STORE_TIMEOUT = 1.0
"""Seconds that the server gives a call to the store."""
LATEST = 15.0
"""Seconds that a join may take on a busy machine."""
STOCK = 20
"""Rooms that are there before the outage, and are ended in it."""
SETTLED = 2.0
"""Seconds after which what clients do is on the disk; what REST answers is there at once."""
MUTED_LATE = 5
"""More than somebody mutes itself in that time."""


@dataclass
class Seen:
    """What clients were told: all of it must be in the store at the end."""

    left: dict[str, str] = field(default_factory=dict)
    """Room SID by the SID of each participant who came and left."""
    left_at: dict[str, float] = field(default_factory=dict)
    """On the loop's clock."""
    inside: dict[str, str] = field(default_factory=dict)
    muted: int = 0
    """How often the one who stays muted itself, and unmuted."""
    completed: set[str] = field(default_factory=set)
    """Rooms for whose end REST answered 202."""
    created: set[str] = field(default_factory=set)
    """Rooms for which REST answered 201."""
    answers: Counter[int] = field(default_factory=Counter)
    """REST, by status."""
    slowest: float = 0.0
    """Seconds of the slowest REST answer."""
    failures: list[str] = field(default_factory=list)

    def forget_departures_after(self, at: float) -> None:
        """Forget who left so late that the server was killed before it could write that down."""
        for sid in [sid for sid, left_at in self.left_at.items() if left_at > at]:
            del self.left[sid]


class Load:
    """
    Guests who come, publish and leave, one who stays and mutes itself time and again, and a back
    end that makes, lists and ends rooms.

    :param callback: URL that rooms of the back end tell their events.
    """

    def __init__(self, clients: Clients, callback: str, *, prefix: str = "") -> None:
        self._clients = clients
        self._callback = callback
        self._prefix = prefix
        self._rng = random.Random(7)
        self._numbers = itertools.count()
        self._stop = asyncio.Event()
        self._stock: list[str] = []
        self.seen = Seen()

    async def make_stock(self) -> None:
        """Make the rooms that the back end ends while it can make none."""
        for number in range(STOCK):
            form = {"UniqueName": f"{self._prefix}stock{number}", "StatusCallback": self._callback}
            status, made = await self.rest("POST", "Rooms", form)
            assert status == 201
            self._stock.append(made["sid"])
            self.seen.created.add(made["sid"])

    async def run(self) -> None:
        """Go on until :meth:`stop`."""
        async with asyncio.TaskGroup() as group:
            for _ in range(GUESTS):
                group.create_task(self._guest())
            group.create_task(self._stays())
            group.create_task(self._back_end())

    def stop(self) -> None:
        """Let everybody come to an end."""
        self._stop.set()

    async def _guest(self) -> None:
        while not self._stop.is_set():
            number = next(self._numbers)
            # Rooms that are there, and rooms that a first guest makes.
            room = f"{self._prefix}room{number % ROOMS}" if number % 4 else f"new{number}"
            guest = self._clients.participant(f"g{self._prefix}{number}", room, publishes=True)
            try:
                await guest.join(seconds=LATEST)
            except (SignalingFailed, TimeoutError, OSError) as error:
                if not self._stop.is_set():
                    self.seen.failures.append(f"join: {error!r}")
                continue
            sid, room_sid = guest.participant_sid, guest.room_sid
            self.seen.inside[sid] = room_sid
            await self._pause(self._rng.uniform(0.1, 0.6))
            await guest.leave()
            del self.seen.inside[sid]
            self.seen.left[sid] = room_sid
            self.seen.left_at[sid] = asyncio.get_running_loop().time()

    async def _stays(self) -> None:
        guest = self._clients.participant(f"{self._prefix}stays", f"{self._prefix}steady")
        await guest.join(seconds=LATEST)
        await self._pause(SETTLED)
        track = next(iter(guest.tracks.values()))
        while not self._stop.is_set():
            guest.set_enabled(track, enabled=False)
            await self._pause(0.3)
            guest.set_enabled(track, enabled=True)
            self.seen.muted += 1
            await self._pause(0.3)
        await guest.leave()
        self.seen.left[guest.participant_sid] = guest.room_sid
        self.seen.left_at[guest.participant_sid] = asyncio.get_running_loop().time()

    async def _back_end(self) -> None:
        while not self._stop.is_set():
            name = f"{self._prefix}made{next(self._numbers)}"
            form = {"UniqueName": name, "StatusCallback": self._callback}
            status, made = await self.rest("POST", "Rooms", form)
            if status == 201:
                self.seen.created.add(made["sid"])
                # Ended by its SID, whatever the store says.
                status, ended = await self.rest(
                    "POST", f"Rooms/{made['sid']}", {"Status": "completed"}
                )
                if status == 202:
                    self.seen.completed.add(ended["sid"])
            elif self._stock:
                # Rooms end whether the store is there or not.
                status, ended = await self.rest(
                    "POST", f"Rooms/{self._stock.pop()}", {"Status": "completed"}
                )
                if status:
                    assert status == 202
                    self.seen.completed.add(ended["sid"])
            await self.rest("GET", "Rooms?Status=completed&PageSize=5")
            await self._pause(0.1)

    async def rest(
        self, method: str, path: str, form: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Ask REST; every answer has the shape that it must have."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        url = f"{self._clients.url}/v1/{path}"
        try:
            async with self._clients.http.request(
                method, url, data=form, headers=self._clients.back_end
            ) as answer:
                body = await answer.json()
        except aiohttp.ClientError as error:
            if not self._stop.is_set():
                self.seen.failures.append(f"REST: {error!r}")
            return 0, None
        self.seen.answers[answer.status] += 1
        self.seen.slowest = max(self.seen.slowest, loop.time() - began)
        if answer.status == 503:
            assert body["code"] == 20503
            assert body["status"] == 503
            assert int(answer.headers["Retry-After"]) > 0
        else:
            assert answer.status < 400, body
        return answer.status, body

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            pass


async def probe(server: Server, path: str) -> int:
    """Return the status that a probe answers."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{server.url}/{path}") as answer,
    ):
        return answer.status


async def until_ready(server: Server, *, seconds: float = 30.0) -> None:
    """Wait until the store is back, and everything is in it."""
    async with asyncio.timeout(seconds), clients_of(server) as clients:
        while True:
            async with clients.http.get(
                f"{clients.url}/v1/Rooms", headers=clients.back_end
            ) as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.1)


async def check_nothing_lost(
    postgres: PostgresServer, database: str, seen: Seen, receiver: Receiver | None
) -> dict[str, int]:
    """Compare the rows with what clients were told; return how many rows there are."""
    connection = await postgres.connect(database)
    try:
        people = {
            row["sid"]: row
            for row in await connection.fetch(
                "SELECT sid, room_sid, status, ended_at, created_at FROM participants"
            )
        }
        rooms = {row["sid"]: row for row in await connection.fetch("SELECT * FROM rooms")}
        events = await connection.fetch("SELECT * FROM events ORDER BY room_sid, sequence")
        tracks = await connection.fetch("SELECT participant_sid, unpublished_at FROM tracks")
    finally:
        await connection.close()
    for sid, room_sid in seen.left.items():
        assert sid in people, f"{sid} is lost"
        assert people[sid]["room_sid"] == room_sid
        assert people[sid]["status"] == "disconnected"
        assert people[sid]["ended_at"] >= people[sid]["created_at"]
    published = Counter(track["participant_sid"] for track in tracks)
    assert all(published[sid] == 2 for sid in seen.left)
    open_tracks = {t["participant_sid"] for t in tracks if t["unpublished_at"] is None}
    assert not open_tracks & seen.left.keys()
    for sid in seen.created:
        assert sid in rooms, f"{sid} is lost"
    for sid in seen.completed:
        assert rooms[sid]["status"] == "completed", f"the end of {sid} is lost"
    by_room: dict[str, list[Any]] = {}
    for event in events:
        by_room.setdefault(event["room_sid"], []).append(event)
    for room_sid, its in by_room.items():
        assert [event["sequence"] for event in its] == list(range(len(its))), room_sid
        times = [event["created_at"] for event in its]
        assert times == sorted(times), room_sid
        joined = Counter(e["participant_sid"] for e in its if e["name"] == "participant-connected")
        gone = Counter(e["participant_sid"] for e in its if e["name"] == "participant-disconnected")
        assert set(joined.values()) <= {1}
        assert set(gone.values()) <= {1}
        for sid, where in seen.left.items():
            if where == room_sid:
                assert joined[sid] == 1
                assert gone[sid] == 1
    names = Counter(event["name"] for event in events)
    # What came last may have come too late to be written before a kill.
    for name in ("track-disabled", "track-enabled"):
        assert names[name] >= seen.muted - MUTED_LATE, name
    if receiver is not None:
        told: dict[str, list[int]] = {}
        for callback in receiver.callbacks:
            sequence = int(callback.parameters["SequenceNumber"])
            told.setdefault(callback.parameters["RoomSid"], []).append(sequence)
        for sid in seen.completed:
            # At least once, in order: a repeated one may only come right after itself.
            assert sorted(set(told[sid])) == list(range(len(by_room[sid])))
            assert told[sid] == sorted(told[sid])
    return {"rooms": len(rooms), "people": len(people), "events": len(events)}


async def until_told(receiver: Receiver, seen: Seen, *, seconds: float = 30.0) -> None:
    """Wait until the receiver knows of the end of every completed room."""

    def ended() -> set[str]:
        return {c.parameters["RoomSid"] for c in receiver.callbacks if c.event == "room-ended"}

    async with asyncio.timeout(seconds):
        while not seen.completed <= ended():
            receiver.came.clear()
            await receiver.came.wait()


def settings_for(
    postgres: PostgresServer, database: str, *, port: int | None = None
) -> dict[str, str]:
    """Return the settings of a server on a database."""
    return {
        "DATABASE_URL": postgres.url(database, port=port),
        "MEDIA_ADDRESSES": "127.0.0.1",
        "MEDIA_HOST": "127.0.0.1",
        "STORE_TIMEOUT": f"{STORE_TIMEOUT}",
    }
