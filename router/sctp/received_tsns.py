"""Which TSNs have arrived: the cumulative point, gaps, duplicates (RFC 9260 section 6.2)."""

from bisect import bisect_right

#: Gap ack block offsets have 16 bits; what is further ahead could not be acknowledged.
MAX_TSN_AHEAD = 0xFFFF
_MAX_DUPLICATES = 32


class ReceivedTsns:
    """
    The set of TSNs received, extended so that they do not wrap.

    ``_starts[i].._ends[i]`` are disjoint ascending blocks above the cumulative TSN, with at least
    one TSN missing before each.
    """

    def __init__(self, *, initial_tsn: int) -> None:
        self.cumulative = initial_tsn - 1
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._duplicates: list[int] = []

    @property
    def has_gaps(self) -> bool:
        """Whether a TSN is missing below the highest received."""
        return bool(self._starts)

    @property
    def highest(self) -> int:
        """The highest TSN received."""
        return self._ends[-1] if self._ends else self.cumulative

    def contains(self, tsn: int) -> bool:
        """Return whether the TSN has been received or skipped."""
        if tsn <= self.cumulative:
            return True
        index = bisect_right(self._starts, tsn) - 1
        return index >= 0 and tsn <= self._ends[index]

    def note_duplicate(self, tsn: int) -> None:
        """Remember that the TSN came again, for the next SACK."""
        if len(self._duplicates) < _MAX_DUPLICATES:
            self._duplicates.append(tsn)

    def add(self, tsn: int) -> None:
        """Add a TSN that is not contained, at most ``MAX_TSN_AHEAD`` above the cumulative TSN."""
        starts, ends = self._starts, self._ends
        if tsn == self.cumulative + 1:
            self.cumulative = tsn
            self._merge_first()
            return
        index = bisect_right(starts, tsn)
        joins_previous = index > 0 and ends[index - 1] == tsn - 1
        joins_next = index < len(starts) and starts[index] == tsn + 1
        if joins_previous and joins_next:
            ends[index - 1] = ends[index]
            del starts[index], ends[index]
        elif joins_previous:
            ends[index - 1] = tsn
        elif joins_next:
            starts[index] = tsn
        else:
            starts.insert(index, tsn)
            ends.insert(index, tsn)

    def skip_to(self, tsn: int) -> None:
        """Take all TSNs up to ``tsn`` for received, as FORWARD TSN says."""
        self.cumulative = max(self.cumulative, tsn)
        index = bisect_right(self._starts, self.cumulative)
        if index:
            self.cumulative = max(self.cumulative, self._ends[index - 1])
            del self._starts[:index], self._ends[:index]
        self._merge_first()

    def take_report(self, limit: int) -> tuple[list[tuple[int, int]], list[int]]:
        """
        Return the gap ack blocks, as offsets, and the duplicates; forget the duplicates.

        :param limit: How many of both there may be together; the lowest blocks go first.
        """
        base = self.cumulative
        blocks = [
            (start - base, end - base)
            for start, end in zip(self._starts[:limit], self._ends[:limit], strict=True)
        ]
        duplicates = self._duplicates[: limit - len(blocks)]
        self._duplicates = []
        return blocks, duplicates

    def _merge_first(self) -> None:
        if self._starts and self._starts[0] == self.cumulative + 1:
            self.cumulative = self._ends[0]
            del self._starts[0], self._ends[0]
