"""
Run tests against the sanitizer build: ``python tests/native/run_sanitized.py [pytest arguments]``.

Builds everything with ``ROUTER_DEBUG=1`` into ``build/debug/tree``, beside the release build,
copies the tests next to it and runs pytest there with AddressSanitizer loaded first. Python's own
allocator is switched off, so that an overrun of a bytes object is found too. Leak detection is off:
the interpreter keeps memory until it ends.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
TREE = CHECKOUT / "build" / "debug" / "tree"
DEFAULT_TESTS = ["tests/router/fastpath", "tests/benchmarks/engine", "-q", "-m", "not acceptance"]


def build() -> None:
    environment = {**os.environ, "ROUTER_DEBUG": "1"}
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build", "--build-lib", str(TREE)],
        cwd=CHECKOUT,
        env=environment,
        check=True,
    )
    shutil.rmtree(TREE / "tests", ignore_errors=True)
    shutil.copytree(
        CHECKOUT / "tests", TREE / "tests", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(
        CHECKOUT / "benchmarks",
        TREE / "benchmarks",
        ignore=shutil.ignore_patterns("__pycache__", "*.so"),
        dirs_exist_ok=True,
    )
    shutil.copy(CHECKOUT / "pyproject.toml", TREE)
    ensure = "from benchmarks.compiled import ensure_built; ensure_built('benchmarks.engine')"
    subprocess.run([sys.executable, "-c", ensure], cwd=TREE, env=environment, check=True)


def library(name: str) -> str:
    compiler = os.environ.get("CC", "gcc")
    found = subprocess.run(
        [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


def sanitizer_environment() -> dict[str, str]:
    environment = {
        **os.environ,
        "LD_PRELOAD": f"{library('libasan.so')} {library('libubsan.so')}",
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "PYTHONMALLOC": "malloc",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment.pop("PYTHONPATH", None)
    return environment


def main(arguments: list[str]) -> int:
    build()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    return subprocess.call(
        [*command, *(arguments or DEFAULT_TESTS)], cwd=TREE, env=sanitizer_environment()
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
