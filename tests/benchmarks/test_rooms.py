"""The scenario of rooms, for a moment: everything that is sent comes, and is what was sent."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.report import Progress
from benchmarks.rooms.load import AUDIO, steady_video
from benchmarks.rooms.session import Measured, RoomPlan, RoomsSession
from benchmarks.server import running_server

CHECKOUT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "benchmarks", "rooms", "--rooms", "2", "--publishers", "2"]
COMMAND += ["--subscribers", "3", "--seconds", "0.5", "--frame-packets", "3"]


def test_a_ramp_ends_with_shares_of_the_highest_load(tmp_path: Path) -> None:
    path = tmp_path / "rooms.json"
    command = [*COMMAND, "--start", "10", "--highest", "11", "--latency-ms", "5000"]
    subprocess.run([*command, "--json", str(path)], check=True, timeout=120, cwd=CHECKOUT)
    result = json.loads(path.read_text())
    assert list(result["at_share"]) == ["0.50", "0.90", "0.95"]
    for found in (result["highest"], *result["at_share"].values()):
        # 0.5 s of 4 publishers with 3 receivers each, 50 packets of audio a second and video.
        assert found["expected"] >= 0.5 * 4 * 3 * 50 * 0.8
        assert found["received"] == found["expected"]
        # One receiver of three opens all of the audio, and about half of the video.
        assert 0.6 < found["latency_ms"]["packets"] / (found["received"] / 3) <= 1
        assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]
        assert 0 < found["ns_per_forwarded_packet"] <= found["process_ns_per_forwarded_packet"]
        assert found["complaints"] == []


def test_repeats_with_two_plane_threads_measure_one_rate(tmp_path: Path) -> None:
    path = tmp_path / "rooms.json"
    command = [*COMMAND, "--start", "10", "--repeats", "2", "--media-threads", "2"]
    command += ["--suite", "cm"]
    subprocess.run([*command, "--json", str(path)], check=True, timeout=120, cwd=CHECKOUT)
    result = json.loads(path.read_text())
    assert len(result["samples"]["plane"]) == 2
    assert all(found["received"] == found["expected"] > 0 for found in result["runs"])


def test_lower_rates_are_tried_before_it_gives_up() -> None:
    command = [*COMMAND, "--start", "10", "--factor", "4", "--attempts", "1"]
    found = subprocess.run(
        [*command, "--latency-ms", "0.0001"], timeout=120, cwd=CHECKOUT, capture_output=True
    )
    assert found.returncode == 1
    assert b"not even 0.62 frames a second are carried within 0.0001 ms" in found.stderr


def test_subscribers_share_a_socket_but_for_the_sampled_one() -> None:
    async def measured() -> tuple[list[bool], Measured]:
        plan = RoomPlan(publishers=1, subscribers=3)
        async with (
            running_server() as server,
            RoomsSession.joined(server, plan, names=["room"], progress=Progress("test")) as session,
        ):
            shares = [peer.socket.fileno() < 0 for peer in session.rooms[0].subscribers]
            return shares, await session.measure(steady_video(10, 3), AUDIO, 0.5)

    shares, found = asyncio.run(measured())
    assert sorted(shares) == [False, True, True]
    assert found.totals.received == found.expected > 0


def test_warming_up_ends_when_everything_arrives_and_in_any_case() -> None:
    async def packets_sent() -> list[int]:
        plan = RoomPlan(publishers=1, subscribers=2)
        progress = Progress("test")
        async with (
            running_server() as server,
            RoomsSession.joined(server, plan, names=["room"], progress=progress) as session,
        ):
            counts = []
            for drop_share in (0.0, 0.5):
                for peer in session.rooms[0].subscribers:
                    session.engine.drop(peer.connection, drop_share)
                before = session.engine.totals().sent
                await session.warm_up(steady_video(10, 3), AUDIO, progress=progress)
                counts.append(session.engine.totals().sent - before)
            return counts

    calm, lossy = asyncio.run(packets_sent())
    assert lossy > 2 * calm > 0
