"""The tables as the newest migration leaves them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UtcMicroseconds(TypeDecorator[datetime]):
    """
    An aware datetime, kept as integer microseconds since 1970-01-01T00:00:00Z.

    Integers sort and compare alike in every database and lose no microsecond, which the pages' keys
    rely on.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + int(value) * _MICROSECOND


class Words(TypeDecorator[str]):
    """
    A text that clients choose. PostgreSQL takes none with a NUL: it becomes U+FFFD there, in rows
    and in questions alike.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is not None and dialect.name == "postgresql":
            return value.replace("\0", "\ufffd")
        return value


metadata = MetaData()

rooms = Table(
    "rooms",
    metadata,
    Column("sid", String(34), primary_key=True),
    Column("account_sid", String(34), nullable=False),
    Column("name", Words, nullable=False),
    Column("status", String(16), nullable=False),
    Column("ad_hoc", Boolean, nullable=False),
    Column("settings", Text, nullable=False, comment="RoomSettings as a JSON object"),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("updated_at", UtcMicroseconds, nullable=False),
    Column("ended_at", UtcMicroseconds),
    Column("recording_rules", Text, comment="JSON; NULL when none were ever given"),
    Column("recording_rules_created_at", UtcMicroseconds),
    Column("recording_rules_updated_at", UtcMicroseconds),
    Index("ix_rooms_account_status_created", "account_sid", "status", "created_at", "sid"),
    Index("ix_rooms_account_name_created", "account_sid", "name", "status", "created_at", "sid"),
)
Index(
    "uq_rooms_in_progress_name",
    rooms.c.account_sid,
    rooms.c.name,
    unique=True,
    sqlite_where=text("status = 'in-progress'"),
    postgresql_where=text("status = 'in-progress'"),
)

participants = Table(
    "participants",
    metadata,
    Column("sid", String(34), primary_key=True),
    Column("room_sid", String(34), ForeignKey("rooms.sid"), nullable=False),
    Column("account_sid", String(34), nullable=False),
    Column("identity", Words, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("updated_at", UtcMicroseconds, nullable=False),
    Column("ended_at", UtcMicroseconds),
    Column("subscribe_rules", Text, comment="JSON; NULL includes all"),
    Column("subscribe_rules_created_at", UtcMicroseconds),
    Column("subscribe_rules_updated_at", UtcMicroseconds),
    Index("ix_participants_room_created", "room_sid", "created_at", "sid"),
    Index("ix_participants_room_identity", "room_sid", "identity"),
    Index(
        "ix_participants_live",
        "sid",
        sqlite_where=text("status <> 'disconnected'"),
        postgresql_where=text("status <> 'disconnected'"),
    ),
)

tracks = Table(
    "tracks",
    metadata,
    Column("sid", String(34), primary_key=True),
    Column("room_sid", String(34), ForeignKey("rooms.sid"), nullable=False),
    Column("participant_sid", String(34), ForeignKey("participants.sid"), nullable=False),
    Column("name", Words, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("updated_at", UtcMicroseconds),
    Column("unpublished_at", UtcMicroseconds),
    Index("ix_tracks_participant_created", "participant_sid", "created_at", "sid"),
    Index(
        "ix_tracks_live",
        "sid",
        sqlite_where=text("unpublished_at IS NULL"),
        postgresql_where=text("unpublished_at IS NULL"),
    ),
)
