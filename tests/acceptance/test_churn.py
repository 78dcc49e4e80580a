"""A server among guests who come, publish and vanish at random, and strangers who send nonsense."""

import asyncio
import json
import random
import sys
from dataclasses import asdict
from pathlib import Path

import aiohttp

from benchmarks.load import VideoSettings
from tests.support.clients import (
    arrived,
    clients_of,
    failures_in_log,
    join_all,
    until_media_arrives,
)
from tests.support.server import Server, running_server

CHECKOUT = Path(__file__).resolve().parents[2]
SESSION_TIMEOUT = 2
CONSENT_LIFETIME = 30
WINDOW = 5.0
"""Seconds over which the canary is looked at."""
GROWTH_MIB = 6
"""
Of the server over the second half of the run. Those who vanish are there for a while, so that it
takes as long until the number of participants stops growing.
"""
LATEST_FRAMES = 0.5
"""Part of its frames that the canary must get in each window, on a machine that is full."""


def resident_mib(server: Server) -> float:
    """Return the memory of the server process."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


async def gauges(http: aiohttp.ClientSession, server: Server) -> dict[str, float]:
    """Return the server's metrics without labels."""
    async with http.get(f"{server.url}/metrics") as answer:
        text = await answer.text()
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines if "{" not in name}


async def test_churn_and_noise_leave_a_call_and_the_server_as_they_were(
    tmp_path: Path, seconds: float
) -> None:
    seed = random.SystemRandom().getrandbits(32)
    settings = {"SESSION_TIMEOUT": str(SESSION_TIMEOUT), "METRICS_BIND": "http"}
    async with (
        running_server(tmp_path, media_threads=2, settings=settings) as server,
        clients_of(server) as clients,
    ):
        calm = VideoSettings(frames_per_second=15.0)
        alice, bob = (clients.participant(name, "canary", video=calm) for name in ("a", "b"))
        await join_all(alice, bob)
        await asyncio.gather(until_media_arrives(alice, bob), until_media_arrives(bob, alice))
        calm_state = await gauges(clients.http, server)

        guests = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.acceptance.churn",
            *("--url", server.url, "--account", json.dumps(asdict(server.account))),
            *("--media-ports", str(server.media_port), str(server.media_port + 1)),
            *("--seconds", str(seconds), "--seed", str(seed)),
            cwd=CHECKOUT,
            stdout=asyncio.subprocess.PIPE,
        )
        report = asyncio.create_task(guests.communicate())
        sizes: list[float] = []
        seen = arrived(alice, bob).video_frames
        while not report.done():
            await asyncio.wait([report], timeout=WINDOW)
            sizes.append(resident_mib(server))
            now = arrived(alice, bob)
            if not report.done():
                assert now.video_frames - seen >= LATEST_FRAMES * WINDOW * 15, f"seed {seed}"
            seen = now.video_frames
        output, _ = await report
        assert guests.returncode == 0, f"seed {seed}"
        told = json.loads(output)
        print(json.dumps(told | {"resident_mib": sizes, "seed": seed}))
        assert sum(told["done"].values()) > seconds / 2
        assert told["failures"] == [], f"seed {seed}"
        for receiver, sender in ((alice, bob), (bob, alice)):
            assert arrived(receiver, sender).problems == (), f"seed {seed}"
        assert max(sizes[-3:]) - max(sizes[: len(sizes) // 2 + 1]) < GROWTH_MIB, f"{sizes}"

        # WHIP has no signaling that could be missed: such a guest goes with its consent.
        deadline = asyncio.get_running_loop().time() + CONSENT_LIFETIME + SESSION_TIMEOUT + 30
        names = [f"parlour_{what}" for what in ("rooms", "participants", "signaling_connections")]
        names += [f"parlour_media_{what}" for what in ("transports", "streams", "slots")]
        while True:
            left = await gauges(clients.http, server)
            if all(left[name] <= calm_state[name] for name in names):
                break
            assert asyncio.get_running_loop().time() < deadline, {n: left[n] for n in names}
            await asyncio.sleep(1)
        await alice.leave()
        await bob.leave()
    assert failures_in_log(server) == [], f"seed {seed}"
