"""
What participants take of the server's memory.

Participants join rooms by signaling, with ICE and DTLS, and stay without media: the growth of the
server's resident set, all included, is divided by their number. Then one publisher in each room
sends nothing of its audio and video: the growth is that of subscriptions, which all have now. At
last all leave, and what stays is told.

Native memory is measured on a plane alone, in a process of its own: of a subscriber with one track
(transport, keys, arrival log, slot), and of each further track.
"""

import argparse
import asyncio
import random
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from benchmarks.crowd import Crowd, CrowdConfig, Outcome
from benchmarks.crowd.crowd import OPEN_TO_ONE_ADDRESS
from benchmarks.load import (
    AudioSettings,
    ClientConfig,
    OpusEncoder,
    Peer,
    VideoSettings,
    Vp8Encoder,
    WhipSession,
)
from benchmarks.load.peer import make_certificate
from benchmarks.processes import resident_bytes
from benchmarks.report import Progress, Result
from benchmarks.server import ServerProcess, running_server

NAME = "memory"
HELP = "resident memory of idle participants and of subscriptions, and native memory alone"

TRACKS = 2
WARM_UP = 20
FILL_SECONDS = 120.0
KIB = 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--participants", type=int, default=2000, metavar="N")
    parser.add_argument("--per-room", type=int, default=20, help="participants of a room")
    parser.add_argument("--workers", type=int, default=2, help="processes of clients")
    parser.add_argument(
        "--settle", type=float, default=3.0, metavar="S", help="seconds before memory is read"
    )


def run(arguments: argparse.Namespace) -> Result:
    """Measure."""
    progress = Progress(NAME)
    progress.say("native memory of a plane")
    first, further = _native()
    return asyncio.run(_run(arguments, progress, first, further))


def _native() -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.micro.native_memory"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    first, further = (float(word) for word in done.stdout.split())
    return first, further


async def _run(
    arguments: argparse.Namespace, progress: Progress, first: float, further: float
) -> Result:
    names = [f"room-{n}" for n in range(max(1, arguments.participants // arguments.per_room))]
    config = CrowdConfig(rooms=names, media=False, workers=arguments.workers, patience=60.0)
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        running_server(settings=OPEN_TO_ONE_ADDRESS) as server,
        aiohttp.ClientSession(connector=connector) as http,
        Crowd.running(server, config) as crowd,
    ):
        for name in names:
            await server.create_room(http, UniqueName=name, Type="group", MaxParticipants=1000)
        progress.say("warming up")
        _check(await crowd.fill(WARM_UP), WARM_UP)
        await crowd.leave()
        empty = await _settled(server, arguments.settle)
        progress.say(f"{arguments.participants} participants join")
        _check(await crowd.fill(arguments.participants), arguments.participants)
        idle = await _settled(server, arguments.settle)
        progress.say(f"{TRACKS} tracks in each of {len(names)} rooms")
        async with AsyncExitStack() as stack:
            await _publish(server, http, names, stack)
            await crowd.await_tracks(TRACKS)
            subscribed = await _settled(server, arguments.settle)
        progress.say("all leave")
        await crowd.leave()
        left = await _settled(server, arguments.settle)
    progress.clear()
    participants, subscriptions = arguments.participants, arguments.participants * TRACKS
    per_participant = (idle - empty) / participants
    per_subscription = (subscribed - idle) / subscriptions
    return Result(
        scenario=NAME,
        columns=("memory", "KiB"),
        rows=[
            ("of the server, empty", empty / KIB),
            (f"of the server with {participants} idle participants", idle / KIB),
            (f"of the server with {subscriptions} subscriptions", subscribed / KIB),
            ("of the server when all have left", left / KIB),
            ("resident, each idle participant", per_participant / KIB),
            ("resident, each subscription", per_subscription / KIB),
            ("native, a subscriber with one track", first / KIB),
            ("native, each further track", further / KIB),
        ],
        figures={
            "participants": participants,
            "rooms": len(names),
            "subscriptions": subscriptions,
            "resident_bytes": {
                "empty": empty,
                "idle": idle,
                "subscribed": subscribed,
                "left": left,
            },
            "resident_bytes_per_participant": per_participant,
            "resident_bytes_per_subscription": per_subscription,
            "native_bytes_of_first_subscription": first,
            "native_bytes_per_subscription": further,
        },
        samples={"empty": [empty], "idle": [idle], "subscribed": [subscribed], "left": [left]},
        unit="bytes resident",
    )


def _check(outcome: Outcome, wanted: int) -> None:
    if outcome.joined != wanted:
        raise SystemExit(
            f"only {outcome.joined} of {wanted} joined: {outcome.busy} busy, {dict(outcome.failed)}"
        )


async def _settled(server: ServerProcess, seconds: float) -> int:
    await asyncio.sleep(seconds)
    return resident_bytes(server.pid)


async def _publish(
    server: ServerProcess, http: aiohttp.ClientSession, names: list[str], stack: AsyncExitStack
) -> None:
    rng = random.Random(5)
    certificate = make_certificate(rng)
    for name in names:
        config = ClientConfig(certificate=certificate, video_codecs=("VP8",), receives=False)
        peer = Peer(config, rng=random.Random(rng.getrandbits(64)), host=server.host)
        stack.callback(peer.close, silently=True)
        peer.core.media_is_elsewhere = True  # nowhere: nothing is sent
        now = asyncio.get_running_loop().time()
        peer.core.publish(OpusEncoder(0, AudioSettings(), rng), "audio", now)
        peer.core.publish(Vp8Encoder(0, VideoSettings(), rng), "video", now)
        whip = WhipSession(
            http,
            peer,
            endpoint=f"{server.url}/whip/{name}",
            token=server.account.access_token("publisher", name),
        )
        await whip.start()
        await peer.wait_connected(seconds=FILL_SECONDS)
