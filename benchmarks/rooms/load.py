"""How much the publishers of a scenario send, and how its runs are shown."""

import argparse
from contextlib import AbstractAsyncContextManager
from typing import Any

from benchmarks.crowd.crowd import OPEN_TO_ONE_ADDRESS
from benchmarks.engine import AudioPattern, VideoPattern
from benchmarks.report import Cell
from benchmarks.server import ServerProcess, running_server

from .session import Measured

FRAME_BYTES = 1150
"""Of payload in each packet of a frame: the usual size of VP8 packets."""
AUDIO = AudioPattern()

COLUMNS = (
    *("load", "packets/s", "loss %", "p50 ms", "p99 ms", "plane ns", "process ns"),
    *("generator ns", "plane CPU"),
)


def steady_video(frames_per_second: float, packets: int) -> VideoPattern:
    """Return frames of ``packets`` full packets each, so that runs can be compared."""
    return VideoPattern(
        bitrate_bps=round(frames_per_second * packets * FRAME_BYTES * 8),
        frames_per_second=frames_per_second,
        variation=0.0,
        key_frame_weight=1.0,
        payload_bytes=FRAME_BYTES,
    )


def row(name: str, found: Measured) -> tuple[Cell, ...]:
    """Return a line under :data:`COLUMNS`."""
    return (
        name,
        round(found.rate),
        100 * found.loss,
        found.latency.quantile(0.5),
        found.latency.quantile(0.99),
        found.plane_ns,
        found.process_ns,
        found.generator_ns_per_packet,
        found.plane_load,
    )


def figures(found: Measured) -> dict[str, Any]:
    """Return what JSON shows of a run."""
    return {
        "seconds": found.seconds,
        "packets_per_second": found.rate,
        "expected": found.expected,
        "received": found.totals.received,
        "loss": found.loss,
        "latency_ms": {
            "p50": found.latency.quantile(0.5),
            "p99": found.latency.quantile(0.99),
            "max": found.latency.max_ms,
            "packets": found.latency.count,
        },
        "ns_per_forwarded_packet": found.plane_ns,
        "process_ns_per_forwarded_packet": found.process_ns,
        "generator_ns_per_packet": found.generator_ns_per_packet,
        "generator_share": found.generator_share,
        "plane_processors": found.plane_load,
        "complaints": found.complaints(),
    }


def add_room_arguments(
    parser: argparse.ArgumentParser, *, rooms: int | None, publishers: int, subscribers: int
) -> None:
    """Declare how many there are, with these defaults. :param rooms: None where it is one room."""
    of = "of each room" if rooms else "of the room"
    if rooms:
        parser.add_argument("--rooms", type=int, default=rooms, metavar="R")
    parser.add_argument("--publishers", type=int, default=publishers, metavar="P", help=of)
    parser.add_argument("--subscribers", type=int, default=subscribers, metavar="S", help=of)
    parser.add_argument("--frame-packets", type=int, default=10, help="packets of a video frame")


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what every scenario with rooms can be told."""
    parser.add_argument("--media-threads", type=int, default=1, help="plane threads of the server")
    parser.add_argument("--suite", choices=("gcm", "cm"), default="gcm", help="SRTP profile")


def room_server(arguments: argparse.Namespace) -> AbstractAsyncContextManager[ServerProcess]:
    """Run the server that :func:`add_server_arguments` describes."""
    return running_server(media_threads=arguments.media_threads, settings=OPEN_TO_ONE_ADDRESS)
