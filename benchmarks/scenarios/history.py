"""
How long a page takes of the lists that REST gives of what has ended.

Fills a store with ended rooms, their participants and tracks, starts a server over it, and follows
the links of each list and filter from the first page to the last, and back. The latency is the
client's, from request to answer, of one client at a time on the same processors.
"""

import argparse
import asyncio
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp

from benchmarks.report import Progress, Result, quantile
from benchmarks.server import Account, running_server
from signaling.auth.account import make_account
from signaling.errors import StorageError
from signaling.ids import AccountSid, new_participant_sid, new_room_sid, new_track_sid
from signaling.rooms import RoomSettings
from signaling.storage.records import ParticipantRecord, RoomRecord, TrackRecord
from signaling.storage.sql_store import SqlStore

NAME = "history"
HELP = "latency of listing ended rooms and participants over REST, page by page"

FIRST_AT = datetime(2026, 1, 1, tzinfo=UTC)
INTERVAL = timedelta(minutes=7)
"""Between the creations of two rooms."""
DURATION = timedelta(minutes=5)
PARTICIPANTS = 3
"""Of each room, with two tracks each."""
WEEKLY = 10
"""Every such room has the same name."""
CROWD = 2000
"""Participants of one more room, over time."""
IDENTITIES = 100
PAGE_SIZES = (50, 1000)
ROOMS_TOGETHER = 100
"""In one transaction."""
FILL_TIMEOUT = 60.0
"""Seconds for each of them."""
_WARM_UP = 20
"""Requests ahead of those that are measured."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--rooms", type=int, default=10_000, help="how many have ended")
    parser.add_argument(
        "--database",
        default="",
        metavar="URL",
        help="an empty one to use in place of a SQLite file",
    )


def run(arguments: argparse.Namespace) -> Result:
    """Measure; every list has to show all that it should."""
    if arguments.rooms < WEEKLY:
        raise SystemExit(f"history: at least {WEEKLY} rooms")
    try:
        walks = asyncio.run(_run(arguments.rooms, arguments.database))
    except StorageError as error:
        raise SystemExit(f"history: {error}") from error
    found = {
        name: {
            "pages": len(walk.times_ms),
            "p50": quantile(walk.times_ms, 0.5),
            "p99": quantile(walk.times_ms, 0.99),
            "max": max(walk.times_ms),
            "server_cpu": walk.server_cpu_ms / len(walk.times_ms),
        }
        for name, walk in walks.items()
    }
    return Result(
        scenario=NAME,
        columns=("ms", "pages", "p50", "p99", "max", "server's CPU"),
        rows=[(name, *figures.values()) for name, figures in found.items()],
        figures={
            "rooms": arguments.rooms,
            "participants_of_each": PARTICIPANTS,
            "participants_of_one": CROWD,
            "database": "other" if arguments.database else "sqlite",
            "latency_ms": found,
        },
        samples={name: walk.times_ms for name, walk in walks.items()},
        unit="ms",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What following one list to its end and back has cost."""

    times_ms: list[float]
    """Of each page."""
    server_cpu_ms: float
    """Of all pages; counted in steps of 10 ms."""


async def _run(rooms: int, database: str) -> dict[str, Walk]:
    rng = random.Random(1)
    made = make_account(random.SystemRandom())
    account = Account(**{name: getattr(made, name) for name in Account.__slots__})
    with tempfile.TemporaryDirectory(prefix="parlour-bench-") as directory:
        url = database or f"sqlite:///{Path(directory) / 'history.db'}"
        crowd = await _fill(url, made.account_sid, rooms, rng)
        async with (
            running_server(account=account, settings={"DATABASE_URL": url}) as server,
            aiohttp.ClientSession(headers=account.back_end()) as http,
        ):
            walks: dict[str, Walk] = {}
            for _ in range(_WARM_UP):
                await _get(http, f"{server.url}/v1/Rooms?Status=completed")
            for name, path, expected in _lists(rooms, crowd):
                for size in PAGE_SIZES:
                    link = f"{server.url}/v1/{path}&PageSize={size}"
                    cpu = server.cpu_seconds()
                    times = await _walk(http, link, expected)
                    walks[f"{name}, {size} a page"] = Walk(
                        times_ms=times, server_cpu_ms=1000 * (server.cpu_seconds() - cpu)
                    )
            return walks


def _lists(rooms: int, crowd: str) -> Iterator[tuple[str, str, int]]:
    """Yield what each list is called, where it is, and how much it shows."""
    weekly = len(range(0, rooms, WEEKLY))
    first, end = rooms // 4, 3 * rooms // 4
    dates = f"DateCreatedAfter={_date(first)}&DateCreatedBefore={_date(end)}"
    within = end - first
    weekly_within = sum(number % WEEKLY == 0 for number in range(first, end))
    people = f"Rooms/{crowd}/Participants?"
    yield "rooms", "Rooms?Status=completed", rooms + 1
    yield "rooms of a name", "Rooms?Status=completed&UniqueName=weekly", weekly
    yield "rooms of some days", f"Rooms?Status=completed&{dates}", within
    yield (
        "rooms of a name, of some days",
        f"Rooms?Status=completed&UniqueName=weekly&{dates}",
        weekly_within,
    )
    yield "rooms in progress", "Rooms?Status=in-progress", 0
    yield "rooms in progress of a name", "Rooms?Status=in-progress&UniqueName=weekly", 0
    yield "participants", f"{people}Status=disconnected", CROWD
    yield (
        "participants of an identity",
        f"{people}Status=disconnected&Identity=p7",
        CROWD // IDENTITIES,
    )
    yield (
        "participants since a time",
        f"{people}Status=disconnected&DateCreatedAfter={_date(rooms)}",
        CROWD,
    )


def _created_at(number: int) -> datetime:
    return FIRST_AT + number * INTERVAL


def _date(number: int) -> str:
    return _created_at(number).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _walk(http: aiohttp.ClientSession, link: str | None, expected: int) -> list[float]:
    """Follow a list to its end and back; return how long each page took, in milliseconds."""
    times = []
    for direction in ("next_page_url", "previous_page_url"):
        shown = 0
        while link is not None:
            began = perf_counter()
            page = await _get(http, link)
            times.append(1000 * (perf_counter() - began))
            shown += len(page[page["meta"]["key"]])
            last, link = link, page["meta"][direction]
        if shown != expected:
            raise RuntimeError(f"{last} ends after {shown} of {expected}")
        link = last
    return times


async def _get(http: aiohttp.ClientSession, link: str) -> Any:
    async with http.get(link) as answer:
        if answer.status != 200:
            raise RuntimeError(f"{link}: HTTP status {answer.status}")
        return await answer.json()


async def _fill(url: str, account_sid: AccountSid, rooms: int, rng: random.Random) -> str:
    """Write all rooms; return the SID of the one that many were in."""
    progress = Progress(NAME)
    store = await SqlStore.open(url, account_sid, call_timeout=FILL_TIMEOUT)
    try:
        for first in range(0, rooms, ROOMS_TOGETHER):
            progress.say(f"{first} of {rooms} rooms are filled in")
            numbers = range(first, min(rooms, first + ROOMS_TOGETHER))
            await _put(store, [_room(account_sid, number, rng) for number in numbers], rng)
        crowded = _room(account_sid, rooms, rng, name="crowd")
        await _put(store, [crowded], rng, participants=CROWD)
    finally:
        await store.close()
    progress.clear()
    return crowded.sid


async def _put(
    store: SqlStore,
    rooms: list[RoomRecord],
    rng: random.Random,
    *,
    participants: int = PARTICIPANTS,
) -> None:
    people = [_participant(room, number, rng) for room in rooms for number in range(participants)]
    tracks = [_track(person, kind, rng) for person in people for kind in ("audio", "video")]
    await store.put_all([*rooms, *people, *tracks])


def _room(
    account_sid: AccountSid, number: int, rng: random.Random, *, name: str = ""
) -> RoomRecord:
    sid = new_room_sid(rng)
    name = name or (f"room {number}" if number % WEEKLY else "weekly")
    at = _created_at(number)
    return RoomRecord(
        sid=sid,
        account_sid=account_sid,
        name=name,
        settings=RoomSettings(unique_name=name, status_callback="https://app.example/hook"),
        ad_hoc=False,
        status="completed",
        created_at=at,
        updated_at=at + DURATION,
        ended_at=at + DURATION,
    )


def _participant(room: RoomRecord, number: int, rng: random.Random) -> ParticipantRecord:
    at = room.created_at + timedelta(seconds=1 + number % 200)
    return ParticipantRecord(
        sid=new_participant_sid(rng),
        room_sid=room.sid,
        account_sid=room.account_sid,
        identity=f"p{number % IDENTITIES}",
        status="disconnected",
        created_at=at,
        updated_at=at + timedelta(seconds=60),
        ended_at=at + timedelta(seconds=60),
    )


def _track(person: ParticipantRecord, kind: str, rng: random.Random) -> TrackRecord:
    return TrackRecord(
        sid=new_track_sid(rng),
        room_sid=person.room_sid,
        participant_sid=person.sid,
        name=kind,
        kind=kind,
        enabled=True,
        created_at=person.created_at,
        unpublished_at=person.ended_at,
    )
