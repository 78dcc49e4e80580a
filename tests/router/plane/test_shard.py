"""Sharing out planes: groups stay together, and never on a plane that has stopped."""

from collections.abc import Iterator

import pytest

from router.errors import DataPlaneError
from router.plane.shard import PlaneCapacity, PlaneShards


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
