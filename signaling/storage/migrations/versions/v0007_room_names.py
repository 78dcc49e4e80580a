"""Lists of the rooms of one name cost no more when many of them have ended."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_rooms_account_name_created", "rooms")
    op.create_index(
        "ix_rooms_account_name_created",
        "rooms",
        ["account_sid", "name", "status", "created_at", "sid"],
    )
