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
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_PERIOD_US = 20_000


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
def held_to(pid: int, processors: float) -> Iterator[None]:
    """
    Give a process no more CPU time than that of so many processors: a control group of its own.

    :raises OSError: without the rights to make one.
    """
    first_version = _CONTROL_GROUPS / "cpu"
    parent = first_version if first_version.is_dir() else _CONTROL_GROUPS
    group = parent / f"parlour-benchmark-{os.getpid()}"
    group.mkdir()
    try:
        quota_us = round(processors * _PERIOD_US)
        if parent == first_version:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota_us))
        else:
            (group / "cpu.max").write_text(f"{quota_us} {_PERIOD_US}")
        (group / "cgroup.procs").write_text(str(pid))
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                (parent / "cgroup.procs").write_text(str(pid))
    finally:
        group.rmdir()


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
