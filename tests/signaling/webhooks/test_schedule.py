import random

from hypothesis import given
from hypothesis import strategies as st

from signaling.webhooks.schedule import STRIKES_MAX, DeliverySchedule


def make(concurrency: int = 100, per_receiver: int = 10) -> DeliverySchedule[str]:
    return DeliverySchedule(concurrency=concurrency, per_receiver=per_receiver)


def test_a_room_is_under_way_once_at_a_time() -> None:
    schedule = make()
    schedule.add("r", "x", 0.0)
    schedule.add("r", "x", 0.0)
    assert schedule.take(0.0) == ["r"]
    schedule.add("r", "x", 1.0)
    assert schedule.take(1.0) == []
    schedule.finish("r", again_at=None, slow=False, now=2.0)
    assert schedule.take(2.0) == ["r"]
    schedule.finish("r", again_at=None, slow=False, now=3.0)
    assert (len(schedule), schedule.next_timer()) == (0, None)


def test_what_comes_during_the_wait_for_a_retry_waits_too() -> None:
    schedule = make()
    schedule.add("r", "x", 0.0)
    schedule.take(0.0)
    schedule.finish("r", again_at=5.0, slow=False, now=0.0)
    schedule.add("r", "x", 1.0)
    assert schedule.take(4.9) == []
    assert schedule.next_timer() == 5.0
    assert schedule.take(5.0) == ["r"]


def test_a_retry_is_not_cut_short_by_what_came_during_the_attempt() -> None:
    schedule = make()
    schedule.add("r", "x", 0.0)
    schedule.take(0.0)
    schedule.add("r", "x", 0.1)
    schedule.finish("r", again_at=5.0, slow=False, now=0.2)
    assert schedule.take(4.9) == []
    assert schedule.take(5.0) == ["r"]


def test_one_receiver_does_not_take_all_places() -> None:
    schedule = make(concurrency=6, per_receiver=4)
    for number in range(50):
        schedule.add(f"slow{number}", "slow", 0.0)
    schedule.add("other", "other", 1.0)
    taken = schedule.take(1.0)
    assert len(taken) == 5
    assert taken[-1] == "other"


def test_receivers_that_hold_callers_up_get_one_place_each() -> None:
    schedule = make(concurrency=100, per_receiver=4)
    for number in range(50):
        schedule.add(f"r{number}", "slow", 0.0)
    now = 0.0
    for _ in range(STRIKES_MAX):
        for room in schedule.take(now):
            schedule.finish(room, again_at=now + 1.0, slow=True, now=now)
        now += 1.0
    assert len(schedule.take(now)) == 1
    # One that answers gets its places back.
    [room] = schedule._running
    schedule.finish(room, again_at=None, slow=False, now=now)
    assert len(schedule.take(now)) == 4


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 4))
def test_every_room_has_its_turn_and_no_bound_is_broken(
    seed: int, concurrency: int, per_receiver: int
) -> None:
    rng = random.Random(seed)
    schedule = make(concurrency, per_receiver)
    work = {f"r{n}": rng.randint(1, 4) for n in range(20)}
    receiver_of = {room: f"x{rng.randint(0, 3)}" for room in work}
    done = dict.fromkeys(work, 0)
    for room in work:
        schedule.add(room, receiver_of[room], rng.random())
    now, running = 0.0, []
    for _ in range(10_000):
        running += schedule.take(now)
        assert len(running) == len(set(running)) == schedule.running <= concurrency
        for receiver in receiver_of.values():
            assert sum(receiver_of[room] == receiver for room in running) <= per_receiver
        if running:
            room = running.pop(rng.randrange(len(running)))
            done[room] += 1
            again = now + rng.random() if done[room] < work[room] else None
            schedule.finish(room, again_at=again, slow=rng.random() < 0.5, now=now)
        at = schedule.next_timer()
        if at is None and not running:
            break
        now = max(now, at) if at is not None and rng.random() < 0.8 else now + 0.1
    assert done == work
    assert len(schedule) == 0
    assert schedule._receivers == {}
