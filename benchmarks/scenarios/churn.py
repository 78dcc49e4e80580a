"""
Joins and leaves beside running media: what those who stay notice of it.

Rooms of publishers and subscribers as in ``rooms``, under a steady load. The same is measured
first without and then with participants who join these rooms at an even rate, receive, and leave
after a while. Loss and latency are of those who stay. The server's memory is taken before the first
of them comes and when the last has left; what is there after one round and grows with the next ones
is a leak.
"""

import argparse
import asyncio
from dataclasses import dataclass

from benchmarks.crowd import Crowd, CrowdConfig, Outcome
from benchmarks.processes import resident_bytes
from benchmarks.report import Progress, Result, quantile
from benchmarks.rooms.load import (
    AUDIO,
    COLUMNS,
    add_room_arguments,
    add_server_arguments,
    figures,
    room_server,
    row,
    steady_video,
)
from benchmarks.rooms.session import Measured, RoomPlan, RoomsSession

NAME = "churn"
HELP = "loss and latency of those who stay while others join and leave, and memory after"

MIB = 1 << 20
LEAVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Round:
    """One run with joins and leaves."""

    media: Measured
    joins: Outcome
    resident: int
    """Of the server afterwards, in bytes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_room_arguments(parser, rooms=5, publishers=2, subscribers=10)
    parser.add_argument("--frames-per-second", type=float, default=30.0, help="of each publisher")
    parser.add_argument("--joins", type=float, default=10.0, help="a second, in all rooms together")
    parser.add_argument("--hold", type=float, default=3.0, help="seconds until who joined leaves")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3, help="with joins and leaves")
    parser.add_argument("--workers", type=int, default=1, help="processes of those who come and go")
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> Result:
    """Measure."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> Result:
    progress = Progress(NAME)
    progress.say("starting the server")
    plan = RoomPlan(publishers=arguments.publishers, subscribers=arguments.subscribers)
    names = [f"room-{number}" for number in range(arguments.rooms)]
    config = CrowdConfig(rooms=names, workers=arguments.workers, hold=arguments.hold)
    video = steady_video(arguments.frames_per_second, arguments.frame_packets)
    rounds: list[Round] = []
    async with (
        room_server(arguments) as server,
        RoomsSession.joined(
            server,
            plan,
            names=names,
            progress=progress,
            suite=arguments.suite,
            room_for=round(arguments.joins * (arguments.hold + LEAVE_SECONDS)) + 10,
        ) as session,
        Crowd.running(server, config) as crowd,
    ):
        await session.warm_up(video, AUDIO, progress=progress)
        progress.say("without joins")
        quiet = await session.measure(video, AUDIO, arguments.seconds)
        before = resident_bytes(server.pid)
        for number in range(arguments.rounds):
            progress.say(f"round {number + 1} of {arguments.rounds}")
            # Joins end while media runs: each of them waits for a packet.
            seconds = arguments.seconds - arguments.hold
            joins = asyncio.create_task(crowd.offer(arguments.joins, max(0.5, seconds)))
            media = await session.measure(video, AUDIO, arguments.seconds)
            outcome = await joins
            await asyncio.sleep(arguments.hold + LEAVE_SECONDS)
            rounds.append(Round(media, outcome, resident_bytes(server.pid)))
    progress.clear()
    return _result(quiet, before, rounds, arguments)


def _result(
    quiet: Measured, before: int, rounds: list[Round], arguments: argparse.Namespace
) -> Result:
    latencies = [ms for one in rounds for ms in one.joins.latencies_ms]
    joined = sum(one.joins.joined for one in rounds)
    failed = sum((one.joins.failed for one in rounds), start=Outcome().failed)
    later = sum(one.joins.joined for one in rounds[1:])
    growth = (rounds[-1].resident - rounds[0].resident) / later if later else 0.0
    notes = [
        f"{joined} joins beside running media, "
        f"{quantile(latencies, 0.5) if latencies else 0:.0f} ms in the middle; "
        f"memory {before / MIB:.1f} MiB before, {rounds[-1].resident / MIB:.1f} MiB after, "
        f"{growth:.0f} bytes more for each join after the first round.",
        *(f"{count} x {reason}" for reason, count in failed.most_common(5)),
        *dict.fromkeys(t for m in (quiet, *(one.media for one in rounds)) for t in m.complaints()),
    ]
    return Result(
        scenario=NAME,
        columns=COLUMNS,
        rows=[
            row("without joins", quiet),
            *(row(f"with joins, {n + 1}", one.media) for n, one in enumerate(rounds)),
        ],
        figures={
            "rooms": arguments.rooms,
            "publishers": arguments.publishers,
            "subscribers": arguments.subscribers,
            "joins_per_second": arguments.joins,
            "joined": joined,
            "failed": dict(failed),
            "busy": sum(one.joins.busy for one in rounds),
            "join_latency_ms": {
                "p50": quantile(latencies, 0.5) if latencies else None,
                "p99": quantile(latencies, 0.99) if latencies else None,
            },
            "quiet": figures(quiet),
            "rounds": [figures(one.media) for one in rounds],
            "resident_bytes": {"before": before, "after": [one.resident for one in rounds]},
            "resident_bytes_per_later_join": growth,
        },
        samples={"join": latencies} if latencies else {},
        unit="ms from WebSocket to first packet",
        notes=tuple(notes),
    )
