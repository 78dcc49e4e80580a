"""
The physical limit: a C program that does nothing but the fan-out, as fast as this machine can.

It is built with gcc on first use, into ``build/limit``, and needs AVX-512 with VAES.
"""

import shutil
import subprocess
from pathlib import Path

from router._fastpath import cpu

FOLDER = Path(__file__).parent
FIRST_SSRC = 1000
"""SSRC of the first publisher; the others count up."""
_NEEDED = {"vaes", "vpclmulqdq", "avx512f", "avx512bw", "avx512vl"}


def is_supported() -> bool:
    """Tell whether the program can be built and run here."""
    return shutil.which("gcc") is not None and set(cpu.features()) >= _NEEDED


def build() -> Path:
    """Return the program, built anew when its source is newer."""
    program = FOLDER.parents[1] / "build" / "limit" / "limit"
    sources = sorted(FOLDER.glob("*.[ch]"))
    if not program.exists() or any(s.stat().st_mtime > program.stat().st_mtime for s in sources):
        program.parent.mkdir(parents=True, exist_ok=True)
        command = ["gcc", "-O3", "-march=native", "-o", str(program), str(FOLDER / "limit.c")]
        subprocess.run(command, check=True)
    return program


def publisher_key(index: int) -> tuple[bytes, bytes]:
    """Return SRTP session key (16 bytes) and salt (12 bytes) of a publisher: GCM in all runs."""
    key = bytes((101 + index * 7 + j * 13 + (index >> 5)) & 0xFF for j in range(16))
    return key, bytes((31 + index * 3 + j * 29) & 0xFF for j in range(12))
