"""The tables of recordings, compositions, hooks, their settings, and transcriptions."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)

from signaling.storage.tables import UtcMicroseconds, Words, metadata

recordings = Table(
    "recordings",
    metadata,
    Column("sid", String(34), primary_key=True),
    Column("account_sid", String(34), nullable=False),
    Column("room_sid", String(34), nullable=False),
    Column("participant_sid", String(34), nullable=False),
    Column("source_sid", String(34), nullable=False),
    Column("track_name", Words, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("codec", String(8), nullable=False),
    Column("status", String(16), nullable=False),
    Column("offset_ms", BigInteger, nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("duration", Integer, nullable=False),
    Column("status_callback", Text),
    Column("status_callback_method", String(8), nullable=False),
    Index("ix_recordings_account_created", "account_sid", "created_at", "sid"),
    Index("ix_recordings_room_created", "room_sid", "created_at", "sid"),
)

compositions = Table(
    "compositions",
    metadata,
    Column("sid", String(34), primary_key=True),
    Column("account_sid", String(34), nullable=False),
    Column("room_sid", String(34), nullable=False),
    # A hook may be deleted; what it made stays.
    Column("hook_sid", String(34)),
    Column("plan", Text, nullable=False, comment="CompositionPlan as a JSON object"),
    Column("status", String(16), nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("completed_at", UtcMicroseconds),
    Column("deleted_at", UtcMicroseconds),
    Column("failure_code", Integer),
    Column("bitrate", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("duration", Integer, nullable=False),
    Index("ix_compositions_account_created", "account_sid", "created_at", "sid"),
    Index("ix_compositions_room_created", "room_sid", "created_at", "sid"),
)
Index(
    "ix_compositions_waiting",
    compositions.c.room_sid,
    sqlite_where=text("status = 'enqueued'"),
    postgresql_where=text("status = 'enqueued'"),
)

composition_hooks = Table(
    "composition_hooks",
    metadata,
    Column("sid", String(34), primary_key=True),
    Column("account_sid", String(34), nullable=False),
    Column("friendly_name", Words, nullable=False),
    # What FriendlyName of a list is compared with.
    Column("folded_name", Words, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("plan", Text, nullable=False, comment="CompositionPlan as a JSON object"),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("updated_at", UtcMicroseconds),
    Index("ix_composition_hooks_account_created", "account_sid", "created_at", "sid"),
    Index("uq_composition_hooks_name", "account_sid", "friendly_name", unique=True),
)

# Rooms that were recorded, until the hooks have run over them.
hooks_due = Table(
    "hooks_due",
    metadata,
    Column("room_sid", String(34), primary_key=True),
    Column("account_sid", String(34), nullable=False),
)

media_settings = Table(
    "media_settings",
    metadata,
    Column("account_sid", String(34), primary_key=True),
    Column("subject", String(16), primary_key=True),
    Column("friendly_name", Words, nullable=False),
    Column("aws_credentials_sid", String(34)),
    Column("aws_s3_url", Text),
    Column("encryption_key_sid", String(34)),
)

transcriptions = Table(
    "transcriptions",
    metadata,
    Column("sid", String(64), primary_key=True),
    Column("account_sid", String(34), nullable=False),
    Column("room_sid", String(34), ForeignKey("rooms.sid", ondelete="CASCADE"), nullable=False),
    Column("status", String(16), nullable=False),
    Column("configuration", Text, nullable=False, comment="a JSON object"),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("updated_at", UtcMicroseconds, nullable=False),
    Column("started_at", UtcMicroseconds),
    Column("ended_at", UtcMicroseconds),
    Index("uq_transcriptions_room", "room_sid", unique=True),
)
