"""Rooms, participants and published tracks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rooms",
        sa.Column("sid", sa.String(34), primary_key=True),
        sa.Column("account_sid", sa.String(34), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("ad_hoc", sa.Boolean, nullable=False),
        sa.Column("settings", sa.Text, nullable=False, comment="RoomSettings as a JSON object"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
    )
    op.create_index("ix_rooms_account_created", "rooms", ["account_sid", "created_at", "sid"])
    op.create_index(
        "uq_rooms_in_progress_name",
        "rooms",
        ["account_sid", "name"],
        unique=True,
        sqlite_where=sa.text("status = 'in-progress'"),
        postgresql_where=sa.text("status = 'in-progress'"),
    )
    op.create_table(
        "participants",
        sa.Column("sid", sa.String(34), primary_key=True),
        sa.Column("room_sid", sa.String(34), sa.ForeignKey("rooms.sid"), nullable=False),
        sa.Column("account_sid", sa.String(34), nullable=False),
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
    )
    op.create_index(
        "ix_participants_room_created", "participants", ["room_sid", "created_at", "sid"]
    )
    op.create_index("ix_participants_room_identity", "participants", ["room_sid", "identity"])
    op.create_index(
        "ix_participants_live",
        "participants",
        ["sid"],
        sqlite_where=sa.text("status <> 'disconnected'"),
        postgresql_where=sa.text("status <> 'disconnected'"),
    )
    op.create_table(
        "tracks",
        sa.Column("sid", sa.String(34), primary_key=True),
        sa.Column("room_sid", sa.String(34), sa.ForeignKey("rooms.sid"), nullable=False),
        sa.Column(
            "participant_sid", sa.String(34), sa.ForeignKey("participants.sid"), nullable=False
        ),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger),
        sa.Column("unpublished_at", sa.BigInteger),
    )
    op.create_index(
        "ix_tracks_participant_created", "tracks", ["participant_sid", "created_at", "sid"]
    )
    op.create_index(
        "ix_tracks_live",
        "tracks",
        ["sid"],
        sqlite_where=sa.text("unpublished_at IS NULL"),
        postgresql_where=sa.text("unpublished_at IS NULL"),
    )
