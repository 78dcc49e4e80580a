"""The micro-benchmarks run, cover every kernel, and measure a fan-out that forwards everything."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.micro import bench_plane
from router._fastpath import srtp


def test_a_run_writes_every_sample(tmp_path: Path) -> None:
    result = tmp_path / "micro.json"
    command = [sys.executable, "-m", "benchmarks", "micro", "--passes", "1", "--json", str(result)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "fan-out GCM N=100" in done.stdout
    found = json.loads(result.read_text())
    assert found["machine"]["processors"] >= 1
    samples = found["ns_per_packet"]
    assert all(len(values) == 1 and values[0] > 0 for values in samples.values())
    for kernel in srtp.available_kernels()["gcm"]:
        assert f"seal GCM {kernel} 1200 B" in samples


def test_an_unknown_case_is_said() -> None:
    command = [sys.executable, "-m", "benchmarks", "micro", "--only", "no such case"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "no such case" in done.stderr


def test_the_room_forwards_each_packet_to_each_subscriber() -> None:
    room = bench_plane.Room(7, 3)
    room.frame()
    before = room.forwarded()
    room.frame()
    assert room.forwarded() - before == 3 * bench_plane.FRAME_PACKETS
