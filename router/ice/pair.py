"""Candidate pairs and their states (RFC 8445 section 6.1.2)."""

import enum

from ..net import Address
from .candidate import Candidate


class PairState(enum.Enum):
    """The states of RFC 8445 section 6.1.2.6."""

    FROZEN = "frozen"
    WAITING = "waiting"
    IN_PROGRESS = "in progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class PairInput(enum.Enum):
    """What moves a pair from state to state."""

    UNFREEZE = "unfreeze"
    TRIGGER = "trigger"
    """The peer checked this pair, or it must be checked again after a role conflict."""
    CHECK_SENT = "check sent"
    CHECK_SUCCEEDED = "check succeeded"
    CHECK_FAILED = "check failed"


TRANSITIONS = {
    (PairState.FROZEN, PairInput.UNFREEZE): PairState.WAITING,
    (PairState.WAITING, PairInput.CHECK_SENT): PairState.IN_PROGRESS,
    (PairState.IN_PROGRESS, PairInput.CHECK_SUCCEEDED): PairState.SUCCEEDED,
    (PairState.IN_PROGRESS, PairInput.CHECK_FAILED): PairState.FAILED,
    # RFC 8445 section 7.3.1.4: the check in progress is cancelled and a new one is made, yet an
    # answer to the first is as good.
    (PairState.FROZEN, PairInput.TRIGGER): PairState.WAITING,
    (PairState.WAITING, PairInput.TRIGGER): PairState.WAITING,
    (PairState.IN_PROGRESS, PairInput.TRIGGER): PairState.WAITING,
    (PairState.FAILED, PairInput.TRIGGER): PairState.WAITING,
    (PairState.WAITING, PairInput.CHECK_SUCCEEDED): PairState.SUCCEEDED,
    # ... also when the newer one was refused before the older one was answered.
    (PairState.FAILED, PairInput.CHECK_SUCCEEDED): PairState.SUCCEEDED,
    # The nominating check of a valid pair leaves it valid, or shows that it no longer is.
    (PairState.SUCCEEDED, PairInput.CHECK_SUCCEEDED): PairState.SUCCEEDED,
    (PairState.SUCCEEDED, PairInput.CHECK_FAILED): PairState.FAILED,
    # ... or meets a role conflict, after which it is made again.
    (PairState.SUCCEEDED, PairInput.TRIGGER): PairState.WAITING,
}


class CandidatePair:
    """
    A local and a remote candidate, and what is known of the path between them.

    Compared by identity. ``local`` is always a base: what is sent on the pair leaves from it.
    """

    __slots__ = (
        "is_nominating",
        "local",
        "local_address",
        "mapped_address",
        "remote",
        "remote_address",
        "state",
        "use_candidate_received",
        "validated_at",
    )

    def __init__(
        self,
        local: Candidate,
        remote: Candidate,
        *,
        local_address: Address,
        remote_address: Address,
    ) -> None:
        self.local = local
        self.remote = remote
        self.local_address = local_address
        self.remote_address = remote_address
        self.state = PairState.FROZEN
        self.is_nominating = False
        """Whether the next check, or the one in flight, carries USE-CANDIDATE."""
        self.use_candidate_received = False
        """Whether the peer has nominated the pair before we found it valid."""
        self.validated_at: float | None = None
        """When the last check succeeded."""
        self.mapped_address: Address | None = None
        """How the peer sees us on this path."""

    def __repr__(self) -> str:
        return f"CandidatePair({self.local_address} -> {self.remote_address}, {self.state.value})"

    @property
    def foundation(self) -> tuple[str, str]:
        """Pairs of equal foundation are likely to share their fate."""
        return (self.local.foundation, self.remote.foundation)

    def can_apply(self, pair_input: PairInput) -> bool:
        """Return whether the input means anything in the pair's state."""
        return (self.state, pair_input) in TRANSITIONS

    def apply(self, pair_input: PairInput) -> None:
        """Move to the next state."""
        self.state = TRANSITIONS[self.state, pair_input]

    def priority(self, *, is_controlling: bool) -> int:
        """Return the pair priority of RFC 8445 section 6.1.2.3."""
        controlling, controlled = self.local.priority, self.remote.priority
        if not is_controlling:
            controlling, controlled = controlled, controlling
        low, high = sorted((controlling, controlled))
        return (low << 32) + 2 * high + (controlling > controlled)
