"""Numbers that wrap are followed."""

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load.sequence import SequenceUnwrapper


@given(st.integers(0, 0xFFFF), st.lists(st.integers(-1000, 1000), max_size=200))
def test_numbers_that_wrap_are_followed(start: int, steps: list[int]) -> None:
    unwrapper = SequenceUnwrapper(16)
    offset = unwrapper.unwrap(start) - start
    number = highest = start
    for step in steps:
        number = max(highest - 30_000, highest + step)
        highest = max(highest, number)
        assert unwrapper.unwrap(number & 0xFFFF) == number + offset
