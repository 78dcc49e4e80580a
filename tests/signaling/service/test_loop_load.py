"""When newcomers are told to come back later, because the event loop is behind."""

import asyncio
import time

from signaling.service.loop_load import JOIN_SECONDS, JOINS_AT_ONCE, PROBE_INTERVAL, LoopLoad


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


def turns_away(load: LoopLoad) -> bool:
    return load.is_too_high


def saturated(load: LoopLoad) -> None:
    """Let the loop be late all the time, if far from the limit."""
    for _ in range(20):
        load.probe(now=10.03, due_at=10.0)


def test_a_loop_that_has_work_all_the_time_takes_no_more_joins_than_keep_it_at_work() -> None:
    load = LoopLoad(limit=0.25)
    for join in range(JOINS_AT_ONCE):
        assert not turns_away(load)
        load.join_begins(join)
    assert not turns_away(load)  # it has time
    saturated(load)
    assert turns_away(load)
    load.join_ends(0)
    load.join_ends(0)
    assert not turns_away(load)
    load.join_begins(JOINS_AT_ONCE)
    assert turns_away(load)
    for _ in range(20):
        load.probe(now=10.0, due_at=10.0)
    assert not turns_away(load)


def test_who_begins_to_join_and_says_nothing_more_keeps_nobody_out_for_long() -> None:
    now = 1.0
    load = LoopLoad(limit=0.25, monotonic=lambda: now)
    for join in range(2 * JOINS_AT_ONCE):
        load.join_begins(join)
    saturated(load)
    assert turns_away(load)
    now += JOIN_SECONDS + 0.1
    assert (turns_away(load), load.joins) == (False, 0)


def test_without_a_limit_any_number_may_join_at_once() -> None:
    load = LoopLoad(limit=0)
    for join in range(2 * JOINS_AT_ONCE):
        load.join_begins(join)
    saturated(load)
    assert not turns_away(load)
