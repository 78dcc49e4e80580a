"""The plane's small parts, each against a short model in Python."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router._fastpath.deadlines import exercise_deadlines
from router._fastpath.loss import exercise_losses
from router._fastpath.sequence import accept_sequence
from router._fastpath.table import exercise_table
from router._fastpath.transport_cc import build_feedback
from router.rtp import TransportCcFeedback, parse_compound, parse_transport_cc

WINDOW = 1024


# Sequence numbers


def accept_in_python(numbers: list[int]) -> list[int]:
    seen: set[int] = set()
    highest: int | None = None
    accepted = []
    for number in numbers:
        if highest is None:
            index = number
        else:
            # RFC 3711 section 3.3.1: the candidate that is nearest to the highest index.
            roll_overs = [(highest >> 16) + step for step in (-1, 0, 1)]
            distances = [((r << 16 | number) - highest, r << 16 | number) for r in roll_overs]
            index = min(distances, key=lambda d: (abs(d[0]), d[1]))[1]
        if index < 0 or index in seen or (highest is not None and index <= highest - WINDOW):
            accepted.append(-1)
            continue
        seen.add(index)
        highest = index if highest is None else max(highest, index)
        accepted.append(index)
    return accepted


@given(
    start=st.integers(0, 65535),
    steps=st.lists(st.integers(-1100, 1100) | st.integers(-40000, 40000), max_size=60),
)
def test_window_accepts_each_index_once(start: int, steps: list[int]) -> None:
    numbers = [start]
    for step in steps:
        numbers.append((numbers[-1] + step) & 0xFFFF)
    assert accept_sequence(numbers) == accept_in_python(numbers)


def test_index_goes_on_over_many_roll_overs() -> None:
    numbers = [(i * 10000) & 0xFFFF for i in range(40)]
    assert accept_sequence(numbers) == [i * 10000 for i in range(40)]


# The hash table

OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["put", "find", "remove"]), st.integers(0, 20), st.integers(0, 1000)),
    max_size=120,
)


@given(operations=OPERATIONS)
def test_table_behaves_as_a_dict(operations: list[tuple[str, int, int]]) -> None:
    model: dict[int, int] = {}
    expected: list[int | None] = []
    for operation, key, value in operations:
        if operation == "put":
            model[key] = value
            expected.append(0)
        elif operation == "remove":
            model.pop(key, None)
            expected.append(len(model))
        else:
            expected.append(model.get(key))
    assert exercise_table(operations, capacity=32) == expected


def test_table_refuses_what_is_beyond_its_capacity() -> None:
    results = exercise_table([("put", key, key) for key in range(20)], capacity=8)
    assert results[:8] == [0] * 8
    assert results[-1] == -1


# Deadlines


@given(
    operations=st.lists(
        st.tuples(st.integers(0, 11), st.none() | st.integers(0, 1000)), max_size=100
    )
)
def test_earliest_deadline_is_known(operations: list[tuple[int, int | None]]) -> None:
    model: dict[int, int] = {}
    expected: list[int | None] = []
    for owner, at_us in operations:
        if at_us is None:
            model.pop(owner, None)
        else:
            model[owner] = at_us
        expected.append(min(model.values(), default=None))
    assert exercise_deadlines(12, operations) == expected


# Losses


def test_lost_packet_is_asked_for_after_the_reorder_wait_and_again() -> None:
    due, missing, _, _ = exercise_losses(
        [
            ("gap", 10, 12, 0),
            ("due", 0, 0, 4999),
            ("arrival", 11, 0, 4999),
            ("due", 0, 0, 5000),
            ("due", 0, 0, 5001),
            ("due", 0, 0, 5000 + 125000),
        ]
    )
    assert due == [[], [10, 12], [], [10, 12]]
    assert missing == 2


def test_repeats_follow_the_time_that_answers_take() -> None:
    operations = []
    now = 0
    for n in range(60):
        operations += [("gap", n * 10, n * 10, now), ("due", 0, 0, now + 5000)]
        operations.append(("arrival", n * 10, 0, now + 5000 + 20000))
        now += 100000
    operations += [("gap", 9000, 9000, now), ("due", 0, 0, now + 5000)]
    operations += [("due", 0, 0, now + 5000 + 24000), ("due", 0, 0, now + 5000 + 27000)]
    due, _, recovered, _ = exercise_losses(operations)
    assert due[-2:] == [[], [9000]]  # 1.25 times the 20 ms that answers took
    assert recovered == 60


def test_first_answer_replaces_the_guess() -> None:
    due, _, _, _ = exercise_losses(
        [
            ("gap", 1, 1, 0),
            ("due", 0, 0, 5000),
            ("arrival", 1, 0, 45000),
            ("gap", 2, 2, 50000),
            ("due", 0, 0, 55000),
            ("due", 0, 0, 104000),
            ("due", 0, 0, 105000),
        ]
    )
    assert due == [[1], [2], [], [2]]  # 1.25 times the 40 ms of the answer


def test_lost_packet_is_given_up_after_a_second() -> None:
    due, missing, _, given_up = exercise_losses(
        [("gap", 5, 5, 0), ("due", 0, 0, 5000), ("due", 0, 0, 1000001)]
    )
    assert due == [[5], []]
    assert (missing, given_up) == (0, 1)


def test_lost_packet_is_asked_for_ten_times_at_most() -> None:
    operations = [("gap", 5, 5, 0)] + [("due", 0, 0, 5000 + n * 20) for n in range(50000)]
    due, missing, _, _ = exercise_losses(operations)
    assert [seq for seqs in due for seq in seqs] == [5] * 8  # every 125 ms within a second
    assert missing == 0


def test_large_gap_is_a_restart() -> None:
    due, missing, _, given_up = exercise_losses(
        [("gap", 1, 3, 0), ("gap", 10, 1000, 1), ("due", 0, 0, 10000)]
    )
    assert due == [[]]
    assert (missing, given_up) == (0, 3)


def test_loss_list_forgets_the_oldest_when_full() -> None:
    due, missing, _, _ = exercise_losses(
        [("gap", 0, 199, 0), ("gap", 300, 499, 0), ("due", 0, 0, 5000)]
    )
    assert due[0] == [*range(144, 200), *range(300, 500)]
    assert missing == 256


# Transport-wide feedback


def read_feedback(packets: list[bytes]) -> list[TransportCcFeedback]:
    return [parse_transport_cc(parsed) for data in packets for parsed in parse_compound(data)]


@given(
    start=st.integers(0, 65535),
    now_us=st.integers(0, 10**12),
    steps=st.lists(
        st.tuples(
            st.integers(1, 3) | st.integers(1, 40),
            st.integers(0, 3000) | st.integers(0, 200000) | st.integers(0, 10**7),
        ),
        max_size=300,
    ),
)
def test_feedback_tells_each_arrival(start: int, now_us: int, steps: list[tuple[int, int]]) -> None:
    arrivals = [(start, now_us)]
    for step, gap_us in steps:
        if sum(s for s, _ in steps) > 1000:
            break  # what is longer than the log is tested below
        arrivals.append((arrivals[-1][0] + step, arrivals[-1][1] + gap_us))
    wire = [(seq & 0xFFFF, at_us) for seq, at_us in arrivals]
    packets = build_feedback(wire, 1, 2)
    assert all(len(data) <= 1100 for data in packets)
    told = [arrival for feedback in read_feedback(packets) for arrival in feedback.arrivals()]
    assert told == [(seq, at_us // 250 % (1 << 32)) for seq, at_us in wire]


def test_reordered_packets_have_negative_deltas() -> None:
    packets = build_feedback([(5, 1000000), (7, 1001000), (6, 1002000), (8, 1003000)], 1, 2)
    (feedback,) = read_feedback(packets)
    assert feedback.deltas[1:] == (8, -4, 8)


def test_feedback_packets_are_numbered_and_cover_everything_once() -> None:
    arrivals = [(n, 64000 + n * 500) for n in range(1000) if n % 3]
    reports = read_feedback(build_feedback(arrivals, 1, 2))
    assert [report.feedback_count for report in reports] == list(range(len(reports)))
    covered = [
        report.base_sequence_number + n for report in reports for n in range(len(report.deltas))
    ]
    assert covered == list(range(1, 999 + 1))[: len(covered)]
    assert sum(d is not None for report in reports for d in report.deltas) == len(arrivals)


@pytest.mark.parametrize(
    ("step_us", "packets"), [(500, [800, 200]), (70_000, [400, 400, 200])], ids=["small", "large"]
)
def test_a_feedback_packet_holds_so_many_deltas(step_us: int, packets: list[int]) -> None:
    arrivals = [(n, 64000 + n * step_us) for n in range(1000)]
    found = build_feedback(arrivals, 1, 2)
    assert [len(report.deltas) for report in read_feedback(found)] == packets
    assert max(map(len, found)) <= 1100


def test_only_the_newest_are_reported_when_the_log_overflows() -> None:
    told = read_feedback(build_feedback([(n, n * 250) for n in range(3000)], 1, 2))
    numbers = [seq for report in told for seq, _ in report.arrivals()]
    assert numbers == list(range(3000 - 1024, 3000))
