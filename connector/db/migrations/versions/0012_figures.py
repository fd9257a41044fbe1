"""What operators watch: attempts counted, when webhooks were done with, where a payment began; and indexes for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Name, table, columns, and the few rows it holds (empty: all of them).
_INDEXES = (
    ("ix_work_unfinished", "work", ["merchant_id", "state", "next_at"], "state <> 'done'"),
    ("ix_work_finished", "work", ["finished_at"], "finished_at IS NOT NULL"),
    ("ix_deliveries_processed", "deliveries", ["processed_at"], "processed_at IS NOT NULL"),
    ("ix_postings_posted", "postings", ["posted_at"], "posted_at IS NOT NULL"),
    ("ix_postings_open", "postings", ["state"], "state IN ('queued', 'sending', 'reversing', 'needs_review')"),
    ("ix_sessions_expires_at", "sessions", ["expires_at"], ""),
    ("ix_codes_expires_at", "codes", ["expires_at"], ""),
    ("ix_oauth_states_expires_at", "oauth_states", ["expires_at"], ""),
    ("ix_mails_created_at", "mails", ["created_at"], ""),
)


def upgrade() -> None:
    """Add the table, the columns and the indexes; a version before this one goes on working beside them."""
    op.create_table(
        "work_tallies",
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "outcome", "shard", name="pk_work_tallies"),
    )
    op.add_column("deliveries", sa.Column("processed_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE deliveries SET processed_at = received_at WHERE state <> 'new'")
    op.add_column("payments", sa.Column("correlation", sa.String(32), server_default="", nullable=False))
    for name, table, columns, where in _INDEXES:
        some = sa.text(where) if where else None
        op.create_index(name, table, columns, sqlite_where=some, postgresql_where=some)


def downgrade() -> None:
    """Take them away."""
    for name, table, *_ in reversed(_INDEXES):
        op.drop_index(name, table_name=table)
    op.drop_column("payments", "correlation")
    op.drop_column("deliveries", "processed_at")
    op.drop_table("work_tallies")
