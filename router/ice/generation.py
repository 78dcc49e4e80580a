"""What an ICE restart replaces (RFC 8445 section 9)."""

from typing import TYPE_CHECKING, NamedTuple

from ..net import Address
from .checklist import Checklist
from .credentials import IceCredentials

if TYPE_CHECKING:
    from .candidate import Candidate

_MAX_EARLY_CHECKS = 32


class EarlyCheck(NamedTuple):
    """An authentic check that came before the peer's credentials, with which to check back."""

    source: Address
    destination: Address
    priority: int
    use_candidate: bool


class Generation:
    """
    The credentials, remote candidates and checklist between two restarts.

    :param local: Fresh credentials.
    """

    def __init__(self, *, local: IceCredentials, checklist: Checklist) -> None:
        self.local = local
        self.remote: IceCredentials | None = None
        self.remote_is_lite = False
        self.remote_candidates: list[Candidate] = []
        self.has_all_remote_candidates = False
        self.checklist = checklist
        self.early_checks: list[EarlyCheck] = []
        """At most 32 of them."""
        self.checking_since: float | None = None
        self.first_valid_at: float | None = None
        self.heard_at: float | None = None
        """When the peer's last authentic check came."""

    def remember_early_check(self, check: EarlyCheck) -> None:
        """Keep a check for when the peer's credentials are known; a repetition takes no room."""
        if check not in self.early_checks and len(self.early_checks) < _MAX_EARLY_CHECKS:
            self.early_checks.append(check)
