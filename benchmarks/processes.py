"""What the kernel says of a process: CPU time of its threads, memory."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
"""
Command prefix: the kernel kills the process when the thread that starts it ends, however that is.

It executes the command in its own place. Start it from the main thread.
"""
PLANE = "plane-"
"""Names of the data plane's threads begin so."""


@dataclass(frozen=True, slots=True)
class CpuTime:
    """CPU time, user and kernel, in nanoseconds."""

    plane: int
    """Of the data plane's threads."""
    process: int
    """Of all threads."""

    def since(self, before: "CpuTime") -> "CpuTime":
        """Return what was used in between."""
        return CpuTime(self.plane - before.plane, self.process - before.process)


def cpu_time(pid: int) -> CpuTime:
    """Return what a process's threads have used. :raises OSError: when it has gone."""
    plane = process = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            spent = int((task / "schedstat").read_text().split()[0])
            name = (task / "comm").read_text()
        except FileNotFoundError:
            continue  # The thread has ended meanwhile.
        process += spent
        if name.startswith(PLANE):
            plane += spent
    return CpuTime(plane, process)


def resident_bytes(pid: int) -> int:
    """Return the resident set of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def kept_off(processors: Iterable[int]) -> Iterator[None]:
    """Keep all threads of this process off these processors, if it may use others."""
    before = os.sched_getaffinity(0)
    others = before - set(processors)
    if not others:
        yield
        return
    _move(others)
    try:
        yield
    finally:
        _move(before)


def _move(processors: set[int]) -> None:
    for task in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(task), processors)
