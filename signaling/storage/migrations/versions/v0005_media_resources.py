"""Recordings, compositions, composition hooks, media settings, transcriptions."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recordings",
        sa.Column("sid", sa.String(34), primary_key=True),
        sa.Column("account_sid", sa.String(34), nullable=False),
        sa.Column("room_sid", sa.String(34), nullable=False),
        sa.Column("participant_sid", sa.String(34), nullable=False),
        sa.Column("source_sid", sa.String(34), nullable=False),
        sa.Column("track_name", sa.Text, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("codec", sa.String(8), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("offset_ms", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("duration", sa.Integer, nullable=False),
        sa.Column("status_callback", sa.Text),
        sa.Column("status_callback_method", sa.String(8), nullable=False),
    )
    op.create_index(
        "ix_recordings_account_created", "recordings", ["account_sid", "created_at", "sid"]
    )
    op.create_index("ix_recordings_room_created", "recordings", ["room_sid", "created_at", "sid"])
    op.create_table(
        "compositions",
        sa.Column("sid", sa.String(34), primary_key=True),
        sa.Column("account_sid", sa.String(34), nullable=False),
        sa.Column("room_sid", sa.String(34), nullable=False),
        sa.Column("hook_sid", sa.String(34)),
        sa.Column("plan", sa.Text, nullable=False, comment="CompositionPlan as a JSON object"),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("completed_at", sa.BigInteger),
        sa.Column("deleted_at", sa.BigInteger),
        sa.Column("failure_code", sa.Integer),
        sa.Column("bitrate", sa.BigInteger, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("duration", sa.Integer, nullable=False),
    )
    op.create_index(
        "ix_compositions_account_created", "compositions", ["account_sid", "created_at", "sid"]
    )
    op.create_index(
        "ix_compositions_room_created", "compositions", ["room_sid", "created_at", "sid"]
    )
    op.create_index(
        "ix_compositions_waiting",
        "compositions",
        ["room_sid"],
        sqlite_where=sa.text("status = 'enqueued'"),
        postgresql_where=sa.text("status = 'enqueued'"),
    )
    op.create_table(
        "composition_hooks",
        sa.Column("sid", sa.String(34), primary_key=True),
        sa.Column("account_sid", sa.String(34), nullable=False),
        sa.Column("friendly_name", sa.Text, nullable=False),
        sa.Column("folded_name", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("plan", sa.Text, nullable=False, comment="CompositionPlan as a JSON object"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger),
    )
    op.create_index(
        "ix_composition_hooks_account_created",
        "composition_hooks",
        ["account_sid", "created_at", "sid"],
    )
    op.create_index(
        "uq_composition_hooks_name",
        "composition_hooks",
        ["account_sid", "friendly_name"],
        unique=True,
    )
    op.create_table(
        "media_settings",
        sa.Column("account_sid", sa.String(34), primary_key=True),
        sa.Column("subject", sa.String(16), primary_key=True),
        sa.Column("friendly_name", sa.Text, nullable=False),
        sa.Column("aws_credentials_sid", sa.String(34)),
        sa.Column("aws_s3_url", sa.Text),
        sa.Column("encryption_key_sid", sa.String(34)),
    )
    op.create_table(
        "transcriptions",
        sa.Column("sid", sa.String(64), primary_key=True),
        sa.Column("account_sid", sa.String(34), nullable=False),
        sa.Column(
            "room_sid",
            sa.String(34),
            sa.ForeignKey("rooms.sid", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("configuration", sa.Text, nullable=False, comment="a JSON object"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
    )
    op.create_index("uq_transcriptions_room", "transcriptions", ["room_sid"], unique=True)
