"""What a figure was measured on."""

import os
import platform
import subprocess
from pathlib import Path

from router._fastpath import cpu, srtp


def describe() -> dict[str, object]:
    """Return machine, kernel, processor features, Python, commit and the kernels in use."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "processor": model,
        "processors": os.cpu_count(),
        "features": list(cpu.features()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": commit or None,
        "srtp_kernels": srtp.kernels(),
    }
