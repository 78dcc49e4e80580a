"""
What it costs to forward one packet to one more subscriber, as CPU time of the server.

The whole server runs in a process of its own. Publishers send VP8 over WHIP, subscribers join over
signaling; all with ICE, DTLS and SRTP. Between server and clients is a veth pair of two network
namespaces. When everybody receives, media is dropped where it leaves the server's namespace, but
for one subscriber of each room, whose packets are opened with libsrtp and compared byte for byte,
and so are their numbers; for the others RR and transport-wide feedback are made up from what that
one received. Receivers that share the machine would otherwise be charged to the server.

In turns with the server, the limit runs over the same pair under the same load: a program that does
nothing but the fan-out. The ratio of the two survives a slow or busy machine; nanoseconds do not.
It knows no rooms: with several, all their publishers send to the same N subscribers there.

With --pin, plane threads and the limit stay on the same processors, which the load generator keeps
off. That makes the ratio smaller and steadier mostly because it makes the limit dearer: the packet
then always comes from another processor.

Publishers seal with AES-128-GCM in all runs, of the server and of the limit alike; --suite is what
the subscribers negotiate. One subscriber of the limit gets its packets too, and they are checked.
"""

import argparse
import asyncio
import os
import statistics
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

from benchmarks import limit
from benchmarks.fanout.limit_run import LimitRun
from benchmarks.fanout.sampled import Continuity
from benchmarks.fanout.session import FanoutSession
from benchmarks.network import Link, loopback_link, veth_link
from benchmarks.processes import kept_off
from benchmarks.report import Progress, Result, quantile
from benchmarks.server import add_pin_argument, last_processors, media_cpus, running_server
from signaling.rest.room_parameters import GROUP_PARTICIPANTS_MAX, LARGE_ROOM_TRACKS_MAX

FRAMES_FORWARDED = {"segmenting": 50_000, "software": 30_000}
"""
A second, of ten packets each, where nothing else is asked for: less than half of what a processor
does, by who splits runs.
"""
MOST_FRAMES = 250

NAME = "fanout"
HELP = "CPU time per forwarded packet of the whole server, and its ratio to this machine's limit"

_LOOPBACK = (
    "Without root all runs over loopback: there the receivers' work is charged to the sender, and "
    "figures say little about a network card."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--rooms", type=int, default=1, metavar="R", help="of one load each")
    parser.add_argument("--subscribers", type=int, default=100, metavar="N", help="default 100")
    parser.add_argument("--publishers", type=int, metavar="P", help="default 500 / N, 1 to 20")
    parser.add_argument(
        "--frames-per-second",
        type=float,
        metavar="F",
        help="of each publisher; default as many as make half a million packets, three fifths of "
        "that with --nic software, at most 250",
    )
    parser.add_argument("--suite", choices=("gcm", "cm"), default="gcm", help="SRTP profile")
    parser.add_argument(
        "--nic",
        choices=("segmenting", "software"),
        default="segmenting",
        help="who splits runs into datagrams: the interface (tx-udp-segmentation) or the kernel",
    )
    parser.add_argument(
        "--seconds", type=int, default=5, metavar="S", help="of each side, in turns"
    )
    parser.add_argument("--media-threads", type=int, default=1)
    add_pin_argument(parser)


def run(arguments: argparse.Namespace) -> Result:
    """Measure."""
    publishers, subscribers = _publishers(arguments), arguments.subscribers
    if publishers + subscribers > GROUP_PARTICIPANTS_MAX and publishers > LARGE_ROOM_TRACKS_MAX:
        raise SystemExit(
            f"fanout: a room for more than {GROUP_PARTICIPANTS_MAX} has {LARGE_ROOM_TRACKS_MAX} "
            f"tracks; {publishers} publishers and {subscribers} subscribers need several --rooms"
        )
    progress = Progress(NAME)
    with _link(arguments, progress) as link:
        return asyncio.run(_measure(arguments, link, progress))


def _publishers(arguments: argparse.Namespace) -> int:
    """Of each room."""
    return arguments.publishers or max(1, min(20, 500 // arguments.subscribers))


@contextmanager
def _link(arguments: argparse.Namespace, progress: Progress) -> Iterator[Link]:
    if os.geteuid() != 0:
        progress.warn(_LOOPBACK)
        yield loopback_link()
        return
    with veth_link(segmenting=arguments.nic == "segmenting") as link:
        yield link


async def _measure(arguments: argparse.Namespace, link: Link, progress: Progress) -> Result:
    publishers = _publishers(arguments)
    rate = arguments.frames_per_second
    if rate is None:
        forwarded_to = arguments.rooms * publishers * arguments.subscribers
        rate = min(FRAMES_FORWARDED[arguments.nic] / forwarded_to, MOST_FRAMES)
    processors = last_processors(arguments.media_threads) if arguments.pin else ()
    plane, process, generator, limits = [], [], [], []
    progress.say("starting the server")
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            running_server(
                media_threads=arguments.media_threads,
                host=link.servers,
                command_prefix=link.enter,
                settings={"MAX_ROOM_PARTICIPANTS": "1000"} | media_cpus(processors),
            )
        )
        session = await stack.enter_async_context(
            FanoutSession.joined(
                server,
                link,
                rooms=arguments.rooms,
                publishers=publishers,
                subscribers=arguments.subscribers,
                suite=arguments.suite,
                progress=progress,
            )
        )
        reference = None
        if limit.is_supported():
            reference = stack.enter_context(
                LimitRun(
                    link,
                    publishers=arguments.rooms * publishers,
                    subscribers=arguments.subscribers,
                    suite=arguments.suite,
                    processors=processors,
                )
            )
        stack.enter_context(kept_off(processors))
        await session.run(0.5, rate)
        session.forget()
        if reference is not None:
            await reference.run(0.5, rate)
            reference.continuity.forget()
        for second in range(arguments.seconds):
            progress.say(f"second {second + 1} of {arguments.seconds}")
            found = await session.run(1.0, rate)
            plane.append(found.plane_ns)
            process.append(found.process_ns)
            generator.append(found.generator_ns)
            if reference is not None:
                limits.append(await reference.run(1.0, rate))
    progress.clear()
    sampled = session.sampled
    median = statistics.median(plane)
    limit_ns = statistics.median(limits) if limits else None
    ratio = median / limit_ns if limit_ns else None
    latency = _latency(sampled)
    limit_figures = {}
    if reference is not None:
        limit_figures = {
            "limit_latency_ms": _latency([reference.continuity]),
            "limit_loss": _loss([reference.continuity]),
            "limit_sampled_packets": reference.continuity.packets,
        }
    notes = [_LOOPBACK] if link.is_loopback else []
    if reference is None:
        notes.append("The limit needs gcc and AVX-512 with VAES: there is none here.")
    return Result(
        scenario=NAME,
        columns=("fan-out", "median", "min", "max"),
        rows=[
            ("ns per forwarded packet, plane", median, min(plane), max(plane)),
            ("ns, whole process", statistics.median(process), min(process), max(process)),
            ("ns, generator", statistics.median(generator), min(generator), max(generator)),
            *([("ns, limit", limit_ns, min(limits), max(limits))] if limits else []),
            ("ratio to the limit", ratio, None, None),
            ("forwarded packets per CPU second", round(1e9 / median), None, None),
            ("latency ms, p50", latency["p50"], None, None),
            ("latency ms, p99", latency["p99"], None, None),
            ("sampled packets, all of them right", sum(one.packets for one in sampled), None, None),
            ("lost", sum(one.lost for one in sampled), None, None),
            ("withheld by the server", sum(one.withheld for one in sampled), None, None),
            *_limit_rows(reference),
        ],
        figures={
            "rooms": arguments.rooms,
            "subscribers": arguments.subscribers,
            "publishers": publishers,
            "frames_per_second": rate,
            "suite": arguments.suite,
            "nic": "loopback" if link.is_loopback else arguments.nic,
            "media_threads": arguments.media_threads,
            "processors": processors,
            "ns_per_forwarded_packet": median,
            "forwarded_packets_per_cpu_second": 1e9 / median,
            "process_ns_per_forwarded_packet": statistics.median(process),
            "generator_ns_per_forwarded_packet": statistics.median(generator),
            "generator_share": statistics.median(generator) / median,
            "limit_ns_per_forwarded_packet": limit_ns,
            "ratio_to_limit": ratio,
            "latency_ms": latency,
            "loss": _loss(sampled),
            "sampled_packets": sum(one.packets for one in sampled),
            "publishers_suite": "gcm",
            **limit_figures,
        },
        samples={"plane": plane, "process": process, **({"limit": limits} if limits else {})},
        unit="ns per forwarded packet",
        notes=tuple(notes),
    )


def _limit_rows(reference: LimitRun | None) -> list[tuple[str, float, None, None]]:
    if reference is None:
        return []
    latency = _latency([reference.continuity])
    return [
        ("the limit's latency ms, p50", latency["p50"], None, None),
        ("the limit's latency ms, p99", latency["p99"], None, None),
    ]


def _latency(sampled: list[Continuity]) -> dict[str, float]:
    latencies = [ms for one in sampled for ms in one.latencies_ms]
    return {"p50": quantile(latencies, 0.5), "p99": quantile(latencies, 0.99)}


def _loss(sampled: list[Continuity]) -> float:
    missing = sum(one.lost + one.withheld for one in sampled)
    return missing / max(1, missing + sum(one.packets for one in sampled))
