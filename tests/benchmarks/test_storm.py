"""The scenario of storms, for a moment."""

import json
import subprocess
import sys
from pathlib import Path


def test_what_is_lost_is_repaired_and_requests_are_answered(tmp_path: Path) -> None:
    path = tmp_path / "storm.json"
    command = [sys.executable, "-m", "benchmarks", "storm", "--publishers", "1", "--runs", "1"]
    command += ["--subscribers", "4", "--frames-per-second", "20", "--seconds", "1"]
    command += ["--stun-per-second", "20", "--json", str(path)]
    subprocess.run(command, check=True, timeout=120, cwd=Path(__file__).parents[2])
    result = json.loads(path.read_text())
    assert set(result["ratio_to_clean"]) == {"loss", "stun"}
    (clean,), (loss,), (stun,) = (result["runs"][name] for name in ("clean", "loss", "stun"))
    assert (clean["received"], clean["dropped"]) == (clean["expected"], 0)
    # 4 subscribers x 250 packets; a third is dropped, and nearly all of it made good.
    assert loss["dropped"] > 100
    assert loss["recovered"] > 50
    assert loss["received"] >= 0.9 * loss["expected"] - 50
    # 4 subscribers x 20 requests.
    assert stun["stun_answered"] >= 20
    # An answer to what each participant had asked when the window began may be counted within it.
    assert stun["stun_answered"] <= stun["stun_sent"] + 5
