"""Rooms that were recorded are noted until composition hooks have run over them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "hooks_due",
        sa.Column("room_sid", sa.String(34), primary_key=True),
        sa.Column("account_sid", sa.String(34), nullable=False),
    )
    op.execute(
        "INSERT INTO hooks_due (room_sid, account_sid)"
        " SELECT DISTINCT r.sid, r.account_sid FROM rooms r JOIN recordings m ON m.room_sid = r.sid"
        " WHERE r.status = 'in-progress'"
    )
