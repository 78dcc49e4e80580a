"""The scenario that compares two plane threads with one, for a moment."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.scenarios.threads import SIDES


def test_both_numbers_of_threads_forward_everything(tmp_path: Path) -> None:
    path = tmp_path / "threads.json"
    command = [sys.executable, "-m", "benchmarks", "threads", "--rooms", "2", "--publishers", "1"]
    command += ["--subscribers", "2", "--large", "4", "--large-publishers", "1", "--runs", "1"]
    command += ["--frames-per-second", "10", "--seconds", "0.5", "--json", str(path)]
    subprocess.run(command, check=True, timeout=120, cwd=Path(__file__).parents[2])
    result = json.loads(path.read_text())
    assert set(result["ratio"]) == {"many rooms", "one large room"}
    for kind, sides in result["runs"].items():
        (half,), (one,), (two,) = (sides[side] for side in SIDES)
        for found in (half, one, two):
            assert found["received"] == found["expected"] > 0
        assert half["expected"] < 0.9 * one["expected"]
        ratio = two["ns_per_forwarded_packet"] / one["ns_per_forwarded_packet"]
        assert result["ratio"][kind] == pytest.approx(ratio)
        ratio = two["ns_per_forwarded_packet"] / half["ns_per_forwarded_packet"]
        assert result["ratio_at_load_of_each"][kind] == pytest.approx(ratio)
