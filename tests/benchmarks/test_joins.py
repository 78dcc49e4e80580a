"""The scenario of joins, for a moment: processes of clients join a real server."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median


def test_figures_tell_of_joins_that_received_media(tmp_path: Path) -> None:
    path = tmp_path / "joins.json"
    command = [sys.executable, "-m", "benchmarks", "joins", "--seconds", "0.5", "--rooms", "2"]
    command += ["--start", "4", "--highest", "5", "--hold", "0.1", "--turns", "2"]
    command += ["--json", str(path)]
    subprocess.run(command, check=True, timeout=120, cwd=Path(__file__).parents[2])
    result = json.loads(path.read_text())
    ramp, _, *turns = result["steps"]
    assert [step["name"] for step in turns] == ["highest", "three times"] * 2
    highest, overload, *_ = turns
    # Two workers with two joins a second each, for half a second.
    assert (ramp["offered"], ramp["joined"], ramp["failed"]) == (2, 2, {})
    assert overload["offered"] >= 1
    assert overload["rate"] > 2 * ramp["joins_per_second"]
    assert highest["rate"] == ramp["rate"]
    for step in result["steps"]:
        assert step["joined"] + step["busy"] == step["offered"]
        assert 0 < step["latency_ms"]["p50"] <= step["latency_ms"]["p99"]
        assert step["server_cpu_ms_per_join"] > 0
    goodput = [median(s["joins_per_second"] for s in half) for half in (turns[::2], turns[1::2])]
    assert result["joins_per_second"] == goodput[0]
    assert result["overload_goodput_share"] == goodput[1] / goodput[0]
    cost = median(step["server_cpu_ms_per_join"] for step in turns[::2])
    assert result["joins_per_server_cpu_second"] == 1000 / cost
    assert result["limited_by"] in ("server", "clients")


def test_a_share_that_cannot_be_given_is_named() -> None:
    command = [sys.executable, "-m", "benchmarks", "joins", "--rooms", "1", "--server-cpu", "0"]
    done = subprocess.run(
        command, timeout=120, cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "cannot be held to --server-cpu" in done.stderr
    assert "Traceback" not in done.stderr
