"""Events of rooms and their delivery."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("sid", sa.String(34), primary_key=True),
        sa.Column("account_sid", sa.String(34), nullable=False),
        sa.Column("room_sid", sa.String(34), sa.ForeignKey("rooms.sid"), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("participant_sid", sa.String(34)),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("method", sa.String(4), nullable=False),
        sa.Column("delivery", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger),
        sa.Column("settled_at", sa.BigInteger),
        sa.Column("error", sa.Text),
    )
    op.create_index("uq_events_room_sequence", "events", ["room_sid", "sequence"], unique=True)
    op.create_index(
        "ix_events_pending",
        "events",
        ["room_sid", "sequence"],
        sqlite_where=sa.text("delivery = 'pending'"),
        postgresql_where=sa.text("delivery = 'pending'"),
    )
    op.create_index("ix_events_participant", "events", ["participant_sid"])
