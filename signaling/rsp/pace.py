"""
How fast one client's messages are taken.

A client over its pace is not refused, which the protocol has no word for: its socket is read
later. TCP then holds it back, and nothing is lost or reordered. No clock: the time comes in.
"""

UNIT_BYTES = 4096
"""A message costs one, and one more for each of these: descriptions are work by their length."""
BURST_SECONDS = 10.0
"""So much may come at once."""


class Pace:
    """
    A bucket of messages.

    :param rate: Messages a second; 0 sets no limit.
    """

    def __init__(self, rate: float) -> None:
        self._interval = 1.0 / rate if rate > 0 else 0.0
        self._full_at = 0.0

    def spend(self, length: int, now: float) -> float:
        """
        Count a message; return in how many seconds the next one is to be read.

        :param length: Of its text.
        """
        cost = (1.0 + length / UNIT_BYTES) * self._interval
        self._full_at = max(now, self._full_at) + cost
        return max(0.0, self._full_at - now - BURST_SECONDS)
