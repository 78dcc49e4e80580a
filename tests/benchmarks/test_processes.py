"""What a benchmark does to its own process and others."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from benchmarks.processes import cpu_time, held_to, kept_off


def test_all_threads_keep_off_and_come_back() -> None:
    before = os.sched_getaffinity(0)
    last = max(before)
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    assert other.native_id is not None
    try:
        with kept_off([last]):
            expected = before - {last} or before  # whoever has one processor stays there
            assert os.sched_getaffinity(0) == os.sched_getaffinity(other.native_id) == expected
        assert os.sched_getaffinity(0) == os.sched_getaffinity(other.native_id) == before
        with kept_off(before):
            assert os.sched_getaffinity(0) == before
    finally:
        done.set()
        other.join()


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a control group")
def test_a_process_gets_no_more_than_its_share_and_then_all_again() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            time.sleep(0.2)
            with held_to(busy.pid, 0.25):
                held = share_of_a_second(busy.pid)
            free = share_of_a_second(busy.pid)
        finally:
            busy.kill()
    assert 0.05 < held < 0.4
    assert free > 1.3 * held


def share_of_a_second(pid: int) -> float:
    before = cpu_time(pid)
    started = time.monotonic()
    time.sleep(1.0)
    return cpu_time(pid).since(before).process / 1e9 / (time.monotonic() - started)


def test_a_process_that_has_gone_cannot_be_held() -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    with pytest.raises(OSError, match=r"No such process|denied|Read-only"), held_to(ended.pid, 0.5):
        pass
    assert not list(Path("/sys/fs/cgroup").glob(f"**/parlour-benchmark-{os.getpid()}"))
