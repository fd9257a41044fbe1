"""Calls counted in a rolling window, for limits that are a budget rather than a pace: a minute's, a day's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008b"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "budgets",
        sa.Column("key", sa.String(120), nullable=False),
        sa.Column("part", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", "part", name="pk_budgets"),
    )


def downgrade() -> None:
    """Forget what has been counted."""
    op.drop_table("budgets")
