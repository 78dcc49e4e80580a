"""Frames of several publishers, evenly spread in time."""

import time
from collections.abc import Callable, Sequence

_BURST_AFTER = 0.05
"""Seconds of delay from which the schedule starts anew rather than catching up."""


def pace(senders: Sequence[Callable[[], None]], *, seconds: float, rate: float) -> None:
    """
    Call each sender ``rate`` times a second, in turn, for a time.

    Blocks: give it a thread of its own.
    """
    step = 1 / (rate * len(senders))
    due = started = time.monotonic()
    index = 0
    while due < started + seconds:
        now = time.monotonic()
        if now < due:
            time.sleep(due - now)
        elif now - due > _BURST_AFTER:
            due = now
        senders[index % len(senders)]()
        index += 1
        due += step
