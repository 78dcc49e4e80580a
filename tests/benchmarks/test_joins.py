"""The scenario of joins, for a moment: processes of clients join a real server."""

import json
import subprocess
import sys
from pathlib import Path


def test_figures_tell_of_joins_that_received_media(tmp_path: Path) -> None:
    path = tmp_path / "joins.json"
    command = [sys.executable, "-m", "benchmarks", "joins", "--seconds", "0.5", "--rooms", "2"]
    command += ["--start", "4", "--highest", "5", "--hold", "0.1", "--json", str(path)]
    subprocess.run(command, check=True, timeout=120, cwd=Path(__file__).parents[2])
    result = json.loads(path.read_text())
    ramp, steady, overload = result["steps"]
    # Two workers with two joins a second each, for half a second.
    assert (ramp["offered"], ramp["joined"], ramp["failed"]) == (2, 2, {})
    assert overload["offered"] >= 1
    assert overload["rate"] > 2 * ramp["joins_per_second"]
    for step in (ramp, steady, overload):
        assert step["joined"] + step["busy"] == step["offered"]
        assert 0 < step["latency_ms"]["p50"] <= step["latency_ms"]["p99"]
        assert step["server_cpu_ms_per_join"] > 0
    assert result["joins_per_server_cpu_second"] > 0
    assert result["limited_by"] in ("server", "clients")
