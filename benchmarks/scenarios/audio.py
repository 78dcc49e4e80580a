"""
What a forwarded packet of sound costs when everybody talks and hears everyone.

All participants of one room publish audio, 50 packets a second each, and receive all the others':
with 50 of them 122,500 packets a second are forwarded. In turns with it runs a room of five
publishers of video and 100 subscribers on the same server. The ratio of the two survives a slow or
busy machine, nanoseconds do not. All is over loopback, where the kernel's work for the receiver is
charged to the server; that is most of what a packet of sound costs.
"""

import argparse
import asyncio
import statistics

from benchmarks.report import Progress, Result, summary
from benchmarks.rooms.load import (
    AUDIO,
    COLUMNS,
    add_server_arguments,
    figures,
    room_server,
    row,
    steady_video,
)
from benchmarks.rooms.session import SILENT_VIDEO, Measured, RoomPlan, RoomsSession

NAME = "audio"
HELP = "cost of a packet of sound where everybody hears everyone, and its ratio to video's"

FRAME_PACKETS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--talkers", type=int, default=50, metavar="N", help="in the room")
    parser.add_argument("--subscribers", type=int, default=100, help="of the room with video")
    parser.add_argument("--publishers", type=int, default=5, help="of the room with video")
    parser.add_argument("--frames-per-second", type=float, default=100.0, help="of each of them")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run")
    parser.add_argument("--runs", type=int, default=3, help="of each side, in turns")
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> Result:
    """Measure."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> Result:
    progress = Progress(NAME)
    progress.say("starting the server")
    audio_plan = RoomPlan(publishers=0, subscribers=0, talkers=arguments.talkers)
    video_plan = RoomPlan(
        publishers=arguments.publishers, subscribers=arguments.subscribers, audio=False
    )
    sound: list[Measured] = []
    video: list[Measured] = []
    async with room_server(arguments) as server:
        joined = RoomsSession.joined
        options = {"progress": progress, "suite": arguments.suite}
        async with (
            joined(server, audio_plan, names=["sound"], **options) as talking,
            joined(server, video_plan, names=["pictures"], **options) as watching,
        ):
            pictures = steady_video(arguments.frames_per_second, FRAME_PACKETS)
            await talking.warm_up(SILENT_VIDEO, AUDIO, progress=progress)
            await watching.warm_up(pictures, AUDIO, progress=progress)
            for number in range(arguments.runs):
                progress.say(f"run {number + 1} of {arguments.runs}")
                sound.append(await talking.measure(SILENT_VIDEO, AUDIO, arguments.seconds))
                video.append(await watching.measure(pictures, AUDIO, arguments.seconds))
    progress.clear()
    return _result(sound, video, arguments)


def _result(sound: list[Measured], video: list[Measured], arguments: argparse.Namespace) -> Result:
    samples = {
        "audio": [found.plane_ns for found in sound],
        "video": [found.plane_ns for found in video],
        "audio, process": [found.process_ns for found in sound],
        "video, process": [found.process_ns for found in video],
    }
    ratios = [a.plane_ns / v.plane_ns for a, v in zip(sound, video, strict=True)]
    complaints = [text for found in (*sound, *video) for text in found.complaints()]
    return Result(
        scenario=NAME,
        columns=COLUMNS,
        rows=[
            *(row(f"audio {number + 1}", found) for number, found in enumerate(sound)),
            *(row(f"video {number + 1}", found) for number, found in enumerate(video)),
        ],
        figures={
            "talkers": arguments.talkers,
            "subscribers": arguments.subscribers,
            "publishers": arguments.publishers,
            "suite": arguments.suite,
            "media_threads": arguments.media_threads,
            "ns_per_forwarded_packet": statistics.median(samples["audio"]),
            "video_ns_per_forwarded_packet": statistics.median(samples["video"]),
            "ratio_to_video": statistics.median(ratios),
            "generator_share": statistics.median(found.generator_share for found in sound),
            "ratios": summary(ratios),
            "audio": [figures(found) for found in sound],
            "video": [figures(found) for found in video],
        },
        samples=samples,
        unit="ns per forwarded packet",
        notes=(
            f"A packet of sound costs {statistics.median(ratios):.2f} times one of video.",
            *dict.fromkeys(complaints),
        ),
    )
