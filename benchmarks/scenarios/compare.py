"""
The same load against Parlour and another server, in turns, on this machine.

One room: publishers send VP8, every subscriber receives all of them; with ICE, DTLS and SRTP, over
the loopback interface. What counts is the CPU time of the whole server process for each packet that
arrived at a subscriber; the generator runs in this process and counts there. Receivers' work in the
kernel is partly charged to the sender on loopback, for both alike: `fanout` tells what a network
card would see, and over loopback differences between servers look smaller than they are.

janus: the distribution's package, or another build (--janus-binary).
whip: any server with WHIP and WHEP endpoints that runs on this machine.
mediasoup: a worker (--mediasoup-worker, or MEDIASOUP_WORKER_BIN) and the Node library of its
version; without a worker, Parlour's figures against published ones. At which load these were taken
is not known; with one publisher a server mostly wakes up, so there are more by default.
"""

import argparse
import asyncio
import statistics
from contextlib import AsyncExitStack

from benchmarks.engine import Latency, VideoPattern
from benchmarks.network import Link, enter_own_network, loopback_link
from benchmarks.peers import ServerFailed, janus, mediasoup, parlour, whip
from benchmarks.peers.side import JOINS_AT_ONCE, SUITES, Side
from benchmarks.report import Progress, Result

NAME = "compare"
HELP = "CPU time per forwarded packet of Parlour and of another server, under the same load"

PEERS = {adapter.NAME: adapter for adapter in (janus, whip, mediasoup)}
MEDIASOUP_NS = {"gcm": 2800.0, "cm": 3300.0}
"""Nanoseconds per forwarded packet of mediasoup 3.14, 1150 bytes, loopback, from another run."""
_MEDIASOUP_NOTE = (
    "The figure of mediasoup is from another run: 3.14 on this class of machine over loopback, "
    "1150-byte VP8, AES-GCM 2.8 us, AES-CM 3.3 to 4.0 us (the lower one is shown)."
)
DEFAULT_LOAD = (1, 50)
"""Publishers and subscribers where nothing is said."""
DEFAULT_LOAD_BESIDE_PUBLISHED = (4, 100)
TURN_SECONDS = 2.0
LOSS_WORTH_A_NOTE = 0.001


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--peer", choices=tuple(PEERS), default=janus.NAME)
    parser.add_argument(
        "--subscribers", type=int, metavar="N", help="default 50; beside published figures 100"
    )
    parser.add_argument(
        "--publishers", type=int, metavar="P", help="default 1; beside published figures 4"
    )
    parser.add_argument(
        "--bitrate", type=int, default=3_000_000, metavar="BPS", help="of each publisher"
    )
    parser.add_argument("--frames-per-second", type=float, default=30, metavar="F")
    parser.add_argument(
        "--suite",
        choices=tuple(SUITES),
        default="any",
        help="SRTP profiles that clients offer; any: both, and the server chooses",
    )
    parser.add_argument(
        "--seconds", type=float, default=10, metavar="S", help="of each side, in turns"
    )
    for adapter in PEERS.values():
        adapter.add_arguments(parser)


def run(arguments: argparse.Namespace) -> Result:
    """Measure."""
    publishers, subscribers = (
        DEFAULT_LOAD_BESIDE_PUBLISHED if _is_published(arguments) else DEFAULT_LOAD
    )
    if arguments.publishers is None:
        arguments.publishers = publishers
    if arguments.subscribers is None:
        arguments.subscribers = subscribers
    progress = Progress(NAME)
    # A server that somebody else runs cannot be reached from a namespace of our own.
    link = loopback_link()
    if arguments.peer == janus.NAME:
        try:
            link = enter_own_network()
        except OSError as error:
            raise SystemExit(
                f"Janus takes no loopback address, and a network of its own needs root or user "
                f"namespaces: {error}"
            ) from None
    try:
        return asyncio.run(_measure(arguments, link, progress))
    except ServerFailed as error:
        raise SystemExit(str(error)) from None


async def _measure(arguments: argparse.Namespace, link: Link, progress: Progress) -> Result:
    pattern = VideoPattern(
        bitrate_bps=arguments.bitrate, frames_per_second=arguments.frames_per_second
    )
    adapters = [parlour]
    if not _is_published(arguments):
        adapters.append(PEERS[arguments.peer])
    sides: dict[str, Side] = {}
    latencies: dict[str, Latency] = {}
    async with AsyncExitStack() as stack:
        for adapter in adapters:
            progress.say(f"{adapter.NAME}: starting")
            server = await stack.enter_async_context(
                adapter.running(arguments, host=link.servers, publishers=arguments.publishers)
            )
            sides[adapter.NAME] = await stack.enter_async_context(
                Side(server, host=link.ours, suite=arguments.suite)
            )
            await _join(adapter.NAME, sides[adapter.NAME], arguments, progress)
            await sides[adapter.NAME].wait_for_flow(pattern)
        turns = max(1, round(arguments.seconds / TURN_SECONDS))
        for number in range(turns):
            for name, side in sides.items():
                progress.say(f"{name}: turn {number + 1} of {turns}")
                await side.run(pattern, TURN_SECONDS)
        latencies = {name: side.engine.latency() for name, side in sides.items()}
    progress.clear()
    return _result(arguments, sides, latencies)


async def _join(name: str, side: Side, arguments: argparse.Namespace, progress: Progress) -> None:
    for number in range(arguments.publishers):
        await side.publish(number)
    joined = 0
    turns = asyncio.Semaphore(JOINS_AT_ONCE)

    async def join(number: int) -> None:
        nonlocal joined
        async with turns:
            await side.subscribe(sampled=number == 0)
            joined += 1
            progress.say(f"{name}: {joined} of {arguments.subscribers} subscribers joined")

    await asyncio.gather(*(join(number) for number in range(arguments.subscribers)))


def _result(
    arguments: argparse.Namespace, sides: dict[str, Side], latencies: dict[str, Latency]
) -> Result:
    samples = {name: [turn.ns_per_packet for turn in side.turns] for name, side in sides.items()}
    if _is_published(arguments):
        suite = "gcm" if any("GCM" in suite for suite in sides[parlour.NAME].suites) else "cm"
        samples[mediasoup.NAME] = [MEDIASOUP_NS[suite]]
    medians = {name: statistics.median(found) for name, found in samples.items()}
    ratio = medians[parlour.NAME] / medians[arguments.peer]
    totals = {name: _totals(side) for name, side in sides.items()}
    latency = {
        name: {"p50": found.quantile(0.5), "p99": found.quantile(0.99)}
        for name, found in latencies.items()
    }
    notes = [f"{name} {side.server.version}" for name, side in sides.items()]
    notes += [note for side in sides.values() for note in side.server.notes]
    if _is_published(arguments):
        notes.append(_MEDIASOUP_NOTE)
    notes += [
        f"{name} lost {found['loss']:.2%}: it is overloaded, or the generator is; send less"
        for name, found in totals.items()
        if found["loss"] > LOSS_WORTH_A_NOTE
    ]
    generator = {
        name: statistics.median(turn.generator_ns_per_packet for turn in side.turns)
        for name, side in sides.items()
    }
    names = tuple(samples)
    return Result(
        scenario=NAME,
        columns=(f"{arguments.publishers} to {arguments.subscribers}", *names),
        rows=[
            ("ns of CPU per packet received", *medians.values()),
            ("min", *(min(found) for found in samples.values())),
            ("max", *(max(found) for found in samples.values())),
            (f"{parlour.NAME} is", *(medians[parlour.NAME] / found for found in medians.values())),
            ("ns, generator", *(generator.get(name) for name in names)),
            ("packets received", *(_of(totals, name, "received") for name in names)),
            ("lost, of those to receive", *(_of(totals, name, "lost") for name in names)),
            ("latency ms, p50", *(_of(latency, name, "p50") for name in names)),
            ("latency ms, p99", *(_of(latency, name, "p99") for name in names)),
            ("SRTP", *(" ".join(sorted(sides[n].suites)) if n in sides else None for n in names)),
        ],
        figures={
            "peer": arguments.peer,
            "peer_measured": arguments.peer in sides,
            "subscribers": arguments.subscribers,
            "publishers": arguments.publishers,
            "bitrate_bps": arguments.bitrate,
            "frames_per_second": arguments.frames_per_second,
            "ns_per_forwarded_packet": medians,
            "generator_ns_per_packet": generator,
            "ratio_to_peer": ratio,
            "packets": totals,
            "loss": {name: found["loss"] for name, found in totals.items()},
            "latency_ms": latency,
            "suites": {name: sorted(side.suites) for name, side in sides.items()},
            "versions": {name: side.server.version for name, side in sides.items()},
        },
        samples=samples,
        unit="ns of CPU per packet received",
        notes=tuple(notes),
    )


def _is_published(arguments: argparse.Namespace) -> bool:
    """Return whether the other server's figures are from another run."""
    return arguments.peer == mediasoup.NAME and not arguments.mediasoup_worker


def _totals(side: Side) -> dict[str, float]:
    received, expected, sent = (
        sum(getattr(turn, name) for turn in side.turns) for name in ("received", "expected", "sent")
    )
    lost = max(0, expected - received)
    return {"sent": sent, "received": received, "lost": lost, "loss": lost / max(1, expected)}


def _of(figures: dict[str, dict[str, float]], name: str, key: str) -> float | None:
    return figures[name][key] if name in figures else None
