"""Down-link slots: pairs for lip sync, blocks for calm, nothing lost."""

import random

from hypothesis import given
from hypothesis import strategies as st

from router.node_events import MediaKind, PeerId, SourceId
from router.peer.slots import BLOCK_SLOTS, INITIAL_SLOTS, Binding, SlotState, SlotTable


def binding(publisher: int, kind: MediaKind) -> Binding:
    """Return the binding of a publisher's microphone or camera."""
    source = publisher * 2 + (kind is MediaKind.VIDEO)
    return Binding(SourceId(source), PeerId(publisher), kind)


def grown(table: SlotTable) -> None:
    """Do what a negotiation does: bring the table to the wanted number of pairs."""
    for kind in (MediaKind.AUDIO, MediaKind.VIDEO):
        for index in range(table.wanted()):
            if table.get(kind, index) is None:
                slot_id = index * 2 + (kind is MediaKind.VIDEO)
                table.add(SlotState(slot_id, index, kind, f"{kind.value}-{index}"))
    for waiting in table.waiting():
        table.request(waiting)


def test_both_halves_of_a_publisher_share_an_index() -> None:
    table = SlotTable()
    for publisher in range(1, 5):
        table.request(binding(publisher, MediaKind.AUDIO))
        table.request(binding(publisher, MediaKind.VIDEO))
    grown(table)
    for publisher in range(1, 5):
        audio = table.of_source(binding(publisher, MediaKind.AUDIO).source_id)
        video = table.of_source(binding(publisher, MediaKind.VIDEO).source_id)
        assert audio is not None
        assert video is not None
        assert audio.index == video.index


def test_a_returning_half_goes_back_beside_its_partner() -> None:
    table = SlotTable()
    for publisher in range(1, 4):
        table.request(binding(publisher, MediaKind.AUDIO))
        table.request(binding(publisher, MediaKind.VIDEO))
    grown(table)
    audio = table.of_source(binding(2, MediaKind.AUDIO).source_id)
    table.release(binding(1, MediaKind.VIDEO).source_id)
    table.release(binding(2, MediaKind.VIDEO).source_id)
    again = table.request(binding(2, MediaKind.VIDEO))
    assert again is not None
    assert audio is not None
    assert again.index == audio.index


def test_slots_are_wanted_in_blocks() -> None:
    table = SlotTable()
    assert table.wanted() == INITIAL_SLOTS
    for publisher in range(1, INITIAL_SLOTS + 2):
        table.request(binding(publisher, MediaKind.VIDEO))
    assert table.wanted() == INITIAL_SLOTS + BLOCK_SLOTS


@given(st.integers(0, 2**32), st.integers(10, 120))
def test_nothing_waits_while_a_slot_is_free_and_no_slot_carries_two(seed: int, steps: int) -> None:
    rng = random.Random(seed)
    table = SlotTable()
    subscribed: set[SourceId] = set()
    for _ in range(steps):
        one = binding(rng.randrange(1, 9), rng.choice((MediaKind.AUDIO, MediaKind.VIDEO)))
        if rng.random() < 0.5:
            table.request(one)
            subscribed.add(one.source_id)
        else:
            table.release(one.source_id)
            subscribed.discard(one.source_id)
        if rng.random() < 0.4:
            grown(table)
            assert not table.waiting()
        carried = [slot.binding.source_id for slot in table if slot.binding is not None]
        waiting = [entry.source_id for entry in table.waiting()]
        assert sorted(carried + waiting) == sorted(subscribed)
