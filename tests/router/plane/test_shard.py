"""Sharing out planes: groups stay together, and never on a plane that has stopped."""

import os
from collections.abc import Iterator

import pytest

from router.errors import DataPlaneError
from router.plane.shard import SPREAD_LEAST, PlaneCapacity, PlaneShard, PlaneShards


@pytest.fixture
def shards() -> Iterator[PlaneShards]:
    """Two planes without threads."""
    made = PlaneShards(
        count=2,
        address="127.0.0.1",
        base_port=0,
        receive_buffer=1 << 16,
        send_buffer=1 << 16,
        capacity=PlaneCapacity(transports=8, streams=8, slots=8),
        on_failure=lambda shard, error: None,
    )
    yield made
    made.stop()


def test_groups_stay_together_and_are_spread(shards: PlaneShards) -> None:
    first = shards.acquire("a")
    assert shards.acquire("b") is not first
    assert shards.acquire("a") is first
    for _ in range(2):
        shards.release(first, "a")
    assert first.load == 0


def test_plane_that_stopped_takes_nobody_in(shards: PlaneShards) -> None:
    dead = shards.acquire("a")
    assert shards.acquire("a") is dead
    dead.failure = OSError("gone")
    alive = shards.acquire("b")
    assert alive is not dead
    # The group begins anew elsewhere, while it still has peers where it was.
    assert shards.acquire("a") is alive
    assert shards.acquire("a") is alive
    for _ in range(2):
        shards.release(dead, "a")
        shards.release(alive, "a")
    shards.release(alive, "b")
    assert dead.load == alive.load == 0
    alive.failure = OSError("gone too")
    with pytest.raises(DataPlaneError):
        shards.acquire("c")


def counts(shards: PlaneShards, group: str) -> list[int]:
    return [shard.groups.get(group, 0) for shard in shards]


def new_shards(count: int, spread_peers: int, processors: tuple[int, ...] = ()) -> PlaneShards:
    return PlaneShards(
        count=count,
        address="127.0.0.1",
        base_port=0,
        receive_buffer=1 << 16,
        send_buffer=1 << 16,
        capacity=PlaneCapacity(transports=8, streams=8, slots=8),
        on_failure=lambda shard, error: None,
        spread_peers=spread_peers,
        processors=processors,
    )


def work(shard: PlaneShard, share: float) -> None:
    """Let the plane look as busy as that."""
    shard.plane.look_at_load(0, busy_us=round(share * 1_000_000), length_us=1_000_000)


def test_group_of_many_peers_spreads_and_fills_up_evenly() -> None:
    shards = new_shards(3, 20)
    for _ in range(20):
        shards.acquire("a")
    assert sorted(counts(shards, "a")) == [0, 0, 20]
    for _ in range(25):
        shards.acquire("a")
    assert sorted(counts(shards, "a")) == [5, 20, 20]
    for _ in range(60):
        shards.acquire("a")
    assert sorted(counts(shards, "a")) == [35, 35, 35]
    shards.stop()


def test_group_leaves_a_busy_plane_alone_once_it_is_large() -> None:
    shards = new_shards(2, 100)
    home, other = shards
    for _ in range(SPREAD_LEAST - 1):
        assert shards.acquire("a") is home
    work(home, 0.9)
    assert shards.acquire("a") is home
    assert shards.acquire("a") is other
    work(other, 0.95)  # no better
    work(home, 0.8)
    assert shards.acquire("a") is other  # few of the group are there
    assert shards.acquire("b") is other  # as busy in quarters, and fewer peers
    work(home, 0.5)
    assert shards.acquire("c") is home
    shards.stop()


def test_without_a_limit_only_a_busy_plane_is_left() -> None:
    shards = new_shards(2, 0)
    for _ in range(300):
        shards.acquire("a")
    assert sorted(counts(shards, "a")) == [0, 300]
    shards.stop()


def test_threads_stay_on_their_processors() -> None:
    usable = sorted(os.sched_getaffinity(0))
    shards = new_shards(3, 0, processors=(usable[-1], usable[0]))
    shards.start()
    try:
        for shard, expected in zip(shards, (usable[-1], usable[0], usable[-1]), strict=True):
            assert shard.thread is not None
            assert shard.thread.native_id is not None
            assert os.sched_getaffinity(shard.thread.native_id) == {expected}
        assert os.sched_getaffinity(0) == set(usable)
    finally:
        shards.stop()
