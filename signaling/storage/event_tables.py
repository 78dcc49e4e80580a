"""The table of events."""

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, String, Table, Text, text

from signaling.storage.tables import UtcMicroseconds, metadata

events = Table(
    "events",
    metadata,
    Column("sid", String(34), primary_key=True),
    Column("account_sid", String(34), nullable=False),
    Column("room_sid", String(34), ForeignKey("rooms.sid"), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("name", String(32), nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("participant_sid", String(34)),
    Column("parameters", JSON, nullable=False),
    Column("url", Text),
    Column("method", String(4), nullable=False),
    Column("delivery", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcMicroseconds),
    Column("settled_at", UtcMicroseconds),
    Column("error", Text),
    Index("uq_events_room_sequence", "room_sid", "sequence", unique=True),
    Index(
        "ix_events_pending",
        "room_sid",
        "sequence",
        sqlite_where=text("delivery = 'pending'"),
        postgresql_where=text("delivery = 'pending'"),
    ),
    Index("ix_events_participant", "participant_sid"),
)
