"""The scenario of joins and leaves beside running media, for a moment."""

import json
import subprocess
import sys
from pathlib import Path


def test_those_who_stay_lose_nothing_while_others_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "churn.json"
    command = [sys.executable, "-m", "benchmarks", "churn", "--rooms", "1", "--publishers", "1"]
    command += ["--subscribers", "2", "--rounds", "2", "--seconds", "1.5", "--joins", "2"]
    command += ["--hold", "0.5", "--json", str(path)]
    subprocess.run(command, check=True, timeout=120, cwd=Path(__file__).parents[2])
    result = json.loads(path.read_text())
    assert (result["joined"], result["failed"], result["busy"]) == (4, {}, 0)
    for found in (result["quiet"], *result["rounds"]):
        assert found["received"] == found["expected"] > 0
    assert len(result["resident_bytes"]["after"]) == 2
    assert result["join_latency_ms"]["p50"] > 0
