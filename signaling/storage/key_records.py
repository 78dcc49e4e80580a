"""The rows of API keys and revocations."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRecord:
    """An API key."""

    sid: str
    account_sid: str
    friendly_name: str | None
    secret: str | None = field(repr=False)
    """None for the key that the settings or the account file hold, and once it is deleted."""
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    """A deleted key keeps its row, so that the settings cannot bring it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationRecord:
    """Tokens that were taken back: one of ``jti``, ``identity`` and ``key_sid`` is given."""

    sid: str
    account_sid: str
    jti: str | None
    identity: str | None
    key_sid: str | None
    created_at: datetime
