"""
What a second plane thread costs: CPU time of the plane for each packet, with two threads and one.

Two servers, one with each number of threads, run in turns: many rooms, which the threads share out;
and one large room, whose subscribers are spread over the threads. There are two ratios. At the same
load each of two threads has half of what one has, is awake less often when something comes, and so
gets fewer packets at a time, as any thread does that has less to do. At the same load of each
thread, for which the one also runs at half the rate, the ratio says what crossing between threads
costs, and what the scheduler makes of more of them; with --pin it moves none. Neither says how much
two threads carry: on a machine with two processors the load generator needs one of them.
"""

import argparse
import asyncio
import statistics
from contextlib import AsyncExitStack

from benchmarks.crowd.crowd import OPEN_TO_ONE_ADDRESS
from benchmarks.engine import AudioPattern
from benchmarks.report import Progress, Result, summary
from benchmarks.rooms.load import AUDIO, add_room_arguments, figures, steady_video
from benchmarks.rooms.session import Measured, RoomPlan, RoomsSession
from benchmarks.server import add_pin_argument, last_processors, media_cpus, running_server

NAME = "threads"
HELP = "CPU time per packet of two plane threads against one, many rooms and one large room"

THREADS = (1, 2)
HALF, ONE, TWO = SIDES = ("one thread, half the load", "one thread", "two threads")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_room_arguments(parser, rooms=10, publishers=2, subscribers=10)
    parser.add_argument("--large", type=int, default=100, help="subscribers of the large room")
    parser.add_argument("--large-publishers", type=int, default=5, help="of the large room")
    parser.add_argument("--frames-per-second", type=float, default=60.0, help="of each publisher")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run")
    parser.add_argument("--runs", type=int, default=3, help="of each kind, in turns")
    add_pin_argument(parser)
    parser.add_argument("--suite", choices=("gcm", "cm"), default="gcm", help="SRTP profile")


def run(arguments: argparse.Namespace) -> Result:
    """Measure."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> Result:
    progress = Progress(NAME)
    found: dict[str, dict[str, list[Measured]]] = {}
    kinds = {
        "many rooms": (
            RoomPlan(publishers=arguments.publishers, subscribers=arguments.subscribers),
            [f"room-{number}" for number in range(arguments.rooms)],
        ),
        "one large room": (
            RoomPlan(publishers=arguments.large_publishers, subscribers=arguments.large),
            ["large"],
        ),
    }
    rate, packets = arguments.frames_per_second, arguments.frame_packets
    whole = steady_video(rate, packets), AUDIO
    half = (
        steady_video(rate / 2, packets),
        AudioPattern(bitrate_bps=AUDIO.bitrate_bps // 2, frame_interval=2 * AUDIO.frame_interval),
    )
    for kind, (plan, names) in kinds.items():
        found[kind] = {side: [] for side in SIDES}
        async with AsyncExitStack() as stack:
            sessions = {}
            for threads in THREADS:
                progress.say(f"{kind}: a server with {threads} plane threads")
                server = await stack.enter_async_context(
                    running_server(
                        media_threads=threads,
                        settings=OPEN_TO_ONE_ADDRESS
                        | media_cpus(last_processors(threads) if arguments.pin else ()),
                    )
                )
                sessions[threads] = await stack.enter_async_context(
                    RoomsSession.joined(
                        server, plan, names=names, progress=progress, suite=arguments.suite
                    )
                )
                await sessions[threads].warm_up(*whole, progress=progress)
            for number in range(arguments.runs):
                progress.say(f"{kind}: run {number + 1} of {arguments.runs}")
                for side in SIDES if number % 2 else reversed(SIDES):
                    one = await sessions[2 if side == TWO else 1].measure(
                        *(half if side == HALF else whole), arguments.seconds
                    )
                    found[kind][side].append(one)
    progress.clear()
    return _result(found, arguments)


def _result(found: dict[str, dict[str, list[Measured]]], arguments: argparse.Namespace) -> Result:
    ratios = {
        against: {
            kind: [
                two.plane_ns / one.plane_ns
                for one, two in zip(runs[against], runs[TWO], strict=True)
            ]
            for kind, runs in found.items()
        }
        for against in (ONE, HALF)
    }
    every = [one for runs in found.values() for side in runs.values() for one in side]
    return Result(
        scenario=NAME,
        columns=("plane CPU", "ns, one", "ns, two", "ratio", "min", "max", "loss %"),
        rows=[
            (
                f"{kind}, same load{'' if against == ONE else ' of each thread'}",
                *(statistics.median(one.plane_ns for one in runs[side]) for side in (against, TWO)),
                statistics.median(ratios[against][kind]),
                min(ratios[against][kind]),
                max(ratios[against][kind]),
                100 * max(one.loss for side in (against, TWO) for one in runs[side]),
            )
            for kind, runs in found.items()
            for against in (ONE, HALF)
        ],
        figures={
            "rooms": arguments.rooms,
            "large": arguments.large,
            "frames_per_second": arguments.frames_per_second,
            "suite": arguments.suite,
            "pinned": arguments.pin,
            "ratio": {kind: statistics.median(values) for kind, values in ratios[ONE].items()},
            "ratios": {kind: summary(values) for kind, values in ratios[ONE].items()},
            "ratio_at_load_of_each": {
                kind: statistics.median(values) for kind, values in ratios[HALF].items()
            },
            "ratios_at_load_of_each": {
                kind: summary(values) for kind, values in ratios[HALF].items()
            },
            "runs": {
                kind: {side: [figures(one) for one in runs[side]] for side in SIDES}
                for kind, runs in found.items()
            },
        },
        samples={
            f"{kind}, {side}": [one.plane_ns for one in runs[side]]
            for kind, runs in found.items()
            for side in SIDES
        },
        unit="ns of plane CPU time per forwarded packet",
        notes=tuple(dict.fromkeys(text for one in every for text in one.complaints())),
    )
