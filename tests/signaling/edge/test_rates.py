import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.edge.limits import EdgeLimits, LimitSettings
from signaling.edge.rates import RateLimiter

STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.floats(0, 5, allow_nan=False)), min_size=1, max_size=80
)


def test_a_full_bucket_is_a_burst_and_refills_at_the_rate() -> None:
    limiter = RateLimiter(rate=2.0, burst=3)
    assert [limiter.take("a", 0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limiter.take("a", 0.0) == pytest.approx(0.5)
    # Being refused costs nothing.
    assert limiter.take("a", 0.49) == pytest.approx(0.01)
    assert limiter.take("a", 0.51) == 0.0
    assert limiter.take("b", 0.51) == 0.0
    assert [limiter.take("a", 60.0) for _ in range(4)] == [0.0, 0.0, 0.0, pytest.approx(0.5)]


@given(STEPS, st.floats(0.1, 10), st.integers(1, 5))
def test_agrees_with_a_plain_bucket(
    steps: list[tuple[str, float]], rate: float, burst: int
) -> None:
    limiter = RateLimiter(rate=rate, burst=burst)
    buckets: dict[str, tuple[float, float]] = {}
    now = 0.0
    for key, passed in steps:
        now += passed
        tokens, at = buckets.get(key, (float(burst), now))
        tokens = min(float(burst), tokens + (now - at) * rate)
        if abs(tokens - 1.0) < 1e-6:
            # Too close for floats to agree on.
            return
        assert (limiter.take(key, now) == 0.0) == (tokens >= 1.0)
        buckets[key] = (tokens - 1.0 if tokens >= 1.0 else tokens, now)


def test_the_table_is_bounded_and_forgets_who_was_seen_longest_ago() -> None:
    limiter = RateLimiter(rate=0.001, burst=1, keys_max=100)
    for number in range(1000):
        assert limiter.take(str(number), 0.0) == 0.0
        limiter.spend("often", 0.0)
    assert len(limiter) == 100
    assert limiter.wait("often", 0.0) > 0
    assert limiter.wait("999", 0.0) > 0
    assert limiter.wait("0", 0.0) == 0.0


def test_a_debt_is_bounded() -> None:
    limiter = RateLimiter(rate=1.0, burst=10)
    for _ in range(10_000):
        limiter.spend("a", 0.0)
    assert limiter.wait("a", 0.0) <= 11.0


def test_no_rate_is_no_limit() -> None:
    limiter = RateLimiter(rate=0.0, burst=0.0)
    assert all(limiter.take("a", 0.0) == 0.0 for _ in range(1000))
    assert len(limiter) == 0


def test_refused_logins_close_the_door_for_an_address_alone() -> None:
    now = 0.0
    limits = EdgeLimits(LimitSettings(refused_logins_per_minute=6), monotonic=lambda: now)
    for _ in range(6):
        assert limits.admit_login("192.0.2.1") == 0.0
        limits.login_refused("192.0.2.1")
    assert limits.admit_login("192.0.2.1") == pytest.approx(10.0)
    assert limits.admit_login("192.0.2.2") == 0.0
    now = 10.1
    assert limits.admit_login("192.0.2.1") == 0.0
    assert +limits.refusals == {"login": 1}


def test_an_ipv6_subscriber_has_one_bucket() -> None:
    limits = EdgeLimits(LimitSettings(joins_per_minute=1), monotonic=lambda: 0.0)
    assert limits.admit_join("2001:db8:0:1::1") == 0.0
    assert limits.admit_join("2001:db8:0:1:ffff::9%eth0") > 0
    assert limits.admit_join("2001:db8:0:2::1") == 0.0
    assert limits.admit_join("::ffff:192.0.2.1") == 0.0
    assert limits.admit_join("192.0.2.1") > 0
