"""How long joining takes, as a histogram that costs one increment."""

from bisect import bisect_left

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds; one more bucket has no bound."""


class JoinTimes:
    """Counts of join times by bucket."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        """How many fell into each bucket, not cumulated; the last is beyond all bounds."""
        self.total = 0.0
        """Sum of all, seconds."""

    def observe(self, seconds: float) -> None:
        """Take one join."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    @property
    def count(self) -> int:
        """Return how many joins there were."""
        return sum(self.counts)
