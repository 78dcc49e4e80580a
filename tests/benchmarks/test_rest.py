"""The scenario of rooms over REST, for a moment."""

import json
import subprocess
import sys
from pathlib import Path


def test_figures_tell_of_rooms_that_were_made_and_completed(tmp_path: Path) -> None:
    path = tmp_path / "rest.json"
    command = [sys.executable, "-m", "benchmarks", "rest", "--clients", "3", "--seconds", "0.5"]
    subprocess.run(
        [*command, "--json", str(path)], check=True, timeout=60, cwd=Path(__file__).parents[2]
    )
    result = json.loads(path.read_text())
    assert (result["scenario"], result["clients"], result["errors"]) == ("rest", 3, {})
    made, ended = (result["latency_ms"][name] for name in ("create", "complete"))
    assert made["requests"] == ended["requests"] >= 3
    assert 0 < made["p50"] <= made["p99"] <= made["max"]
    assert result["rooms_per_second"] > 0
    assert result["server_cpu_ms_per_room"] > 0
