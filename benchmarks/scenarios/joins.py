"""
How many joins a second the server takes, what one costs, and what it does with more than it can.

A join is the whole of it: WebSocket, token, SDP, ICE, DTLS and the first packet of the room's
speaker. Who has joined leaves half a second later, and that is in the figures too. Joins begin at
an even rate whatever becomes of them. The rate is raised until they no longer succeed; then follow
a run at 70 % of the highest goodput, for latency, and in turns the rate that had the highest and
three times that goodput, of which the server should turn away what it cannot serve ("busy") while
goodput stays. Who is turned away goes, and does not try again. The best of several rates is also
the luckiest: joins a second are those of the turns.

The clients are in processes of their own, below the server in priority. They cost about as much as
the server, so on few processors they are the limit in joins a second: "server CPU" says how busy
the server was, and ms of CPU for each join is what can be compared. What a server does with more
than it can shows only where it is the limit: --server-cpu gives it less of a processor.
"""

import argparse
import asyncio
import shlex
import statistics
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp

from benchmarks.crowd import Crowd, CrowdConfig, Outcome
from benchmarks.crowd.crowd import OPEN_TO_ONE_ADDRESS, speaking_rooms
from benchmarks.processes import cpu_time, held_to
from benchmarks.report import Progress, Result, quantile
from benchmarks.server import ServerProcess, running_server

NAME = "joins"
HELP = "full joins a second, CPU time of one, latency, and behaviour at three times the maximum"

ENOUGH = 0.9
"""Share of the offered joins below which a rate is too high."""
STEADY = 0.7
OVERLOAD = 3.0
SATURATED = 0.85
"""Share of what the server can have from which it is the limit: a processor, or less if held."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rate, and what came of it."""

    name: str
    rate: float
    outcome: Outcome
    server_cpu_seconds: float

    @property
    def cpu_ms(self) -> float:
        """Of the server, for each join."""
        return 1000 * self.server_cpu_seconds / max(1, self.outcome.joined)

    @property
    def server_load(self) -> float:
        """Processors that the server kept busy."""
        return self.server_cpu_seconds / self.outcome.seconds

    @property
    def succeeds(self) -> bool:
        """Whether nearly all of the joins that should have begun were made."""
        return self.outcome.goodput >= ENOUGH * self.rate

    def figures(self) -> dict[str, object]:
        """Return what JSON shows."""
        found = self.outcome
        return {
            "rate": self.rate,
            "offered": found.offered,
            "offered_per_second": found.offered_rate,
            "joined": found.joined,
            "busy": found.busy,
            "failed": dict(found.failed),
            "joins_per_second": found.goodput,
            "server_cpu_ms_per_join": self.cpu_ms,
            "server_processors": self.server_load,
            "client_processors": found.cpu_seconds / found.seconds,
            "latency_ms": latency(found),
        }

    def row(self) -> tuple[str | float | int | None, ...]:
        """Return the line of the table."""
        found = self.outcome
        return (
            self.name,
            found.offered_rate,
            found.goodput,
            latency(found)["p50"],
            latency(found)["p99"],
            self.cpu_ms,
            self.server_load,
            found.busy,
            found.failed.total(),
        )


def latency(outcome: Outcome) -> dict[str, float | None]:
    """Return p50 and p99 in ms."""
    found = outcome.latencies_ms
    return {
        "p50": quantile(found, 0.5) if found else None,
        "p99": quantile(found, 0.99) if found else None,
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="of each rate")
    parser.add_argument("--start", type=float, default=30.0, help="joins a second to begin with")
    parser.add_argument("--factor", type=float, default=1.3, help="from one rate to the next")
    parser.add_argument("--highest", type=float, default=2000.0, help="rate to end with")
    parser.add_argument(
        "--turns", type=int, default=3, help="of the highest rate and three times it"
    )
    parser.add_argument("--rooms", type=int, default=20, help="that are joined in turn")
    parser.add_argument("--hold", type=float, default=0.5, help="seconds until who joined leaves")
    parser.add_argument("--workers", type=int, default=2, help="processes of clients")
    parser.add_argument(
        "--server-cpu",
        type=float,
        metavar="C",
        help="hold the server to the CPU time of so many processors (a control group, root), so "
        "that the clients can offer three times its load on a small machine: 0.4 on two processors",
    )
    parser.add_argument(
        "--server-prefix",
        default="",
        metavar="COMMAND",
        help="what to run the server with; it executes what follows it, such as 'taskset -c 1'",
    )
    parser.add_argument(
        "--only-rate",
        type=float,
        metavar="R",
        help="measure this rate and nothing else, to compare two builds of the server",
    )


def run(arguments: argparse.Namespace) -> Result:
    """Measure."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> Result:
    progress = Progress(NAME)
    progress.say("starting the server")
    names = [f"room-{number}" for number in range(arguments.rooms)]
    config = CrowdConfig(rooms=names, workers=arguments.workers, hold=arguments.hold)
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        running_server(
            settings=OPEN_TO_ONE_ADDRESS, command_prefix=shlex.split(arguments.server_prefix)
        ) as server,
        aiohttp.ClientSession(connector=connector) as http,
        speaking_rooms(server, http, names),
        Crowd.running(server, config) as crowd,
        AsyncExitStack() as stack,
    ):
        if arguments.server_cpu is not None:
            try:
                stack.enter_context(held_to(server.pid, arguments.server_cpu))
            except OSError as error:
                raise SystemExit(f"the server cannot be held to --server-cpu: {error}") from error
        runner = _Runner(server, crowd, arguments, progress)
        await runner.step("warm-up", arguments.only_rate or arguments.start, 1.0)
        if arguments.only_rate:
            return _result([await runner.step("rate", arguments.only_rate)], arguments)
        return _result(await runner.all(), arguments)


class _Runner:
    def __init__(
        self,
        server: ServerProcess,
        crowd: Crowd,
        arguments: argparse.Namespace,
        progress: Progress,
    ) -> None:
        self._server, self._crowd = server, crowd
        self._arguments, self._progress = arguments, progress

    async def step(self, name: str, rate: float, seconds: float | None = None) -> Step:
        self._progress.say(f"{name}: {rate:.0f} joins a second")
        seconds = seconds or self._arguments.seconds
        before = cpu_time(self._server.pid)
        outcome = await self._crowd.offer(rate, seconds)
        await asyncio.sleep(self._arguments.hold)
        used = cpu_time(self._server.pid).since(before).process / 1e9
        return Step(name, rate, outcome, used)

    async def all(self) -> list[Step]:
        steps = []
        rate = self._arguments.start
        while rate <= self._arguments.highest:
            steps.append(await self.step("ramp", rate))
            if not steps[-1].succeeds:
                break
            rate *= self._arguments.factor
        best = max(steps, key=lambda step: step.outcome.goodput)
        peak = best.outcome.goodput
        steps.append(await self.step("70 %", STEADY * peak))
        for _ in range(self._arguments.turns):
            steps.append(await self.step("highest", best.rate))
            steps.append(await self.step("three times", OVERLOAD * peak))
        self._progress.clear()
        return steps


def _busy(steps: Iterable[Step]) -> int:
    return sum(step.outcome.busy for step in steps)


def _goodput(steps: Iterable[Step]) -> float:
    return statistics.median(step.outcome.goodput for step in steps)


def _result(steps: list[Step], arguments: argparse.Namespace) -> Result:
    by_name: dict[str, list[Step]] = {}
    samples: dict[str, list[float]] = {}
    for step in steps:
        by_name.setdefault(step.name, []).append(step)
        samples.setdefault(f"{step.name} {step.rate:.0f}/s", []).extend(step.outcome.latencies_ms)
    overload = by_name.get("three times", [])
    highest = by_name.get("highest") or [max(steps, key=lambda step: step.outcome.goodput)]
    steady = by_name.get("70 %", [])
    cpu_ms = statistics.median(step.cpu_ms for step in highest)
    notes = [
        f"{1000 / cpu_ms:.0f} joins a second and core of the server at {cpu_ms:.2f} ms each"
        + "".join(f"; {step.cpu_ms:.2f} ms at 70 % of the highest" for step in steady)
        + "."
    ]
    most = min(1.0, arguments.server_cpu or 1.0)
    server_is_limit = max(step.server_load for step in steps) >= SATURATED * most
    if not server_is_limit:
        notes.append("The server was never busy: joins a second are the clients' limit.")
    share = None
    if overload:
        share = _goodput(overload) / _goodput(highest)
        offered = sum(step.outcome.offered for step in overload)
        notes.append(
            f"At {OVERLOAD:.0f} times the highest goodput {_busy(overload)} of {offered} "
            f"were told to come back later; goodput was {share:.0%}."
        )
        rate = statistics.median(step.outcome.offered_rate for step in overload)
        if rate < ENOUGH * OVERLOAD * _goodput(highest):
            notes.append(
                f"The clients could begin only {rate:.0f} joins a second: "
                f"this was not {OVERLOAD:.0f} times the load."
            )
    reasons = sum((step.outcome.failed for step in steps), start=Counter[str]())
    notes += [f"{count} x {reason}" for reason, count in reasons.most_common(5)]
    return Result(
        scenario=NAME,
        columns=(
            *("joins", "offered/s", "joined/s", "p50 ms", "p99 ms", "server CPU ms"),
            *("server CPU", "busy", "failed"),
        ),
        rows=[step.row() for step in steps],
        figures={
            "rooms": arguments.rooms,
            "workers": arguments.workers,
            "server_cpu": arguments.server_cpu,
            "joins_per_second": _goodput(highest),
            "server_cpu_ms_per_join": cpu_ms,
            "joins_per_server_cpu_second": 1000 / cpu_ms,
            "server_cpu_ms_per_join_at_70_percent": steady[0].cpu_ms if steady else None,
            "latency_ms_at_70_percent": latency(steady[0].outcome) if steady else None,
            "overload_goodput_share": share,
            "overload_busy": _busy(overload) if overload else None,
            "limited_by": "server" if server_is_limit else "clients",
            "steps": [{"name": step.name, **step.figures()} for step in steps],
        },
        samples=samples,
        unit="ms from WebSocket to first packet",
        notes=tuple(notes),
    )
