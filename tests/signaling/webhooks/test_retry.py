import random

import pytest

from signaling.webhooks.retry import (
    DELAY_MAX,
    LIFETIME,
    Dead,
    Decision,
    Delivered,
    Failure,
    Outcome,
    Retry,
    decide,
)
from signaling.webhooks.target import Overrides


def decision(
    outcome: Outcome,
    attempts: int = 1,
    *,
    age: float = 0.0,
    overrides: Overrides = Overrides(),  # noqa: B008 - frozen
) -> Decision:
    return decide(
        outcome, attempts=attempts, age=age, overrides=overrides, rng=random.Random(attempts)
    )


DOWN = Outcome(failure=Failure.CONNECT)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    assert decision(Outcome(status=status)) == Delivered()


@pytest.mark.parametrize("status", [429, 500, 503, 599])
@pytest.mark.parametrize(("attempts", "delay"), [(1, 1.0), (2, 5.0), (3, 25.0)])
def test_first_retries_come_after_1_5_and_25_seconds(
    status: int, attempts: int, delay: float
) -> None:
    assert decision(Outcome(status=status), attempts) == Retry(delay=delay)
    assert decision(DOWN, attempts) == Retry(delay=delay)


def test_later_retries_back_off_with_jitter() -> None:
    delays = []
    for attempts in range(4, 60):
        made = decision(DOWN, attempts)
        assert isinstance(made, Retry)
        delays.append(made.delay)
    assert 100 <= delays[0] <= 150
    assert 500 <= delays[1] <= 750
    assert all(0.8 * DELAY_MAX <= delay <= 1.2 * DELAY_MAX for delay in delays[3:])
    assert len(set(delays)) == len(delays)
    assert decision(DOWN, 10**6) != Dead()


@pytest.mark.parametrize("status", [100, 301, 302, 307, 400, 401, 404, 410])
def test_what_the_receiver_does_not_want_is_dead_at_once(status: int) -> None:
    assert decision(Outcome(status=status)) == Dead()


def test_a_refused_target_is_dead_at_once() -> None:
    everything = Overrides(policies=frozenset({"4xx", "5xx", "ct", "rt"}))
    assert decision(Outcome(failure=Failure.REFUSED)) == Dead()
    assert decision(Outcome(failure=Failure.REFUSED), overrides=everything) == Dead()


def test_attempts_end_after_a_day_but_there_is_always_one() -> None:
    age, attempts = 0.0, 0
    while True:
        attempts += 1
        made = decision(DOWN, attempts, age=age)
        if made == Dead():
            break
        assert isinstance(made, Retry)
        age += made.delay
    assert age == pytest.approx(LIFETIME)
    assert 20 < attempts < 50
    assert decision(Outcome(status=200), 1, age=10 * LIFETIME) == Delivered()


def test_overrides_bound_the_retries() -> None:
    overrides = Overrides(retries=2)
    made = [type(decision(DOWN, n, overrides=overrides)) for n in (1, 2, 3)]
    assert made == [Retry, Retry, Dead]
    assert decision(DOWN, 1, overrides=Overrides(retries=0)) == Dead()


@pytest.mark.parametrize(
    ("policy", "retried"),
    [
        ("4xx", Outcome(status=404)),
        ("5xx", Outcome(status=500)),
        ("ct", Outcome(failure=Failure.CONNECT)),
        ("rt", Outcome(failure=Failure.READ)),
    ],
)
def test_overrides_say_what_is_retried(policy: str, retried: Outcome) -> None:
    overrides = Overrides(policies=frozenset({policy}))
    for outcome in (
        Outcome(status=404),
        Outcome(status=500),
        Outcome(failure=Failure.CONNECT),
        Outcome(failure=Failure.READ),
    ):
        made = decision(outcome, overrides=overrides)
        assert isinstance(made, Retry) is (outcome == retried)
