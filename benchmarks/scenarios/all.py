"""
Every scenario in turns: medians for whoever sizes a deployment or compares two versions.

Each runs in a process of its own and with its defaults, but for shorter times: a round takes about
nine minutes. What cannot run here (root, Janus) is named under the table and left out of it. The
table is Markdown; --json holds the complete results of all runs. What was found until then is shown
and written when the run is stopped, too.
"""

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.report import Progress, Result, summary

NAME = "all"
HELP = "every other scenario three times, in turns: a table of medians"

STOP_SECONDS = 30.0
GENERATOR = "generator for a packet, of the plane's time"
_PAGE = "rooms, 50 a page"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    text: str
    path: tuple[str, ...]
    """Keys in the scenario's JSON, of a number, or of a list whose median is shown."""
    scale: float = 1.0

    def of(self, result: Any) -> float | None:
        """Return the value in a result; None where it has none."""
        for key in self.path:
            result = result.get(key) if isinstance(result, dict) else None
        if isinstance(result, list):
            result = statistics.median(result) if result else None
        return None if result is None else result * self.scale


@dataclass(slots=True)
class Step:
    """A scenario with options."""

    options: tuple[str, ...]
    figures: tuple[Figure, ...]
    results: list[dict[str, Any]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its command line."""
        return " ".join(self.options)


def _fanout(*options: str) -> Step:
    return Step(
        ("fanout", "--seconds", "4", *options),
        (
            Figure("plane, ns per forwarded packet", ("ns_per_forwarded_packet",)),
            Figure("ratio to the limit", ("ratio_to_limit",)),
            Figure(GENERATOR, ("generator_share",)),
            Figure("loss", ("loss",)),
        ),
    )


def _latency(share: str) -> tuple[Figure, ...]:
    return tuple(
        Figure(f"{name} at {share} of it, ms", ("at_share", share, "latency_ms", name))
        for name in ("p50", "p99")
    )


def steps() -> list[Step]:
    """Return what a round consists of."""
    of_highest = ("highest", "ns_per_forwarded_packet")
    return [
        Step(
            ("micro", "--passes", "2", "--only", "fan-out"),
            tuple(
                Figure(f"{case}, ns per packet", ("ns_per_packet", case))
                for case in (
                    f"fan-out {suite} N={subscribers}, 1180 B"
                    for suite in ("GCM", "CM")
                    for subscribers in (10, 100)
                )
            ),
        ),
        *(
            _fanout("--subscribers", subscribers, "--suite", suite, "--nic", nic)
            for subscribers in ("10", "100")
            for suite in ("gcm", "cm")
            for nic in ("segmenting", "software")
        ),
        Step(
            ("rooms", "--start", "500", "--attempts", "2"),
            (
                Figure("highest load, packets/s", ("packets_per_second",)),
                Figure("plane at that load, processors", ("highest", "plane_processors")),
                Figure("plane, ns per forwarded packet", of_highest),
                Figure(GENERATOR, ("highest", "generator_share")),
                *_latency("0.50"),
                *_latency("0.90"),
                Figure("loss at 0.95 of it", ("at_share", "0.95", "loss")),
                Figure(f"{GENERATOR}, at 0.95 of it", ("at_share", "0.95", "generator_share")),
            ),
        ),
        Step(
            ("audio", "--runs", "1", "--seconds", "5"),
            (
                Figure("ns per forwarded packet of sound", ("ns_per_forwarded_packet",)),
                Figure("ratio to video", ("ratio_to_video",)),
                Figure(GENERATOR, ("generator_share",)),
            ),
        ),
        Step(
            ("threads", "--runs", "6", "--seconds", "1"),
            (
                Figure("two planes against one, many rooms", ("ratio", "many rooms")),
                Figure("at the same load of each plane", ("ratio_at_load_of_each", "many rooms")),
                Figure("two planes against one, one large room", ("ratio", "one large room")),
                Figure(
                    "at the same load of each plane, one large room",
                    ("ratio_at_load_of_each", "one large room"),
                ),
            ),
        ),
        Step(
            ("storm", "--runs", "1"),
            (
                Figure("30 % loss, ratio to the clean figure", ("ratio_to_clean", "loss")),
                Figure("STUN, ratio to the clean figure", ("ratio_to_clean", "stun")),
            ),
        ),
        Step(
            ("memory", "--participants", "1000"),
            (
                Figure("KiB of an idle participant", ("resident_bytes_per_participant",), 1 / 1024),
                Figure("KiB of a subscription", ("resident_bytes_per_subscription",), 1 / 1024),
                Figure(
                    "of it native, bytes of a further track", ("native_bytes_per_subscription",)
                ),
            ),
        ),
        Step(
            ("churn", "--rounds", "1"),
            (
                Figure("join beside media, p50 ms", ("join_latency_ms", "p50")),
                Figure("join beside media, p99 ms", ("join_latency_ms", "p99")),
            ),
        ),
        Step(
            ("joins", "--seconds", "5", "--start", "80", "--turns", "1"),
            (
                Figure("joins/s on this machine", ("joins_per_second",)),
                Figure("joins per CPU second of the server", ("joins_per_server_cpu_second",)),
                Figure("p99 at 70 %, ms", ("latency_ms_at_70_percent", "p99")),
                Figure("goodput at three times the load", ("overload_goodput_share",)),
            ),
        ),
        Step(
            ("joins", "--seconds", "5", "--start", "50", "--turns", "2", "--server-cpu", "0.4"),
            (Figure("goodput at three times the load", ("overload_goodput_share",)),),
        ),
        Step(
            ("rest", "--seconds", "10"),
            (
                Figure("rooms/s created and completed", ("rooms_per_second",)),
                Figure("CPU ms of a room", ("server_cpu_ms_per_room",)),
            ),
        ),
        Step(
            ("history", "--rooms", "2000"),
            tuple(
                Figure(f"{name} of ended rooms, 50 a page, ms", ("latency_ms", _PAGE, name))
                for name in ("p50", "p99")
            ),
        ),
        Step(
            ("compare", "--seconds", "6"),
            (
                Figure("ratio to Janus as packaged, 50 subscribers", ("ratio_to_peer",)),
                Figure("p99, ms", ("latency_ms", "parlour", "p99")),
            ),
        ),
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--runs", type=int, default=3, help="of each scenario")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="scenarios with TEXT in their command line"
    )


def run(arguments: argparse.Namespace) -> Result:
    """Run all in turns."""
    wanted = [step for step in steps() if arguments.only in step.name]
    if not wanted:
        raise SystemExit(f"no command line has {arguments.only!r} in it")
    progress = Progress(NAME)
    notes: dict[str, str] = {}
    place = ""
    try:
        for number in range(arguments.runs):
            for step in wanted:
                if step.name in notes:
                    continue
                place = f"round {number + 1} of {arguments.runs}: {step.name}"
                progress.warn(place)
                started = time.monotonic()
                try:
                    step.results.append(result_of(step.options))
                except RuntimeError as error:
                    notes[step.name] = f"`{step.name}` failed: {error}"
                step.seconds.append(time.monotonic() - started)
    except KeyboardInterrupt:
        if not any(step.results for step in wanted):
            raise
        return _result(wanted, (*notes.values(), f"Stopped in {place}."), is_whole=False)
    return _result(wanted, tuple(notes.values()))


def result_of(options: Sequence[str]) -> dict[str, Any]:
    """Run a scenario and return its JSON. :raises RuntimeError: with its last line."""
    with tempfile.TemporaryDirectory(prefix="parlour-bench-") as directory:
        path = Path(directory) / "out.json"
        command = [sys.executable, "-m", "benchmarks", *options, "--json", str(path)]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as child:
            try:
                _, errors = child.communicate()
            except BaseException:
                child.send_signal(signal.SIGINT)  # so that it takes everything with it
                child.wait(STOP_SECONDS)
                raise
        if child.returncode:
            raise RuntimeError((errors.strip().splitlines() or ["it says nothing"])[-1])
        found: dict[str, Any] = json.loads(path.read_text())
        return found


def _samples(wanted: Sequence[Step]) -> Iterator[tuple[str, Figure, list[float]]]:
    for step in wanted:
        for figure in step.figures:
            values = [value for one in step.results if (value := figure.of(one)) is not None]
            if values:
                yield step.name, figure, values


def _result(wanted: Sequence[Step], notes: tuple[str, ...], *, is_whole: bool = True) -> Result:
    found = list(_samples(wanted))
    return Result(
        scenario=NAME,
        columns=("scenario", "figure", "median", "min", "max"),
        rows=[
            (f"`{name}`", figure.text, statistics.median(values), min(values), max(values))
            for name, figure, values in found
        ],
        figures={
            "medians": {f"{name}: {figure.text}": summary(v) for name, figure, v in found},
            "seconds": {step.name: step.seconds for step in wanted},
            "results": {step.name: step.results for step in wanted},
        },
        samples={
            f"{name}: {figure.text}": [v / (statistics.median(values) or 1) for v in values]
            for name, figure, values in found
        },
        unit="share of the median",
        notes=notes,
        markdown=True,
        is_whole=is_whole,
    )
