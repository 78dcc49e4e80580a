"""
Which callbacks are sent next.

What a room has for one URL is one queue, in order, of which one callback is under way at a time.
Queues go in parallel, within a bound for each receiver and one for all. A receiver that holds its
callers up gets one at a time, so that even hundreds of dead ones leave room for the others. No
clock, no I/O.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from signaling.service.timers import TimerQueue

QueueT = TypeVar("QueueT", bound=Hashable)

STRIKES_MAX = 3
"""After so many slow attempts in a row a receiver gets one at a time."""


@dataclass(slots=True)
class _Receiver:
    """Somebody who is called, with the queues that wait for it."""

    waiting: TimerQueue = field(default_factory=TimerQueue)
    running: int = 0
    strikes: int = 0


class DeliverySchedule(Generic[QueueT]):
    """
    Queues with something to deliver.

    :param concurrency: Queues under way at a time.
    :param per_receiver: The same for one receiver.
    """

    def __init__(self, *, concurrency: int, per_receiver: int) -> None:
        self._concurrency = concurrency
        self._per_receiver = per_receiver
        self._receivers: dict[str, _Receiver] = {}
        # By receiver: when its next queue is due. Receivers that are busy are not in it.
        self._due = TimerQueue()
        self._receiver_of: dict[QueueT, str] = {}
        self._running: set[QueueT] = set()
        self._added_meanwhile: set[QueueT] = set()

    def __len__(self) -> int:
        """Return the number of queues that wait or are under way."""
        return len(self._receiver_of)

    @property
    def running(self) -> int:
        """Return the number of queues under way."""
        return len(self._running)

    def add(self, queue: QueueT, receiver: str, at: float) -> None:
        """
        Take note that a queue has something to deliver.

        A queue that waits for its next attempt goes on to wait; order comes first.

        :param at: When, in monotonic seconds.
        """
        if queue in self._running:
            self._added_meanwhile.add(queue)
        elif queue not in self._receiver_of:
            self._receiver_of[queue] = receiver
            self._receivers.setdefault(receiver, _Receiver()).waiting.set(queue, at)
            self._arm(receiver)

    def take(self, now: float) -> list[QueueT]:
        """Return the queues whose next callback shall go out now; each is to be finished."""
        taken: list[QueueT] = []
        while len(self._running) < self._concurrency:
            key = self._due.pop_first(now)
            if key is None:
                break
            receiver = self._receivers[str(key)]
            queue = cast("QueueT", receiver.waiting.pop_first(now))
            receiver.running += 1
            self._running.add(queue)
            taken.append(queue)
            self._arm(str(key))
        return taken

    def finish(self, queue: QueueT, *, again_at: float | None, slow: bool, now: float) -> None:
        """
        Take note that a queue's callback is no longer under way.

        :param again_at: When it is to be taken again; None when nothing waits.
        :param slow: Whether the receiver held its caller up.
        """
        self._running.discard(queue)
        name = self._receiver_of.pop(queue)
        receiver = self._receivers[name]
        receiver.running -= 1
        receiver.strikes = receiver.strikes + 1 if slow else 0
        if queue in self._added_meanwhile:
            self._added_meanwhile.discard(queue)
            again_at = now if again_at is None else again_at
        if again_at is not None:
            self._receiver_of[queue] = name
            receiver.waiting.set(queue, again_at)
        self._arm(name)
        if not receiver.running and not len(receiver.waiting):
            del self._receivers[name]

    def next_timer(self) -> float | None:
        """Return when :meth:`take` has something, or None when only a finish can change that."""
        return None if len(self._running) >= self._concurrency else self._due.next_timer()

    def _arm(self, name: str) -> None:
        receiver = self._receivers[name]
        most = 1 if receiver.strikes >= STRIKES_MAX else self._per_receiver
        self._due.set(name, receiver.waiting.next_timer() if receiver.running < most else None)
