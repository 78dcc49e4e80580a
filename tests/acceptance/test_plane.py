"""The data plane under random histories: with new seeds each time, and under the sanitizers."""

import os
import random
import resource
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest

from tests.router.fastpath import chaos

CHECKOUT = Path(__file__).resolve().parents[2]
STEPS = 2000
SANITIZED_SECONDS = 60


def test_random_histories_break_nothing_and_keep_nothing(seconds: float) -> None:
    """A failure names its seed; ``chaos.run(seed, steps)`` repeats it."""
    seed = random.SystemRandom().getrandbits(48)
    chaos.run(seed, STEPS)
    after_first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    end = monotonic() + seconds
    rounds = 0
    while monotonic() < end:
        rounds += 1
        chaos.run(seed + rounds, STEPS)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - after_first
    # One plane has some 40 MiB; a peak may hold two, and one keeps what Python keeps.
    assert grown < 100 << 10, f"{rounds} planes made the process grow by {grown} KiB"


@pytest.mark.skipif(
    "libasan" in os.environ.get("LD_PRELOAD", ""), reason="runs under the sanitizers already"
)
def test_random_histories_under_the_sanitizers() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "tests/native/run_sanitized.py",
            "tests/acceptance/test_plane.py",
            "-q",
            "-k",
            "break_nothing",
        ],
        cwd=CHECKOUT,
        env={**os.environ, "PARLOUR_ACCEPTANCE_SECONDS": str(SANITIZED_SECONDS)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def test_planes_that_are_made_and_closed_leak_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.native.run_leak_check"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
