"""Everything that reads what strangers send, with far more examples than CI has time for."""

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PROPERTIES = "any_ or mangled or mutated or broken"
"""Parts of the names of such tests."""


def test_parsers_take_or_refuse_whatever_comes() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "tests/router", "-q", "-k", PROPERTIES),
            *("-m", "not browser and not interop and not acceptance"),
        ],
        cwd=CHECKOUT,
        env={**os.environ, "HYPOTHESIS_PROFILE": "nightly"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
