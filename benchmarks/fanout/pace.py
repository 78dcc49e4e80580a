"""Frames of several publishers, spread in time: what comes due within 1 ms goes together."""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.engine import Capture, FrameSender


async def pace(
    senders: "Sequence[FrameSender]",
    captures: "Sequence[Capture]",
    *,
    seconds: float,
    rate: float,
) -> None:
    """
    Send ``rate`` frames a second of each, in turn, for a time, on a thread of its own, which reads
    for the captures too.

    :raises RuntimeError: when the kernel did not take all of them.
    """
    from benchmarks.engine import Pace

    refused = sum(sender.refused for sender in senders)
    running = Pace()
    try:
        await asyncio.to_thread(running.run, senders, seconds=seconds, rate=rate, captures=captures)
    finally:
        running.stop()
    if refused := sum(sender.refused for sender in senders) - refused:
        raise RuntimeError(f"{refused} packets could not be sent")
