"""Many deadlines behind one timer."""

import heapq
from collections.abc import Hashable


class TimerQueue:
    """
    The absolute deadlines of many things, each with at most one.

    Moving a deadline costs O(log n); stale heap entries are dropped when they surface.
    """

    def __init__(self) -> None:
        self._deadlines: dict[Hashable, float] = {}
        self._heap: list[tuple[float, int, Hashable]] = []
        # Breaks ties, so that keys are never compared.
        self._count = 0

    def __len__(self) -> int:
        return len(self._deadlines)

    def set(self, key: Hashable, at: float | None) -> None:
        """Give ``key`` the deadline ``at``, or none."""
        if at is None:
            self._deadlines.pop(key, None)
        elif self._deadlines.get(key) != at:
            self._deadlines[key] = at
            self._count += 1
            heapq.heappush(self._heap, (at, self._count, key))
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._deadlines):
            self._compact()

    def next_timer(self) -> float | None:
        """Return the earliest deadline, or None when there is none."""
        while self._heap:
            at, _, key = self._heap[0]
            if self._deadlines.get(key) == at:
                return at
            heapq.heappop(self._heap)
        return None

    def pop_due(self, now: float) -> list[Hashable]:
        """Return the keys whose deadlines have passed, earliest first, and forget those."""
        due = []
        while (key := self.pop_first(now)) is not None:
            due.append(key)
        return due

    def pop_first(self, now: float) -> Hashable | None:
        """Return the key whose deadline passed first, and forget it; None when none has passed."""
        at = self.next_timer()
        if at is None or at > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._deadlines[key]
        return key

    def _compact(self) -> None:
        self._heap = [entry for entry in self._heap if self._deadlines.get(entry[2]) == entry[0]]
        heapq.heapify(self._heap)
