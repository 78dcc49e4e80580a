"""Many deadlines behind one timer."""

from hypothesis import given
from hypothesis import strategies as st

from signaling.service.timers import TimerQueue


def test_the_earliest_deadline_comes_first_and_moves() -> None:
    timers = TimerQueue()
    assert timers.next_timer() is None
    timers.set("a", 5.0)
    timers.set("b", 3.0)
    assert timers.next_timer() == 3.0
    timers.set("b", 9.0)
    assert timers.next_timer() == 5.0
    timers.set("a", None)
    assert timers.next_timer() == 9.0
    assert timers.pop_due(8.9) == []
    assert timers.pop_due(9.0) == ["b"]
    assert timers.next_timer() is None


def test_a_deadline_that_moves_often_does_not_pile_up() -> None:
    timers = TimerQueue()
    for number in range(10_000):
        timers.set("a", float(number))
    assert len(timers._heap) <= 65


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.none() | st.floats(0, 100)) | st.floats(0, 100),
        max_size=60,
    )
)
def test_it_agrees_with_a_plain_dictionary(steps: list[tuple[int, float | None] | float]) -> None:
    timers, model = TimerQueue(), dict[int, float]()
    for step in steps:
        if isinstance(step, tuple):
            key, at = step
            timers.set(key, at)
            model.pop(key, None)
            if at is not None:
                model[key] = at
        else:
            due = {key for key, at in model.items() if at <= step}
            assert set(timers.pop_due(step)) == due
            for key in due:
                del model[key]
        assert timers.next_timer() == min(model.values(), default=None)
        assert len(timers) == len(model)
