"""When newcomers are told to come back later, because the event loop is behind."""

import asyncio
import time

from signaling.service.loop_load import PROBE_INTERVAL, LoopLoad


def test_one_late_probe_is_a_pause_and_two_are_too_much() -> None:
    load = LoopLoad(limit=0.25)
    load.probe(now=10.3, due_at=10.0)
    after_one = load.is_too_high
    load.probe(now=10.6, due_at=10.3)
    assert (after_one, load.is_too_high) == (False, True)
    assert 0.29 < load.lag < 0.31


def test_a_probe_in_time_ends_it() -> None:
    load = LoopLoad(limit=0.25)
    for _ in range(5):
        load.probe(now=10.3, due_at=10.0)
    load.probe(now=10.25, due_at=10.0)
    assert not load.is_too_high
    load.probe(now=10.3, due_at=10.0)
    assert not load.is_too_high


def test_without_a_limit_nothing_is_too_much() -> None:
    load = LoopLoad(limit=0)
    for _ in range(5):
        load.probe(now=20.0, due_at=10.0)
    assert not load.is_too_high
    assert load.lag == 10.0


async def test_a_loop_that_is_kept_busy_is_seen_and_so_is_its_end() -> None:
    load = LoopLoad(limit=0.01)
    load.start()
    loop = asyncio.get_running_loop()
    found: asyncio.Future[float] = loop.create_future()
    ended: asyncio.Future[bool] = loop.create_future()

    def work() -> None:
        # Longer than the probes are apart.
        until = time.monotonic() + 3 * PROBE_INTERVAL
        while time.monotonic() < until:
            pass
        if load.is_too_high:
            found.set_result(load.lag)
            loop.call_later(PROBE_INTERVAL, rest)
        else:
            loop.call_soon(work)

    def rest() -> None:
        if load.is_too_high:
            loop.call_later(PROBE_INTERVAL, rest)
        else:
            ended.set_result(True)

    loop.call_soon(work)
    async with asyncio.timeout(20):
        assert await found > 0.01
        assert await ended
    load.close()


async def test_once_closed_nobody_is_turned_away() -> None:
    load = LoopLoad(limit=0.1)
    load.start()
    for _ in range(2):
        load.probe(now=2.0, due_at=1.0)
    assert load.is_too_high
    load.close()
    assert not load.is_too_high
