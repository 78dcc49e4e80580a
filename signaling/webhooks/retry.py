"""What follows from an attempt to deliver: done, again later, or given up. No clock, no I/O."""

import random
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from .target import Overrides

FIRST_DELAYS = (1.0, 5.0, 25.0)
"""Seconds before the first retries, exactly."""
BACK_OFF = 5.0
"""Each further delay is so many times the one before."""
DELAY_MAX = 3600.0
"""Seconds."""
JITTER = 0.2
"""The later delays vary by this part, so that receivers that come back are not stampeded."""
LIFETIME = 86_400.0
"""Seconds from an event to the last attempt to deliver it, unless it never had one."""


class Failure(Enum):
    """Why there was no answer."""

    CONNECT = "ct"
    """No connection, within the time for that or at all."""
    READ = "rt"
    """No answer in time, or one that is no HTTP."""
    REFUSED = "refused"
    """The target may not be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt ended: a status or a failure."""

    status: int | None = None
    failure: Failure | None = None
    text: str = ""
    """For the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The receiver has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """The next attempt shall come."""

    delay: float
    """Seconds from now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """There are no more attempts."""


Decision: TypeAlias = Delivered | Retry | Dead


def decide(
    outcome: Outcome, *, attempts: int, age: float, overrides: Overrides, rng: random.Random
) -> Decision:
    """
    Return what follows from an attempt.

    :param attempts: How many there were, this one included.
    :param age: Seconds since the event.
    """
    if outcome.status is not None and 200 <= outcome.status < 300:
        return Delivered()
    if not _may_retry(outcome, overrides.policies):
        return Dead()
    if overrides.retries is not None and attempts > overrides.retries:
        return Dead()
    if age >= LIFETIME:
        return Dead()
    return Retry(delay=min(_delay(attempts, rng), LIFETIME - age))


def is_slow(outcome: Outcome) -> bool:
    """Tell whether the receiver holds those up who call it."""
    return outcome.failure in (Failure.CONNECT, Failure.READ)


def _may_retry(outcome: Outcome, policies: frozenset[str] | None) -> bool:
    if outcome.failure is not None:
        if outcome.failure is Failure.REFUSED:
            return False
        return policies is None or outcome.failure.value in policies
    status = outcome.status or 0
    if policies is None:
        return status >= 500 or status == 429
    return f"{status // 100}xx" in policies


def _delay(attempts: int, rng: random.Random) -> float:
    if attempts <= len(FIRST_DELAYS):
        return FIRST_DELAYS[attempts - 1]
    # The exponent is bounded, since a float is.
    exponent = min(attempts - len(FIRST_DELAYS), 20)
    delay = min(FIRST_DELAYS[-1] * BACK_OFF**exponent, DELAY_MAX)
    return delay * rng.uniform(1.0 - JITTER, 1.0 + JITTER)
