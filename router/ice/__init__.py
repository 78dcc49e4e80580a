"""
ICE: a full agent, and the signaling side of a lite one (RFC 8445, 8838, 7675, 8863).

One component and one data stream, as with BUNDLE and rtcp-mux, over UDP. Knowing deviations:

- RFC 8838 section 8.1, the agent fails only after end-of-candidates: ours fails when all pairs have
  failed and RFC 8863's time is over, as many peers never signal the end.
- RFC 8445 section 8.1.2, a selected pair changes only by a restart: when the selected path has gone
  silent and authentic checks of the peer come from another address, ours follows it there.
- RFC 7675 section 5.1, consent is checked every 5 s: ours is after 1 s while a check is unanswered.
- RFC 8445 section 5.1.1.2, server reflexive and relayed candidates are not gathered: peers learn
  the addresses of this side from its checks.
"""

from .agent import IceAgent
from .candidate import (
    Candidate,
    CandidateType,
    RelatedAddress,
    compute_foundation,
    compute_priority,
    host_candidate,
    parse_candidate,
)
from .credentials import IceCredentials, generate_credentials
from .events import (
    ConsentExpired,
    IceConfig,
    IceEvent,
    IceState,
    LocalCandidateAdded,
    SelectedPairChanged,
    StateChanged,
)
from .lite import IceLiteEndpoint, lite_candidates

__all__ = [
    "Candidate",
    "CandidateType",
    "ConsentExpired",
    "IceAgent",
    "IceConfig",
    "IceCredentials",
    "IceEvent",
    "IceLiteEndpoint",
    "IceState",
    "LocalCandidateAdded",
    "RelatedAddress",
    "SelectedPairChanged",
    "StateChanged",
    "compute_foundation",
    "compute_priority",
    "generate_credentials",
    "host_candidate",
    "lite_candidates",
    "parse_candidate",
]
