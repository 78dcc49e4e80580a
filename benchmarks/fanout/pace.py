"""Frames of several publishers, evenly spread in time."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence

_BURST_AFTER = 0.05
"""Seconds of delay from which the schedule starts anew rather than catching up."""


async def pace(senders: Sequence[Callable[[], None]], *, seconds: float, rate: float) -> None:
    """Call each sender ``rate`` times a second, in turn, for a time, in a thread of its own."""
    stopped = threading.Event()
    try:
        await asyncio.to_thread(_pace, senders, seconds, rate, stopped)
    finally:
        stopped.set()


def _pace(
    senders: Sequence[Callable[[], None]], seconds: float, rate: float, stopped: threading.Event
) -> None:
    step = 1 / (rate * len(senders))
    due = started = time.monotonic()
    index = 0
    while due < started + seconds and not stopped.is_set():
        now = time.monotonic()
        if now < due:
            time.sleep(due - now)
        elif now - due > _BURST_AFTER:
            due = now
        senders[index % len(senders)]()
        index += 1
        due += step
