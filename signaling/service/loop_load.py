"""
How far the event loop is behind, and whether newcomers shall wait for that.

All signaling, handshakes and records share one thread. When more arrives than it can serve, each
turn of the loop gets longer, so a probe that is due at a known time runs late by as much as
everything else does. One late probe is a pause; several in a row are an overload.

A join takes many turns of the loop. So when those under way keep the loop from being on time at
all, more of them at once would only make each take longer, and nobody would be done sooner.
"""

import asyncio
import time
from collections.abc import Callable, Hashable

PROBE_INTERVAL = 0.05
"""Seconds from one probe to the next."""
PROBES = 2
"""So many probes in a row must be late before newcomers are turned away."""
SATURATED_LAG = 0.015
"""Seconds, smoothed, from which the loop is taken to have work all the time."""
SMOOTHING = 0.2
"""Weight of the last probe."""
JOINS_AT_ONCE = 80
"""Joins under way that keep a loop at work: while it has work all the time, no more may begin."""
JOIN_SECONDS = 5.0
"""For which a join counts as under way: some clients begin and then say nothing."""


class LoopLoad:
    """
    Measures the loop that it was started on.

    :param limit: Seconds by which a probe may be late; 0: never too late.
    :param monotonic: Seconds that never jump.
    """

    def __init__(self, *, limit: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._due_at = 0.0
        self._late = 0
        self._timer: asyncio.TimerHandle | None = None
        self.lag = 0.0
        """Seconds by which the last probe was late."""
        self._smoothed = 0.0
        self._joins: dict[Hashable, float] = {}

    def start(self) -> None:
        """Begin to measure, on the running loop."""
        self._due_at = self._monotonic() + PROBE_INTERVAL
        self._timer = asyncio.get_running_loop().call_later(PROBE_INTERVAL, self._fired)

    def close(self) -> None:
        """Stop measuring; nobody is turned away any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._late = 0
        self._smoothed = 0.0

    @property
    def is_too_high(self) -> bool:
        """Whether newcomers shall be told to come back later."""
        if self._late >= PROBES:
            return True
        return self._limit > 0 and self._smoothed > SATURATED_LAG and self.joins >= JOINS_AT_ONCE

    @property
    def joins(self) -> int:
        """Joins under way: let begin, and neither done nor given up."""
        oldest = self._monotonic() - JOIN_SECONDS
        # In the order in which they began.
        while self._joins and (first := next(iter(self._joins.items())))[1] < oldest:
            del self._joins[first[0]]
        return len(self._joins)

    def join_begins(self, key: Hashable) -> None:
        """Take note that a join was let begin."""
        self._joins[key] = self._monotonic()

    def join_ends(self, key: Hashable) -> None:
        """Take note that a join is done, or given up; repeated calls change nothing."""
        self._joins.pop(key, None)

    def probe(self, now: float, due_at: float) -> None:
        """Take note that a probe which was due at one time ran at another."""
        self.lag = max(0.0, now - due_at)
        self._smoothed += SMOOTHING * (self.lag - self._smoothed)
        # One that is on time ends it at once: the work that had piled up is done.
        self._late = self._late + 1 if 0 < self._limit < self.lag else 0

    def _fired(self) -> None:
        self.probe(self._monotonic(), self._due_at)
        self.start()
