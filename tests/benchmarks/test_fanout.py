"""The fan-out scenario measures a real server, and what it samples is what was sent."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.load.bursts import FeedbackBody
from router.rtp import parse_compound, parse_transport_cc


@pytest.mark.parametrize(("suite", "nic"), [("gcm", "segmenting"), ("cm", "software")])
def test_a_short_run(tmp_path: Path, suite: str, nic: str) -> None:
    result = tmp_path / "fanout.json"
    command = [sys.executable, "-m", "benchmarks", "fanout", "--subscribers", "4"]
    command += ["--publishers", "2", "--seconds", "1", "--frames-per-second", "20"]
    command += ["--suite", suite, "--nic", nic, "--json", str(result)]
    subprocess.run(command, timeout=120, check=True)
    found = json.loads(result.read_text())
    assert found["suite"] == suite
    assert found["nic"] == (nic if os.geteuid() == 0 else "loopback")
    # 40 frames of 5 packets or more, each opened with libsrtp and compared.
    assert found["sampled_packets"] >= 150
    assert found["loss"] == 0
    assert 0 < found["ns_per_forwarded_packet"] <= found["process_ns_per_forwarded_packet"]
    assert found["forwarded_packets_per_cpu_second"] > 0
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]
    if found["limit_ns_per_forwarded_packet"] is not None:
        ratio = found["ns_per_forwarded_packet"] / found["limit_ns_per_forwarded_packet"]
        assert found["ratio_to_limit"] == pytest.approx(ratio)


def test_feedback_for_the_dropped_says_that_all_arrived() -> None:
    ticks = [256_000 + 3 * n for n in range(9000)]
    packet = FeedbackBody(ticks).packet(sender_ssrc=1, media_ssrc=2, base=65_000, number=258)
    (parsed,) = (parse_transport_cc(one) for one in parse_compound(packet))
    arrivals = [at for _, at in parsed.arrivals()]
    assert arrivals == ticks
    assert (parsed.base_sequence_number, parsed.feedback_count) == (65_000, 2)
