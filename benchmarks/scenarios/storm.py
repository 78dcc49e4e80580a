"""
What storms cost: STUN, and the losses that subscribers have repaired.

One room of publishers and many subscribers under a steady load, measured in turns: clean; with
subscribers that lose a share of all packets, and so ask for them, report loss and get
retransmissions; and with subscribers that send a STUN binding request each, many times a second.
Figures are CPU time of the plane for each packet that had to be forwarded, retransmissions not
counted; the ratio is to the clean run of the same turn.
"""

import argparse
import asyncio
import statistics
from collections.abc import Callable

from benchmarks.report import Progress, Result, summary
from benchmarks.rooms.load import (
    AUDIO,
    add_room_arguments,
    add_server_arguments,
    figures,
    room_server,
    steady_video,
)
from benchmarks.rooms.session import Measured, RoomPlan, RoomsSession

NAME = "storm"
HELP = "cost of loss, retransmission and STUN storms, as a ratio to the clean figure"

CALM_SECONDS = 3600.0
"""Between two requests of the engine where there is no storm."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_room_arguments(parser, rooms=None, publishers=2, subscribers=100)
    parser.add_argument("--frames-per-second", type=float, default=30.0, help="of each publisher")
    parser.add_argument("--loss", type=float, default=0.3, help="share that subscribers lose")
    parser.add_argument(
        "--stun-per-second", type=float, default=50.0, help="requests of each subscriber"
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run")
    parser.add_argument("--runs", type=int, default=3, help="of each kind, in turns")
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> Result:
    """Measure."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> Result:
    progress = Progress(NAME)
    progress.say("starting the server")
    plan = RoomPlan(publishers=arguments.publishers, subscribers=arguments.subscribers)
    video = steady_video(arguments.frames_per_second, arguments.frame_packets)
    found: dict[str, list[Measured]] = {"clean": [], "loss": [], "stun": []}
    async with (
        room_server(arguments) as server,
        RoomsSession.joined(
            server,
            plan,
            names=["storm"],
            progress=progress,
            suite=arguments.suite,
            consent_interval=CALM_SECONDS,
        ) as session,
    ):
        weather: dict[str, Callable[[bool], None]] = {
            "clean": lambda _: None,
            "loss": lambda on: _for_all(
                session, lambda c: session.engine.drop(c, arguments.loss if on else 0.0)
            ),
            "stun": lambda on: _for_all(
                session,
                lambda c: session.engine.set_consent_interval(
                    c, 1 / arguments.stun_per_second if on else CALM_SECONDS
                ),
            ),
        }
        await session.warm_up(video, AUDIO, progress=progress)
        for number in range(arguments.runs):
            for name, turn in weather.items():
                progress.say(f"{name}, run {number + 1} of {arguments.runs}")
                turn(True)
                found[name].append(await session.measure(video, AUDIO, arguments.seconds))
                turn(False)
    progress.clear()
    return _result(found, arguments)


def _for_all(session: RoomsSession, act: Callable[[int], None]) -> None:
    for room in session.rooms:
        for peer in room.subscribers:
            act(peer.connection)


def _cost(found: Measured) -> float:
    """Of a packet that should have been forwarded, in ns."""
    return found.cpu.plane / max(1, found.expected)


def _result(found: dict[str, list[Measured]], arguments: argparse.Namespace) -> Result:
    samples = {name: [_cost(one) for one in runs] for name, runs in found.items()}
    ratios = {
        name: [cost / clean for cost, clean in zip(costs, samples["clean"], strict=True)]
        for name, costs in samples.items()
    }
    complaints = [t for runs in found.values() for one in runs for t in one.complaints()]
    return Result(
        scenario=NAME,
        columns=(
            *("storm", "ns/packet", "ratio", "packets/s", "dropped", "retransmitted"),
            *("given up", "RTCP/s", "STUN/s", "p99 ms"),
        ),
        rows=[
            (
                name,
                statistics.median(samples[name]),
                statistics.median(ratios[name]),
                round(statistics.median(one.expected / one.seconds for one in runs)),
                sum(one.totals.dropped for one in runs),
                sum(one.totals.recovered for one in runs),
                sum(one.totals.given_up for one in runs),
                round(statistics.median(one.totals.rtcp_sent / one.seconds for one in runs)),
                round(statistics.median(one.totals.consent_answered / one.seconds for one in runs)),
                statistics.median(one.latency.quantile(0.99) for one in runs),
            )
            for name, runs in found.items()
        ],
        figures={
            "publishers": arguments.publishers,
            "subscribers": arguments.subscribers,
            "loss": arguments.loss,
            "stun_per_second": arguments.stun_per_second * arguments.subscribers,
            "ns_per_packet": {name: statistics.median(costs) for name, costs in samples.items()},
            "ratio_to_clean": {
                name: statistics.median(values)
                for name, values in ratios.items()
                if name != "clean"
            },
            "ratios": {name: summary(values) for name, values in ratios.items()},
            "runs": {
                name: [
                    {
                        **figures(one),
                        "dropped": one.totals.dropped,
                        "recovered": one.totals.recovered,
                        "given_up": one.totals.given_up,
                        "stun_answered": one.totals.consent_answered,
                        "stun_sent": one.totals.consent_sent,
                    }
                    for one in runs
                ]
                for name, runs in found.items()
            },
        },
        samples=samples,
        unit="ns of plane CPU time per packet that had to be forwarded",
        notes=tuple(dict.fromkeys(complaints)),
    )
