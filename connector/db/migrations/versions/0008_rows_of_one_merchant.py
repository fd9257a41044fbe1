"""Row-level security on PostgreSQL: a second wall behind the repositories, which are bound to one merchant already.

A transaction names its merchant in `app.merchant`; '*' is the installation's own work. Nothing named: no rows.
Superusers pass by, so the product's role should not be one.
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLES = (
    "allocations",
    "audit_log",
    "codes",
    "connections",
    "contacts",
    "cursors",
    "customers",
    "deposit_accounts",
    "invoice_locks",
    "invoices",
    "ledger_entries",
    "ledger_lines",
    "links",
    "mails",
    "memberships",
    "oauth_states",
    "payment_events",
    "payments",
    "placements",
    "postings",
    "recurring_profiles",
    "refunds",
    "secrets",
    "sessions",
    "sync_problems",
    "upstream_payments",
    "work",
)
# The setting is read once a statement, not once a row, because it stands in a SELECT of its own.
_NAMED = "(SELECT current_setting('app.merchant', true))"


def upgrade() -> None:
    """Let every row be seen and written only for its own merchant."""
    if op.get_context().dialect.name == "sqlite":
        return
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY one_merchant ON {table} "
            f"USING ({_NAMED} = '*' OR merchant_id::text = {_NAMED}) "
            f"WITH CHECK ({_NAMED} = '*' OR merchant_id::text = {_NAMED})"
        )


def downgrade() -> None:
    """Take the policies away."""
    if op.get_context().dialect.name == "sqlite":
        return
    for table in _TABLES:
        op.execute(f"DROP POLICY one_merchant ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
