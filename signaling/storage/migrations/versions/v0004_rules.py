"""Subscribe rules of participants, recording rules of rooms, and subscriptions."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # NULL in old rows is right: what they had then is what a row without rules means.
    none_given = "JSON; NULL when none were ever given"
    op.add_column("rooms", sa.Column("recording_rules", sa.Text, comment=none_given))
    op.add_column("rooms", sa.Column("recording_rules_created_at", sa.BigInteger))
    op.add_column("rooms", sa.Column("recording_rules_updated_at", sa.BigInteger))
    includes_all = "JSON; NULL includes all"
    op.add_column("participants", sa.Column("subscribe_rules", sa.Text, comment=includes_all))
    op.add_column("participants", sa.Column("subscribe_rules_created_at", sa.BigInteger))
    op.add_column("participants", sa.Column("subscribe_rules_updated_at", sa.BigInteger))
    op.create_table(
        "subscriptions",
        sa.Column("sid", sa.String(34), primary_key=True),
        sa.Column(
            "participant_sid", sa.String(34), sa.ForeignKey("participants.sid"), nullable=False
        ),
        sa.Column("publisher_sid", sa.String(34), nullable=False),
        sa.Column("track_sid", sa.String(34), sa.ForeignKey("tracks.sid"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
    )
    op.create_index(
        "ix_subscriptions_participant_created",
        "subscriptions",
        ["participant_sid", "created_at", "sid"],
    )
