"""The tables of API keys and revocations."""

from sqlalchemy import Column, Index, String, Table, Text

from signaling.storage.tables import UtcMicroseconds, Words, metadata

api_keys = Table(
    "api_keys",
    metadata,
    Column("sid", String(34), primary_key=True),
    Column("account_sid", String(34), nullable=False),
    Column("friendly_name", Words),
    # Not a digest: it is the key that access tokens are verified with.
    Column("secret", Text),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("updated_at", UtcMicroseconds, nullable=False),
    Column("deleted_at", UtcMicroseconds),
    Index("ix_api_keys_account_created", "account_sid", "created_at", "sid"),
)

revocations = Table(
    "revocations",
    metadata,
    Column("sid", String(34), primary_key=True),
    Column("account_sid", String(34), nullable=False),
    Column("jti", Words),
    Column("identity", Words),
    Column("key_sid", String(34)),
    Column("created_at", UtcMicroseconds, nullable=False),
    Index("ix_revocations_account_created", "account_sid", "created_at", "sid"),
)
