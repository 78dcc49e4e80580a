"""
Look for memory that data planes lose: ``python -m tests.native.run_leak_check [cycles]``.

Builds with the sanitizers, as ``run_sanitized.py`` does, and lets LeakSanitizer look at the end of
a process that made and closed planes. The interpreter and its libraries keep memory for good, so
only blocks count that were allocated in our extensions.
"""

import re
import subprocess
import sys

from .run_sanitized import TREE, build, sanitizer_environment

OURS = re.compile(r"^    #\d+ .*router/_fastpath/", re.MULTILINE)


def main(cycles: int) -> int:
    """Return 0 when nothing of ours is lost."""
    build()
    options = "detect_leaks=1:fast_unwind_on_malloc=0:malloc_context_size=12"
    done = subprocess.run(
        [sys.executable, "-m", "tests.native.leak_cycles", str(cycles)],
        cwd=TREE,
        env={**sanitizer_environment(), "ASAN_OPTIONS": options, "LSAN_OPTIONS": "exitcode=0"},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0 or "LeakSanitizer has encountered" in done.stderr:
        print(done.stdout, done.stderr)
        return 1
    leaks = re.split(r"\n(?=(?:Direct|Indirect) leak of)", done.stderr)[1:]
    ours = [leak for leak in leaks if OURS.search(leak)]
    print(f"{len(ours)} of {len(leaks)} blocks that were lost are ours")
    print("\n".join(ours))
    return 1 if ours else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
