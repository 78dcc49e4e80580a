"""The scenario that compares two plane threads with one, for a moment."""

import json
import subprocess
import sys
from pathlib import Path


def test_both_numbers_of_threads_forward_everything(tmp_path: Path) -> None:
    path = tmp_path / "threads.json"
    command = [sys.executable, "-m", "benchmarks", "threads", "--rooms", "2", "--publishers", "1"]
    command += ["--subscribers", "2", "--large", "4", "--large-publishers", "1", "--runs", "1"]
    command += ["--frames-per-second", "10", "--seconds", "0.5", "--json", str(path)]
    subprocess.run(command, check=True, timeout=120, cwd=Path(__file__).parents[2])
    result = json.loads(path.read_text())
    assert set(result["ratio"]) == {"many rooms", "one large room"}
    for kind, sides in result["runs"].items():
        (one,), (two,) = sides["1"], sides["2"]
        for found in (one, two):
            assert found["received"] == found["expected"] > 0
        ratio = two["ns_per_forwarded_packet"] / one["ns_per_forwarded_packet"]
        assert abs(result["ratio"][kind] - ratio) < 1e-9
