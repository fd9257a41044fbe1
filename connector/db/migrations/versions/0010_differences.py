"""Where our view and a system's were found to differ, and when a posting was last seen to stand there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NAMED = "(SELECT current_setting('app.merchant', true))"


def upgrade() -> None:
    """Create differences; postings remember when they were last seen upstream."""
    op.create_table(
        "differences",
        sa.Column("id", _ID, nullable=False),
        sa.Column("merchant_id", _ID, nullable=False),
        sa.Column("connection_id", _ID, nullable=False),
        sa.Column("what", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("payment_id", sa.String(length=32), nullable=True),
        sa.Column("posting_key", sa.String(length=32), nullable=True),
        sa.Column("ours", sa.Text(), server_default="", nullable=False),
        sa.Column("theirs", sa.Text(), server_default="", nullable=False),
        sa.Column("cause", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("ending", sa.Text(), server_default="", nullable=False),
        sa.Column("found_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_by", _ID, nullable=True),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name=op.f("fk_differences_merchant_id")),
        sa.ForeignKeyConstraint(["connection_id"], ["connections.id"], name=op.f("fk_differences_connection_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_differences")),
        sa.UniqueConstraint("connection_id", "what", "subject", name=op.f("uq_differences_connection_id_what_subject")),
    )
    op.create_index(op.f("ix_differences_merchant_id_state"), "differences", ["merchant_id", "state"], unique=False)
    op.add_column("postings", sa.Column("verified_at", sa.BigInteger(), nullable=True))
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE differences ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE differences FORCE ROW LEVEL SECURITY")
        op.execute(
            "CREATE POLICY one_merchant ON differences "
            f"USING ({_NAMED} = '*' OR merchant_id::text = {_NAMED}) "
            f"WITH CHECK ({_NAMED} = '*' OR merchant_id::text = {_NAMED})"
        )


def downgrade() -> None:
    """Forget them."""
    op.drop_column("postings", "verified_at")
    op.drop_table("differences")
