"""The two clocks that the service reads; tests bring their own."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the service's time comes from."""

    def monotonic(self) -> float:
        """Return seconds that never jump, for timers."""

    def utc_now(self) -> datetime:
        """Return the aware UTC time, for records."""


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        """Return CLOCK_MONOTONIC in seconds; ``loop.time()`` is too coarse under uvloop."""
        return time.monotonic()

    def utc_now(self) -> datetime:
        """Return the time of day in UTC."""
        return datetime.now(UTC)
