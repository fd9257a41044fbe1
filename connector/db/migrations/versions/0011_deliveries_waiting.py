"""Find a sender's waiting deliveries among all those kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_NEW = sa.text("state = 'new'")


def upgrade() -> None:
    """Index what waits, and nothing else."""
    op.create_index("ix_deliveries_waiting", "deliveries", ["sender", "id"], postgresql_where=_NEW, sqlite_where=_NEW)


def downgrade() -> None:
    """Search among all again."""
    op.drop_index("ix_deliveries_waiting", table_name="deliveries")
