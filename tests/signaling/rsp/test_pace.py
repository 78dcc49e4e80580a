"""How fast one client's messages are taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.rsp.pace import BURST_SECONDS, UNIT_BYTES, Pace


def test_burst_is_free_and_what_follows_comes_at_the_rate() -> None:
    pace = Pace(10.0)
    assert [pace.spend(0, 5.0) for _ in range(100)] == [0.0] * 100
    assert pace.spend(0, 5.0) == pytest.approx(0.1)
    assert pace.spend(0, 5.1) == pytest.approx(0.1)
    # After a pause there is a whole burst again, and no more.
    later = 5.0 + 10 * BURST_SECONDS
    assert [pace.spend(0, later) for _ in range(100)] == [0.0] * 100
    assert pace.spend(0, later) == pytest.approx(0.1)


def test_long_messages_cost_more() -> None:
    pace = Pace(10.0)
    assert pace.spend(99 * UNIT_BYTES, 5.0) == 0.0
    assert pace.spend(9 * UNIT_BYTES, 5.0) == pytest.approx(1.0)


def test_zero_sets_no_limit() -> None:
    pace = Pace(0.0)
    assert all(pace.spend(1 << 20, 5.0) == 0.0 for _ in range(1000))


@given(
    rate=st.floats(0.1, 1000),
    lengths=st.lists(st.integers(0, 1 << 20), max_size=50),
)
def test_whoever_waits_as_told_never_exceeds_burst_and_rate(
    rate: float, lengths: list[int]
) -> None:
    pace, now, spent = Pace(rate), 0.0, 0.0
    for length in lengths:
        spent += 1.0 + length / UNIT_BYTES
        now += pace.spend(length, now)
        assert spent <= rate * (BURST_SECONDS + now) * (1 + 1e-9) or now == 0.0
