"""
The highest load of several rooms that the server carries, and the latency that it adds below it.

Publishers (WHIP) send audio and video, subscribers (RSP) receive all of it, over loopback with ICE,
DTLS and SRTP; one subscriber of each room opens and checks what it gets, with many rooms an eighth
of the time. The others have addresses of their own, but share sockets. Video has frames of full
packets; their rate is raised until more than 0.1 % of the packets do not come, or do not come at
the first time, or the 99th percentile of the latency is over the bound, in each of several attempts
(other work on the machine can spoil one). A last rate between the two is tried. Then follow runs at
50, 90 and 95 % of the highest load.

Latency is from the sender's call to the kernel's note of arrival. Server and generator share the
machine; over loopback the kernel's work for the receiver is charged to the server.

--repeats measures one rate several times instead, to compare builds of the server or one plane
thread with two.
"""

import argparse
import asyncio
import statistics

from benchmarks.report import Progress, Result
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

NAME = "rooms"
HELP = "highest sustainable load of several rooms, and latency at shares of it"

MAX_LOSS = 0.001
LOWEST_RATE = 1.0
"""Frames a second, below which nothing is tried."""
SHARES = (0.5, 0.9, 0.95)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_room_arguments(parser, rooms=10, publishers=2, subscribers=10)
    parser.add_argument(
        "--start",
        type=float,
        default=100.0,
        help="frames a second to begin with; when they are too many, fewer are tried",
    )
    parser.add_argument("--factor", type=float, default=1.4, help="from one rate to the next")
    parser.add_argument("--highest", type=float, default=5000.0, help="rate to end with")
    parser.add_argument("--latency-ms", type=float, default=20.0, help="bound of the p99")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each attempt")
    parser.add_argument("--attempts", type=int, default=3, help="until a rate is too high")
    parser.add_argument(
        "--repeats", type=int, default=0, metavar="N", help="measure --start N times, nothing else"
    )
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> Result:
    """Measure."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> Result:
    progress = Progress(NAME)
    progress.say("starting the server")
    plan = RoomPlan(publishers=arguments.publishers, subscribers=arguments.subscribers)
    async with (
        room_server(arguments) as server,
        RoomsSession.joined(
            server,
            plan,
            names=[f"room-{number}" for number in range(arguments.rooms)],
            progress=progress,
            suite=arguments.suite,
        ) as session,
    ):
        runner = _Runner(session, arguments, progress)
        video = steady_video(arguments.start, arguments.frame_packets)
        await session.warm_up(video, AUDIO, progress=progress)
        if arguments.repeats:
            return _repeated(
                [await runner.once(arguments.start) for _ in range(arguments.repeats)], arguments
            )
        return await runner.all()


class _Runner:
    def __init__(
        self, session: RoomsSession, arguments: argparse.Namespace, progress: Progress
    ) -> None:
        self._session, self._arguments, self._progress = session, arguments, progress
        self._rows: list[tuple[str, Measured]] = []

    async def once(self, rate: float) -> Measured:
        video = steady_video(rate, self._arguments.frame_packets)
        return await self._session.measure(video, AUDIO, self._arguments.seconds)

    async def all(self) -> Result:
        best_rate, best = await self._first()
        rate = best_rate * self._arguments.factor
        while rate <= self._arguments.highest:
            found = await self._carries(rate)
            if found is None:
                break
            best_rate, best = rate, found
            rate *= self._arguments.factor
        between = (best_rate + rate) / 2
        if between < self._arguments.highest and (found := await self._carries(between)):
            best_rate, best = between, found
        shares = {}
        for share in SHARES:
            shares[share] = await self._best_of(f"{share:.0%} of the highest", share * best_rate)
        self._progress.clear()
        return _result(best_rate, best, shares, self._rows, self._arguments)

    async def _first(self) -> tuple[float, Measured]:
        """Return the first rate that is carried, from --start downwards, and its run."""
        rate = self._arguments.start
        while (found := await self._carries(rate)) is None:
            if rate < LOWEST_RATE:
                raise SystemExit(
                    f"not even {rate:.2g} frames a second are carried within "
                    f"{self._arguments.latency_ms:g} ms"
                )
            rate /= self._arguments.factor
        return rate, found

    async def _carries(self, rate: float) -> Measured | None:
        """Return a run that was good enough, or None."""
        found = await self._best_of(f"{rate:.0f} frames/s", rate)
        return found if self._is_good(found) else None

    async def _best_of(self, name: str, rate: float) -> Measured:
        attempts: list[Measured] = []
        for _ in range(self._arguments.attempts):
            self._progress.say(name)
            attempts.append(await self.once(rate))
            if self._is_good(attempts[-1]):
                break
        best = min(attempts, key=lambda found: (found.loss, found.latency.quantile(0.99)))
        self._rows.append((name, best))
        return best

    def _is_good(self, found: Measured) -> bool:
        in_time = found.latency.quantile(0.99) <= self._arguments.latency_ms
        return found.loss <= MAX_LOSS and in_time


def _result(
    best_rate: float,
    best: Measured,
    shares: dict[float, Measured],
    rows: list[tuple[str, Measured]],
    arguments: argparse.Namespace,
) -> Result:
    complaints = [text for _, found in rows for text in found.complaints()]
    return Result(
        scenario=NAME,
        columns=COLUMNS,
        rows=[row(name, found) for name, found in rows],
        figures={
            **_described(arguments),
            "packets_per_second": best.rate,
            "frames_per_second": best_rate,
            "highest": figures(best),
            "at_share": {f"{share:.2f}": figures(found) for share, found in shares.items()},
            "runs": [{"name": name, **figures(found)} for name, found in rows],
        },
        curves={
            "p50": [(found.offered, found.latency.quantile(0.5)) for _, found in rows],
            "p99": [(found.offered, found.latency.quantile(0.99)) for _, found in rows],
        },
        axes=("packets/s offered", "latency, ms"),
        notes=(
            f"{best.rate:,.0f} packets a second at {best.plane_load:.2f} processors of the plane.",
            *dict.fromkeys(complaints),
        ),
    )


def _repeated(runs: list[Measured], arguments: argparse.Namespace) -> Result:
    plane = [found.plane_ns for found in runs]
    process = [found.process_ns for found in runs]
    return Result(
        scenario=NAME,
        columns=COLUMNS,
        rows=[row(f"run {number + 1}", found) for number, found in enumerate(runs)],
        figures={
            **_described(arguments),
            "frames_per_second": arguments.start,
            "ns_per_forwarded_packet": statistics.median(plane),
            "process_ns_per_forwarded_packet": statistics.median(process),
            "runs": [figures(found) for found in runs],
        },
        samples={"plane": plane, "process": process},
        unit="ns per forwarded packet",
        notes=tuple(dict.fromkeys(text for found in runs for text in found.complaints())),
    )


def _described(arguments: argparse.Namespace) -> dict[str, object]:
    names = ("rooms", "publishers", "subscribers", "frame_packets", "media_threads", "suite")
    return {name: getattr(arguments, name) for name in names}
