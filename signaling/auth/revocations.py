"""Access tokens that were taken back before they expired."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol


class Subject(Enum):
    """What a revocation names."""

    JTI = "jti"
    """The token with this ``jti``, whenever it was issued."""
    IDENTITY = "identity"
    """All tokens of a participant that were issued until the revocation."""
    KEY_SID = "key_sid"
    """All tokens that were signed with a key until the revocation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """One revocation."""

    sid: str
    subject: Subject
    value: str
    revoked_at: datetime


class TokenFacts(Protocol):
    """What has to be known of a token."""

    @property
    def jti(self) -> str | None: ...
    @property
    def identity(self) -> str: ...
    @property
    def key_sid(self) -> str: ...
    @property
    def issued_at(self) -> datetime | None: ...


class Revocations:
    """All revocations in force."""

    def __init__(self) -> None:
        self._by_sid: dict[str, Revocation] = {}
        self._by_value: dict[tuple[Subject, str], dict[str, datetime]] = {}

    def add(self, revocation: Revocation) -> None:
        """Let a revocation count from now on."""
        self._by_sid[revocation.sid] = revocation
        times = self._by_value.setdefault((revocation.subject, revocation.value), {})
        times[revocation.sid] = revocation.revoked_at

    def remove(self, sid: str) -> None:
        """Forget a revocation; one that is unknown changes nothing."""
        revocation = self._by_sid.pop(sid, None)
        if revocation is None:
            return
        key = (revocation.subject, revocation.value)
        del self._by_value[key][sid]
        if not self._by_value[key]:
            del self._by_value[key]

    def include(self, token: TokenFacts) -> bool:
        """Tell whether a token was taken back."""
        if token.jti is not None and (Subject.JTI, token.jti) in self._by_value:
            return True
        return any(
            # A token that does not say when it was issued cannot claim to be newer; one of the
            # same second counts as older, because tokens tell whole seconds.
            token.issued_at is None or token.issued_at <= revoked_at
            for subject, value in (
                (Subject.IDENTITY, token.identity),
                (Subject.KEY_SID, token.key_sid),
            )
            for revoked_at in self._by_value.get((subject, value), {}).values()
        )
