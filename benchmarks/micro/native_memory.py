"""
What subscribers take of native memory on a plane: ``python -m`` prints two numbers of bytes.

The first is a subscriber's with one track: transport, SRTP keys, arrival log and slot. The second
is each further track's. Both are the growth of the resident set of this process, which runs nothing
but planes and should be a fresh one.
"""

import os

from benchmarks.processes import resident_bytes

from .bench_plane import Room

SUBSCRIBERS = 2000
SLOTS = 11
FRAMES = 20
GCM = 7


def native_bytes(subscribers: int = SUBSCRIBERS) -> tuple[float, float]:
    """Measure; the planes stay, so that none finds memory that another gave back."""
    rooms = [_run(1, 1)]
    grown = []
    for slots in (1, SLOTS):
        before = resident_bytes(os.getpid())
        rooms.append(_run(subscribers, slots))
        grown.append((resident_bytes(os.getpid()) - before) / subscribers)
    assert all(room.forwarded() for room in rooms)
    return grown[0], (grown[1] - grown[0]) / (SLOTS - 1)


def _run(subscribers: int, slots: int) -> Room:
    room = Room(GCM, subscribers, slots=slots)
    for _ in range(FRAMES):
        room.frame()
    return room


if __name__ == "__main__":
    print(*native_bytes())
