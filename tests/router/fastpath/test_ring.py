"""The ring against a model, one step at a time; test_native.py runs it on two threads."""

import select
from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from router._fastpath.ring import Ring

SLOT_BYTES = 24


def is_readable(ring: Ring) -> bool:
    return bool(select.select([ring.fileno()], [], [], 0)[0])


class RingMachine(RuleBasedStateMachine):
    """A deque is the model; the doorbell rings exactly when a sleeper has something to read."""

    @initialize(slots=st.sampled_from([1, 2, 4, 8]))
    def open(self, slots: int) -> None:
        self.ring = Ring(slots, SLOT_BYTES)
        self.slots = slots
        self.items: deque[bytes] = deque()
        self.dropped = 0
        self.sleeping = False
        self.doorbells = 0

    def ring_doorbell(self) -> None:
        if self.sleeping:
            self.sleeping = False
            self.doorbells += 1

    @rule(data=st.binary(max_size=SLOT_BYTES), bell=st.booleans())
    def put(self, data: bytes, bell: bool) -> None:
        fits = len(self.items) < self.slots
        assert self.ring.put(data, bell=bell) is fits
        if not fits:
            self.dropped += 1
            return
        self.items.append(data)
        if bell:
            self.ring_doorbell()

    @rule()
    def bell(self) -> None:
        self.ring.bell()
        self.ring_doorbell()

    @rule()
    def get(self) -> None:
        assert self.ring.get() == (self.items.popleft() if self.items else None)

    @rule()
    def sleep(self) -> None:
        self.sleeping = not self.items
        assert self.ring.sleep() is self.sleeping

    @precondition(lambda self: self.doorbells or self.sleeping)
    @rule()
    def wake(self) -> None:
        self.ring.wake()
        self.sleeping = False
        assert not is_readable(self.ring)

    @invariant()
    def agrees(self) -> None:
        if hasattr(self, "ring"):
            assert len(self.ring) == len(self.items)
            assert self.ring.dropped == self.dropped
            assert self.ring.doorbells == self.doorbells


RingMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=60)
TestRingMachine = RingMachine.TestCase


def test_the_doorbell_is_rung_once_for_a_burst() -> None:
    ring = Ring(8, SLOT_BYTES)
    assert ring.sleep()
    assert not is_readable(ring)
    for i in range(5):
        ring.put(bytes([i]))
    assert is_readable(ring)
    assert ring.doorbells == 1
    ring.wake()
    assert not is_readable(ring)
    assert [ring.get() for _ in range(6)] == [b"\0", b"\1", b"\2", b"\3", b"\4", None]


def test_a_consumer_that_is_awake_hears_no_doorbell() -> None:
    ring = Ring(8, SLOT_BYTES)
    ring.put(b"1")
    assert ring.doorbells == 0
    assert not ring.sleep()
    ring.put(b"2")
    assert not is_readable(ring)


def test_slots_are_reused_many_times() -> None:
    ring = Ring(4, SLOT_BYTES)
    for i in range(10_000):
        assert ring.put(i.to_bytes(4, "big"))
        if i % 3 == 2:
            assert [ring.get() for _ in range(3)] == [
                (i - 2 + k).to_bytes(4, "big") for k in range(3)
            ]


@pytest.mark.parametrize("slots", [0, 3, 6, 2**21])
def test_a_capacity_that_is_no_power_of_two_is_refused(slots: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Ring(slots, SLOT_BYTES)


def test_an_item_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="24 bytes"):
        Ring(4, SLOT_BYTES).put(bytes(25))
