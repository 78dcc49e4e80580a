"""C programs over the headers of the data plane: two threads, and a kernel that fails on demand."""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
HEADERS = HERE.parents[1] / "router" / "_fastpath"
COMPILER = shutil.which("gcc") or shutil.which("cc")
WARNINGS = ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler")


def build(name: str, folder: Path, *flags: str) -> Path:
    """Compile ``name``.c; skip the test where the compiler lacks a sanitizer."""
    program = folder / name
    assert COMPILER is not None
    command = [COMPILER, *WARNINGS, *flags, f"-I{HEADERS}", str(HERE / f"{name}.c")]
    compiled = subprocess.run(
        [*command, "-o", str(program), "-lpthread"], capture_output=True, text=True
    )
    if "cannot find -l" in compiled.stderr or "unrecognized" in compiled.stderr:
        pytest.skip(f"this compiler cannot do {flags}")
    assert compiled.returncode == 0, compiled.stderr
    return program


def run(*command: str | Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_headers_compile_without_warnings(tmp_path: Path) -> None:
    run(build("headers", tmp_path, "-O2"))


def test_ring_loses_no_item_and_no_wakeup_between_threads(tmp_path: Path) -> None:
    assert run(build("ring_threads", tmp_path, "-O3")).startswith("200000 items")


def test_ring_has_no_data_race(tmp_path: Path) -> None:
    # ThreadSanitizer knows no fences; the ring's fence orders no data, only sleep and doorbell.
    program = build("ring_threads", tmp_path, "-O1", "-g", "-fsanitize=thread", "-Wno-tsan")
    # It does not cope with the address randomisation of newer kernels.
    assert run("setarch", platform.machine(), "-R", program).startswith("200000 items")


def test_udp_send_outlives_every_error(tmp_path: Path) -> None:
    sanitizers = "-fsanitize=address,undefined"
    program = build("udp_errors", tmp_path, "-O1", "-g", sanitizers, "-fno-sanitize-recover")
    assert run(program) == "ok\n"
