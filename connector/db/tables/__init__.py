"""Every table, as SQLAlchemy Core. Amounts are minor units (BIGINT) beside their currency; instants are UTC.

All tables carry `merchant_id` except those named in INSTALLATION_WIDE.
"""

from connector.db.tables.books import (
    connections,
    contacts,
    cursors,
    customers,
    deposit_accounts,
    invoices,
    links,
    oauth_states,
    placements,
    recurring_profiles,
    secrets,
    sync_problems,
    upstream_payments,
)
from connector.db.tables.machinery import budgets, deliveries, executors, leases, limits, slots, work, work_tallies
from connector.db.tables.money import (
    allocations,
    invoice_locks,
    ledger_entries,
    ledger_lines,
    payment_events,
    payments,
    postings,
    refunds,
)
from connector.db.tables.people import audit_log, codes, mails, memberships, merchants, sessions, users
from connector.db.tables.schema import Instant, instant_to_micros, metadata, micros_to_instant
from connector.db.tables.tasks import differences, schedules

INSTALLATION_WIDE = {
    "merchants", "users", "deliveries", "limits", "budgets", "slots", "leases", "executors", "work_tallies",
}  # fmt: skip

__all__ = [
    "INSTALLATION_WIDE",
    "Instant",
    "allocations",
    "audit_log",
    "budgets",
    "codes",
    "connections",
    "contacts",
    "cursors",
    "customers",
    "deliveries",
    "deposit_accounts",
    "differences",
    "executors",
    "instant_to_micros",
    "invoice_locks",
    "invoices",
    "leases",
    "ledger_entries",
    "ledger_lines",
    "limits",
    "links",
    "mails",
    "memberships",
    "merchants",
    "metadata",
    "micros_to_instant",
    "oauth_states",
    "payment_events",
    "payments",
    "placements",
    "postings",
    "recurring_profiles",
    "refunds",
    "schedules",
    "secrets",
    "sessions",
    "slots",
    "sync_problems",
    "upstream_payments",
    "users",
    "work",
    "work_tallies",
]
