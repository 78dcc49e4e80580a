"""
How far the event loop is behind, and whether newcomers shall wait for that.

All signaling, handshakes and records share one thread. When more arrives than it can serve, each
turn of the loop gets longer, so a probe that is due at a known time runs late by as much as
everything else does. One late probe is a pause; several in a row are an overload.
"""

import asyncio
import time
from collections.abc import Callable

PROBE_INTERVAL = 0.05
"""Seconds from one probe to the next."""
PROBES = 2
"""So many probes in a row must be late before newcomers are turned away."""


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

    @property
    def is_too_high(self) -> bool:
        """Whether newcomers shall be told to come back later."""
        return self._late >= PROBES

    def probe(self, now: float, due_at: float) -> None:
        """Take note that a probe which was due at one time ran at another."""
        self.lag = max(0.0, now - due_at)
        # One that is on time ends it at once: the work that had piled up is done.
        self._late = self._late + 1 if 0 < self._limit < self.lag else 0

    def _fired(self) -> None:
        self.probe(self._monotonic(), self._due_at)
        self.start()
