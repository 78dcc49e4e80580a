"""The checklist's order and states, and the pair priority."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from router.ice import Candidate, host_candidate
from router.ice.checklist import Checklist
from router.ice.pair import TRANSITIONS, CandidatePair, PairInput, PairState
from router.net import Address


def local(index: int = 0) -> Candidate:
    return host_candidate(Address(f"192.0.2.{index}", 1000), local_preference=0xFFFF - index)


def remote(index: int = 0, port: int = 2000) -> Candidate:
    return host_candidate(Address(f"198.51.100.{index}", port), local_preference=0xFFFF - index)


def checklist(max_pairs: int = 100) -> Checklist:
    return Checklist(is_controlling=True, max_pairs=max_pairs)


def add(to: Checklist, a: Candidate, b: Candidate) -> CandidatePair:
    pair = to.add(a, b)
    assert pair is not None
    return pair


def send(pair: CandidatePair | None) -> CandidatePair:
    assert pair is not None
    pair.apply(PairInput.CHECK_SENT)
    return pair


@given(st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1))
def test_both_sides_compute_the_same_pair_priority(ours: int, theirs: int) -> None:
    here, there = replace(local(), priority=ours), replace(remote(), priority=theirs)
    a, b = Address("192.0.2.0", 1000), Address("198.51.100.0", 2000)
    mine = CandidatePair(here, there, local_address=a, remote_address=b)
    mirrored = CandidatePair(there, here, local_address=b, remote_address=a)
    assert mine.priority(is_controlling=True) == mirrored.priority(is_controlling=False)
    expected = 2**32 * min(ours, theirs) + 2 * max(ours, theirs) + (1 if ours > theirs else 0)
    assert mine.priority(is_controlling=True) == expected


def test_pairs_are_checked_by_descending_priority() -> None:
    pairs = checklist()
    for index in (3, 1, 2):
        add(pairs, local(), remote(index))
    order = [send(pairs.next_check()).remote_address.host[-1] for _ in range(3)]
    assert order == ["1", "2", "3"]
    assert pairs.next_check() is None
    assert not pairs.has_check()


def test_pairs_of_one_foundation_wait_for_the_first_of_them() -> None:
    pairs = checklist()
    first = add(pairs, local(), remote(port=2000))
    second = add(pairs, local(), remote(port=2001))
    assert (first.state, second.state) == (PairState.WAITING, PairState.FROZEN)
    assert send(pairs.next_check()) is first
    assert pairs.next_check() is None
    first.apply(PairInput.CHECK_SUCCEEDED)
    pairs.unfreeze_like(first)
    assert pairs.next_check() is second


def test_frozen_pair_is_checked_when_its_foundation_failed() -> None:
    pairs = checklist()
    first = add(pairs, local(), remote(port=2000))
    second = add(pairs, local(), remote(port=2001))
    send(pairs.next_check()).apply(PairInput.CHECK_FAILED)
    assert first.state is PairState.FAILED
    assert pairs.next_check() is second
    assert second.state is PairState.WAITING


def test_trickled_pair_of_a_proven_foundation_is_not_frozen() -> None:
    pairs = checklist()
    add(pairs, local(), remote(port=2000))
    send(pairs.next_check()).apply(PairInput.CHECK_SUCCEEDED)
    assert add(pairs, local(), remote(port=2001)).state is PairState.WAITING


def test_triggered_checks_come_first_and_once() -> None:
    pairs = checklist()
    add(pairs, local(), remote(1))
    low = add(pairs, local(), remote(2))
    for _ in range(3):
        pairs.trigger(low)
    assert send(pairs.next_check()) is low
    assert send(pairs.next_check()).remote_address.host == "198.51.100.1"
    assert pairs.next_check() is None


def test_redundant_pairs_are_not_added() -> None:
    pairs = checklist()
    add(pairs, local(), remote())
    assert pairs.add(local(), remote()) is None
    assert len(pairs) == 1


def test_only_addresses_that_can_reach_each_other_are_paired() -> None:
    pairs = checklist()
    global_ipv6 = host_candidate(Address("2001:db8::1", 1))
    link_local = host_candidate(Address("fe80::1", 1))
    assert pairs.add(local(), global_ipv6) is None
    assert pairs.add(link_local, global_ipv6) is None
    assert pairs.add(link_local, host_candidate(Address("fe80::2", 1))) is not None


def test_full_checklist_drops_what_is_worst() -> None:
    pairs = checklist(max_pairs=3)
    for index in (2, 3, 4):
        add(pairs, local(), remote(index))
    assert pairs.add(local(), remote(9)) is None
    add(pairs, local(), remote(1))
    assert [pair.remote_address.host[-1] for pair in pairs] == ["1", "2", "3"]
    send(pairs.next_check()).apply(PairInput.CHECK_FAILED)
    # A failed pair makes room even for one of lower priority.
    add(pairs, local(), remote(9))
    assert [pair.remote_address.host[-1] for pair in pairs] == ["2", "3", "9"]


@given(st.lists(st.sampled_from(PairInput), max_size=12))
def test_pair_states_follow_the_table_only(inputs: list[PairInput]) -> None:
    a, b = Address("192.0.2.0", 1000), Address("198.51.100.0", 2000)
    pair = CandidatePair(local(), remote(), local_address=a, remote_address=b)
    for pair_input in inputs:
        before = pair.state
        assert pair.can_apply(pair_input) == ((before, pair_input) in TRANSITIONS)
        if pair.can_apply(pair_input):
            pair.apply(pair_input)
            assert pair.state is TRANSITIONS[before, pair_input]
