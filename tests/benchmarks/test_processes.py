"""What a benchmark does to its own process."""

import os
import threading

from benchmarks.processes import kept_off


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
