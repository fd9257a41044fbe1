"""What is done by the clock, as rows that can be looked at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008b"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NAMED = "(SELECT current_setting('app.merchant', true))"


def upgrade() -> None:
    """Create schedules."""
    op.create_table(
        "schedules",
        sa.Column("id", sa.String(length=60), nullable=False),
        sa.Column("merchant_id", _ID, nullable=True),
        sa.Column("connection_id", _ID, nullable=True),
        sa.Column("task", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("last_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), server_default="", nullable=False),
        sa.Column("work_id", sa.Text(), server_default="", nullable=False),
        sa.Column("progress", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name=op.f("fk_schedules_merchant_id")),
        sa.ForeignKeyConstraint(["connection_id"], ["connections.id"], name=op.f("fk_schedules_connection_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
    )
    op.create_index("ix_schedules_due", "schedules", ["state", "next_at"], unique=False)
    op.create_index(
        op.f("ix_schedules_merchant_id_connection_id"), "schedules", ["merchant_id", "connection_id"], unique=False
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE schedules ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE schedules FORCE ROW LEVEL SECURITY")
        op.execute(
            "CREATE POLICY one_merchant ON schedules "
            f"USING ({_NAMED} = '*' OR merchant_id::text = {_NAMED}) "
            f"WITH CHECK ({_NAMED} = '*' OR merchant_id::text = {_NAMED})"
        )


def downgrade() -> None:
    """Forget when what was done; all of it is planned anew by the next worker."""
    op.drop_table("schedules")
