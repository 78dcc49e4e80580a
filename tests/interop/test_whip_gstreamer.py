"""Debian's simple-whip-client publishes with GStreamer's webrtcbin; our clients receive."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.load.inbound import InboundStream
from benchmarks.load.peer import Peer
from tests.support.clients import Clients, access_token

COMMAND = "whip-client"
VIDEO = (
    "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=25/1 "
    "! vp8enc deadline=1 cpu-used=8 target-bitrate=400000 keyframe-max-dist=10000 "
    "! rtpvp8pay picture-id-mode=2 pt=96 "
    "! application/x-rtp,media=video,encoding-name=VP8,payload=96"
)
AUDIO = (
    "audiotestsrc is-live=true wave=sine freq=500 ! audioconvert ! audioresample ! opusenc "
    "! rtpopuspay pt=100 ! application/x-rtp,media=audio,encoding-name=OPUS,payload=100"
)
STOP_TIMEOUT = 10.0

pytestmark = pytest.mark.skipif(shutil.which(COMMAND) is None, reason=f"{COMMAND} is missing")


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build what keeps two versions of libsoup out of one process; return its directory."""
    directory = tmp_path_factory.mktemp("libraries")
    name = "libgupnp-igd-1.0.so.4"
    source = Path(__file__).with_name("no_upnp.c")
    options = ["-shared", "-fPIC", "-Wall", "-Werror", f"-Wl,-soname,{name}"]
    subprocess.run(["gcc", *options, "-o", directory / name, source], check=True)
    return directory


@asynccontextmanager
async def publishing(
    clients: Clients, room: str, log: Path, libraries: Path, *options: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the publisher until the block ends, and stop it as a user does."""
    token = access_token(clients.account, "gstreamer", room)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            COMMAND,
            *("--url", f"{clients.url}/whip/{room}", "--token", token),
            *("--video", VIDEO, "--audio", AUDIO, "--disable-colors", *options),
            stdout=output,
            stderr=output,
            env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
            except TimeoutError:
                process.kill()
                await process.wait()


async def until_received(peer: Peer, *, seconds: float = 20.0) -> list[InboundStream]:
    """Wait until both streams bring packets, two seconds' worth, and return them."""
    streams = peer.core.media.inbound

    def has_enough() -> bool:
        wanted = {True: 50, False: 90}
        return all(s.counters.packets >= wanted[s.is_video] for s in streams.values())

    await peer.wait_until(has_enough, seconds=seconds)
    return list(streams.values())


@pytest.mark.parametrize("options", [(), ("--no-trickle",)], ids=["trickle", "all-at-once"])
async def test_gstreamer_publishes_into_a_room(
    clients: Clients, room: str, tmp_path: Path, libraries: Path, options: tuple[str, ...]
) -> None:
    log = tmp_path / "whip-client.log"
    guest = clients.participant("guest", room, publishes=False)
    await guest.join()
    async with publishing(clients, room, log, libraries, *options) as process:
        try:
            await guest.wait_subscribed(2, seconds=20)
            assert [p.identity for p in guest.participants.values()] == ["gstreamer"]
            tracks = [t for p in guest.participants.values() for t in p.tracks.values()]
            assert sorted(track.kind for track in tracks) == ["audio", "video"]
            streams = await until_received(guest.peer)

            # A viewer who comes later begins with a key frame, which the server asks for.
            viewer = clients.peer()
            viewer.core.add_section("audio")
            viewer.core.add_section("video")
            whep = clients.whip(viewer, "viewer", room, protocol="whep")
            await whep.start()
            streams += await until_received(viewer)
            assert len(streams) == 4
            for stream in streams:
                assert (stream.counters.discontinuities, stream.counters.malformed) == (0, 0)
                assert stream.is_vp8 == stream.is_video
                assert stream.first_is_key_frame or not stream.is_video
            assert guest.peer.core.media.unknown_packets == 0
            await whep.stop()
            assert process.returncode is None
        except BaseException:
            print(log.read_text()[-4000:])
            raise
    # Stopped by its user, the client deletes its resource.
    await guest.wait_until(lambda: not guest.participants, seconds=5)
    await guest.leave()
