"""Lists of rooms cost no more when many have ended: each names a status, and perhaps a name."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_rooms_account_created", "rooms")
    op.create_index(
        "ix_rooms_account_status_created", "rooms", ["account_sid", "status", "created_at", "sid"]
    )
    op.create_index(
        "ix_rooms_account_name_created", "rooms", ["account_sid", "name", "created_at", "sid"]
    )
