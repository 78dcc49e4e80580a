"""What an agent is told at the start, and what it reports."""

import enum
from dataclasses import dataclass

from ..net import Address
from ..stun.transaction import RC, RM, RTO_INITIAL
from .candidate import Candidate
from .consent import CONSENT_INTERVAL, CONSENT_LIFETIME


class IceState(enum.Enum):
    """
    The state of an agent, in the words of W3C's RTCIceTransportState.

    There is no "completed": nomination ends the checks, so that connected is completed.
    """

    NEW = "new"
    CHECKING = "checking"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    FAILED = "failed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class IceConfig:
    """Settings of an agent; times in seconds."""

    ta: float = 0.05
    """Between two checks (RFC 8445 section 14.2)."""
    rto: float = RTO_INITIAL
    """Least retransmission timeout; it grows with the number of checks at a time (14.3)."""
    rc: int = RC
    """How often a check is sent at most."""
    rm: float = RM
    """How many ``rto`` the last transmission of a check is given."""
    nomination_delay: float = 0.25
    """For how long after the first valid pair the controlling agent waits for a better one."""
    patience: float = 39.5
    """Least time before failure, in which a peer's check may still open a path (RFC 8863)."""
    consent_interval: float = CONSENT_INTERVAL
    consent_lifetime: float = CONSENT_LIFETIME
    disconnected_timeout: float = 12.5
    """Without an answer for this long, about seven checks in a row, the agent is disconnected."""
    max_candidate_pairs: int = 100
    max_remote_candidates: int = 64

    def __post_init__(self) -> None:
        if min(self.ta, self.rto, self.consent_interval) <= 0 or self.rc < 1:
            raise ValueError("ta, rto and consent_interval are positive and rc is at least 1")
        if not self.disconnected_timeout < self.consent_lifetime:
            raise ValueError("disconnected_timeout is shorter than consent_lifetime")


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged:
    """The agent has another state."""

    state: IceState


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCandidateAdded:
    """A candidate to signal to the peer; after a restart, each comes again."""

    candidate: Candidate
    username_fragment: str
    """Of the generation that the candidate belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedPairChanged:
    """Application data goes by this path from now on."""

    local: Address
    remote: Address
    local_candidate: Candidate
    remote_candidate: Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentExpired:
    """The peer has not answered for ``consent_lifetime``; nothing may be sent on the pair."""

    local: Address
    remote: Address


IceEvent = StateChanged | LocalCandidateAdded | SelectedPairChanged | ConsentExpired
