"""The table of subscriptions."""

from sqlalchemy import Column, ForeignKey, Index, String, Table

from signaling.storage.tables import UtcMicroseconds, metadata

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("sid", String(34), primary_key=True),
    Column("participant_sid", String(34), ForeignKey("participants.sid"), nullable=False),
    Column("publisher_sid", String(34), nullable=False),
    Column("track_sid", String(34), ForeignKey("tracks.sid"), nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("ended_at", UtcMicroseconds),
    Index("ix_subscriptions_participant_created", "participant_sid", "created_at", "sid"),
)
