"""
Which down-link slot carries which source.

A slot is an m-section of a subscriber that keeps its receiver id while it is re-pointed from one
source to another. Slots of equal index share a media stream id, so a browser plays their audio and
video in sync: the two halves of one publisher should sit on one index.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from router.node_events import MediaKind, PeerId, SourceId

INITIAL_SLOTS = 1
"""Pairs that need no offer of ours: the client's own first audio and video section."""

BLOCK_SLOTS = 4
"""Pairs that one offer adds; joins and leaves within them cost no SDP exchange."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a slot carries, or what waits for a slot."""

    source_id: SourceId
    publisher: PeerId
    kind: MediaKind


@dataclass(slots=True)
class SlotState:
    """One down-link slot of a peer."""

    slot_id: int
    """The data plane's id."""
    index: int
    kind: MediaKind
    receiver_id: str
    binding: Binding | None = None
    stream_id: int = 0
    """The stream that the plane forwards on it; 0 for none."""
    ssrc: int = 0


class SlotTable:
    """
    The slots of one subscriber and the subscriptions that wait for one.

    :param least: Pairs that are wanted in any case.
    """

    def __init__(self, least: int = INITIAL_SLOTS) -> None:
        self._least = least
        self._slots: dict[tuple[MediaKind, int], SlotState] = {}
        self._by_source: dict[SourceId, SlotState] = {}
        self._waiting: dict[SourceId, Binding] = {}

    def __iter__(self) -> Iterator[SlotState]:
        """Iterate over a copy, so that slots may be removed meanwhile."""
        return iter(list(self._slots.values()))

    def add(self, slot: SlotState) -> None:
        """Take a newly negotiated slot."""
        self._slots[slot.kind, slot.index] = slot

    def remove(self, slot: SlotState) -> Binding | None:
        """Drop a slot that can no longer send; return what it carried, which waits again."""
        del self._slots[slot.kind, slot.index]
        binding, slot.binding = slot.binding, None
        if binding is not None:
            del self._by_source[binding.source_id]
            self._waiting[binding.source_id] = binding
        return binding

    def get(self, kind: MediaKind, index: int) -> SlotState | None:
        """Return a slot by kind and index."""
        return self._slots.get((kind, index))

    def of_source(self, source_id: SourceId) -> SlotState | None:
        """Return the slot that carries a source."""
        return self._by_source.get(source_id)

    def request(self, binding: Binding) -> SlotState | None:
        """
        Bind a source to the best free slot and return it; None leaves the source waiting.

        The slot beside the publisher's other half is best, then one of an index that nobody uses,
        then any.
        """
        current = self._by_source.get(binding.source_id)
        if current is not None:
            return current
        free = [
            slot
            for slot in self._slots.values()
            if slot.kind is binding.kind and slot.binding is None
        ]
        if not free:
            self._waiting[binding.source_id] = binding
            return None
        slot = min(free, key=lambda s: (self._distance(s, binding.publisher), s.index))
        slot.binding = binding
        self._by_source[binding.source_id] = slot
        self._waiting.pop(binding.source_id, None)
        return slot

    def release(self, source_id: SourceId) -> SlotState | None:
        """Free what a source held; return its slot if it had one."""
        self._waiting.pop(source_id, None)
        slot = self._by_source.pop(source_id, None)
        if slot is not None:
            slot.binding = None
        return slot

    def waiting(self) -> list[Binding]:
        """Return the subscriptions that wait for a slot, oldest first."""
        return list(self._waiting.values())

    def wanted(self) -> int:
        """Return how many pairs of slots this subscriber should have, in whole blocks."""
        needed = max(
            sum(1 for slot in self._by_source.values() if slot.kind is kind)
            + sum(1 for binding in self._waiting.values() if binding.kind is kind)
            for kind in (MediaKind.AUDIO, MediaKind.VIDEO)
        )
        if needed <= self._least:
            return self._least
        blocks = -(-(needed - INITIAL_SLOTS) // BLOCK_SLOTS)
        return INITIAL_SLOTS + blocks * BLOCK_SLOTS

    def _distance(self, slot: SlotState, publisher: PeerId) -> int:
        other = MediaKind.AUDIO if slot.kind is MediaKind.VIDEO else MediaKind.VIDEO
        partner = self._slots.get((other, slot.index))
        if partner is None or partner.binding is None:
            return 1
        return 0 if partner.binding.publisher == publisher else 2
