"""The scenario of memory, for a few participants."""

import json
import subprocess
import sys
from pathlib import Path


def test_participants_and_subscriptions_take_memory(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    command = [sys.executable, "-m", "benchmarks", "memory", "--participants", "40"]
    command += ["--per-room", "10", "--workers", "1", "--settle", "0.5", "--json", str(path)]
    subprocess.run(command, check=True, timeout=120, cwd=Path(__file__).parents[2])
    result = json.loads(path.read_text())
    assert (result["participants"], result["rooms"], result["subscriptions"]) == (40, 4, 80)
    resident = result["resident_bytes"]
    assert 0 < resident["empty"] < resident["idle"] < resident["subscribed"]
    assert result["resident_bytes_per_participant"] == (resident["idle"] - resident["empty"]) / 40
    # A slot is some hundred bytes, and a subscriber has its keys of 2,560 bytes beside it.
    assert result["native_bytes_per_subscription"] > 100
    assert result["native_bytes_of_first_subscription"] > 2560
