"""The scenario of ended rooms over REST, with few of them."""

import json
import subprocess
import sys
from pathlib import Path


def test_figures_tell_of_every_page_of_every_list(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    command = [sys.executable, "-m", "benchmarks", "history", "--rooms", "120"]
    subprocess.run(
        [*command, "--json", str(path)], check=True, timeout=60, cwd=Path(__file__).parents[2]
    )
    result = json.loads(path.read_text())
    assert (result["scenario"], result["rooms"], result["database"]) == ("history", 120, "sqlite")
    # There and back: 121 rooms are three pages of 50.
    assert result["latency_ms"]["rooms, 50 a page"]["pages"] == 6
    assert result["latency_ms"]["rooms, 1000 a page"]["pages"] == 2
    assert result["latency_ms"]["participants, 50 a page"]["pages"] == 80
    for found in result["latency_ms"].values():
        assert 0 < found["p50"] <= found["p99"] <= found["max"]
