"""Ids of the data plane: unique while live, never zero, generations that grow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import DataPlaneError
from router.plane.ids import INDEX_MASK, RESTING, IdPool


@given(st.lists(st.booleans(), max_size=200))
def test_live_ids_never_collide_and_released_ids_never_return_at_once(steps: list[bool]) -> None:
    pool = IdPool(8)
    live: list[int] = []
    ever: set[int] = set()
    for acquire in steps:
        if acquire and len(live) < 8:
            identifier = pool.acquire()
            assert identifier not in ever
            assert identifier != 0
            assert identifier & INDEX_MASK not in {other & INDEX_MASK for other in live}
            live.append(identifier)
            ever.add(identifier)
        elif live:
            pool.release(live.pop(0))
        assert len(pool) == len(live)


def test_a_full_pool_refuses() -> None:
    pool = IdPool(2)
    pool.acquire()
    pool.acquire()
    with pytest.raises(DataPlaneError):
        pool.acquire()


def test_a_few_who_come_and_go_use_few_indexes() -> None:
    pool = IdPool(4096)
    indexes = set()
    for _ in range(10_000):
        identifiers = [pool.acquire() for _ in range(3)]
        indexes |= {identifier & INDEX_MASK for identifier in identifiers}
        for identifier in identifiers:
            pool.release(identifier)
    assert len(indexes) <= RESTING + 3
