"""The scenario of audio, for a moment: everybody hears everyone."""

import json
import subprocess
import sys
from pathlib import Path


def test_each_packet_reaches_everybody_else(tmp_path: Path) -> None:
    path = tmp_path / "audio.json"
    command = [sys.executable, "-m", "benchmarks", "audio", "--talkers", "4", "--runs", "1"]
    command += ["--subscribers", "3", "--publishers", "1", "--frames-per-second", "10"]
    command += ["--seconds", "0.5", "--json", str(path)]
    subprocess.run(command, check=True, timeout=120, cwd=Path(__file__).parents[2])
    result = json.loads(path.read_text())
    (sound,), (video,) = result["audio"], result["video"]
    # 0.5 s of 50 packets a second, to three others each; and of 10 frames of 10 packets.
    assert sound["received"] == sound["expected"] >= 0.8 * 0.5 * 50 * 4 * 3
    assert video["received"] == video["expected"] >= 0.5 * 0.5 * 100 * 3
    ratio = sound["ns_per_forwarded_packet"] / video["ns_per_forwarded_packet"]
    assert abs(result["ratio_to_video"] - ratio) < 1e-9
    share = sound["generator_ns_per_packet"] / sound["ns_per_forwarded_packet"]
    assert abs(result["generator_share"] - share) < 1e-9
