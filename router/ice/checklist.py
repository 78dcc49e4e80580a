"""The checklist: which pairs there are, and which is checked next (RFC 8445 section 6.1)."""

from collections import deque
from collections.abc import Iterator

from ..net import Address
from .candidate import Candidate, CandidateType
from .pair import CandidatePair, PairInput, PairState

_PENDING = (PairState.FROZEN, PairState.WAITING, PairState.IN_PROGRESS)
# Which pairs make room for a better one, in this order; the others stay.
_EVICTABLE = (PairState.FAILED, PairState.FROZEN, PairState.WAITING)


class Checklist:
    """
    The candidate pairs of one data stream with one component.

    :param max_pairs: RFC 8445 section 6.1.2.5; when there are more, those of low priority go.
    """

    def __init__(self, *, is_controlling: bool, max_pairs: int) -> None:
        self._is_controlling = is_controlling
        self._max_pairs = max_pairs
        self._pairs: list[CandidatePair] = []
        self._triggered: deque[CandidatePair] = deque()

    def __iter__(self) -> Iterator[CandidatePair]:
        """Iterate by descending priority."""
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, pair: CandidatePair) -> bool:
        return pair in self._pairs

    def set_role(self, *, is_controlling: bool) -> None:
        """Recompute all priorities for another role (RFC 8445 section 7.3.1.1)."""
        self._is_controlling = is_controlling
        self._sort()

    def find(self, local_address: Address, remote_address: Address) -> CandidatePair | None:
        """Return the pair with these addresses, or None."""
        for pair in self._pairs:
            if pair.remote_address == remote_address and pair.local_address == local_address:
                return pair
        return None

    def add(self, local: Candidate, remote: Candidate) -> CandidatePair | None:
        """
        Add a pair and return it, or None if it is impossible, redundant or of too low a priority.

        A signaled candidate that was first learned from a check takes the place of the peer
        reflexive one, and its pair keeps its state. The new pair is Waiting when its foundation
        has succeeded before or has no other check pending, else Frozen (RFC 8838 section 12).
        """
        local_address, remote_address = local.address, remote.address
        if local_address is None or remote_address is None:
            return None
        if not _can_reach(local_address, remote_address):
            return None
        known = self.find(local_address, remote_address)
        if known is not None:
            if known.remote.type is CandidateType.PEER_REFLEXIVE:
                known.remote = remote
                self._sort()
            return None
        pair = CandidatePair(
            local, remote, local_address=local_address, remote_address=remote_address
        )
        if not self._make_room(pair):
            return None
        same = [other.state for other in self._pairs if other.foundation == pair.foundation]
        if PairState.SUCCEEDED in same or not {PairState.WAITING, PairState.IN_PROGRESS} & {*same}:
            pair.apply(PairInput.UNFREEZE)
        self._pairs.append(pair)
        self._sort()
        return pair

    def trigger(self, pair: CandidatePair) -> None:
        """Check ``pair`` before all ordinary checks; nothing changes if it is queued already."""
        if pair not in self._triggered:
            self._triggered.append(pair)

    def has_check(self) -> bool:
        """Return whether :meth:`next_check` would return a pair."""
        return bool(self._triggered) or self._ordinary_check() is not None

    def next_check(self) -> CandidatePair | None:
        """
        Return the pair to check now, or None; the caller starts the check at once.

        A nominating pair is Succeeded, all others are Waiting.
        """
        while self._triggered:
            pair = self._triggered.popleft()
            # An answer to an earlier check may have made the queued one needless.
            if pair.state is PairState.WAITING or pair.is_nominating:
                return pair
        ordinary = self._ordinary_check()
        if ordinary is not None and ordinary.state is PairState.FROZEN:
            ordinary.apply(PairInput.UNFREEZE)
        return ordinary

    def unfreeze_like(self, pair: CandidatePair) -> None:
        """Unfreeze the pairs that share a foundation with one that succeeded (7.2.5.3.3)."""
        for other in self._pairs:
            if other.state is PairState.FROZEN and other.foundation == pair.foundation:
                other.apply(PairInput.UNFREEZE)

    def retain_only(self, pair: CandidatePair) -> None:
        """Remove all other pairs and all planned checks: ``pair`` is selected (section 8.1.2)."""
        self._pairs = [pair]
        self._triggered.clear()

    def valid_pairs(self) -> list[CandidatePair]:
        """Return the valid list by descending priority."""
        return [pair for pair in self._pairs if pair.state is PairState.SUCCEEDED]

    def pending_pairs(self) -> list[CandidatePair]:
        """Return the pairs that may still become valid, by descending priority."""
        return [pair for pair in self._pairs if pair.state in _PENDING]

    def priority(self, pair: CandidatePair) -> int:
        """Return the pair's priority in the present role."""
        return pair.priority(is_controlling=self._is_controlling)

    def _sort(self) -> None:
        self._pairs.sort(key=self.priority, reverse=True)

    def _ordinary_check(self) -> CandidatePair | None:
        busy = set()
        for pair in self._pairs:
            if pair.state is PairState.WAITING and pair not in self._triggered:
                return pair
            if pair.state in (PairState.WAITING, PairState.IN_PROGRESS):
                busy.add(pair.foundation)
        for pair in self._pairs:
            if pair.state is PairState.FROZEN and pair.foundation not in busy:
                return pair
        return None

    def _make_room(self, pair: CandidatePair) -> bool:
        if len(self._pairs) < self._max_pairs:
            return True
        for state in _EVICTABLE:
            for other in reversed(self._pairs):
                # A failed pair goes for any new one: after long uptime the list would fill with
                # the addresses that a roaming peer has left.
                is_lower = self.priority(other) < self.priority(pair)
                if other.state is state and (is_lower or state is PairState.FAILED):
                    self._pairs.remove(other)
                    if other in self._triggered:
                        self._triggered.remove(other)
                    return True
        return False


def _can_reach(local: Address, remote: Address) -> bool:
    # RFC 8445 section 6.1.2.2: the same family, and link-local IPv6 only among themselves.
    return local.is_ipv6 == remote.is_ipv6 and _is_link_local(local) == _is_link_local(remote)


def _is_link_local(address: Address) -> bool:
    return address.is_ipv6 and address.host[:3] in ("fe8", "fe9", "fea", "feb")
