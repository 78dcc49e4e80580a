"""Ids that the data plane understands: an index below a capacity, and a generation."""

from collections import deque

from router.errors import DataPlaneError

INDEX_BITS = 16
INDEX_MASK = (1 << INDEX_BITS) - 1
GENERATION_MASK = 0xFFFF

RESTING = 64
"""
Released indexes that rest while there are fresh ones. More would only spread the plane's tables
over memory that was never touched: every join would cost some, until all of the capacity is.
"""


class IdPool:
    """
    Hands out ids ``index | generation << 16``.

    A released index rests for a while and is used again with the next generation, so that an event
    which was under way when its object went away names nobody. Id 0 is never given out: the
    generation starts at 1.

    :param capacity: Number of objects that may live at once, at most 65,535.
    """

    def __init__(self, capacity: int) -> None:
        if not 0 < capacity <= INDEX_MASK:
            raise ValueError(f"capacity {capacity} is not in 1..{INDEX_MASK}")
        self._capacity = capacity
        self._unused = 0
        self._generations: list[int] = []
        self._released: deque[int] = deque()
        self._live = 0

    def __len__(self) -> int:
        """Return the number of live ids."""
        return self._live

    def acquire(self) -> int:
        """
        Return a fresh id.

        :raises DataPlaneError: when ``capacity`` ids are live.
        """
        has_fresh = self._unused < self._capacity
        if self._released and (len(self._released) > RESTING or not has_fresh):
            index = self._released.popleft()
            self._generations[index] = self._generations[index] % GENERATION_MASK + 1
        elif has_fresh:
            index = self._unused
            self._unused += 1
            self._generations.append(1)
        else:
            raise DataPlaneError(f"all {self._capacity} ids are in use")
        self._live += 1
        return index | self._generations[index] << INDEX_BITS

    def release(self, identifier: int) -> None:
        """Give an id back; it is dead from now on."""
        index = identifier & INDEX_MASK
        assert self._generations[index] == identifier >> INDEX_BITS
        self._released.append(index)
        self._live -= 1
