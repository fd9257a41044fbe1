"""Payments, the ledger, and what must stand in the systems' books."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Date, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from connector.db.tables.schema import Id, instant_column, merchant_column, metadata, some_rows, text_column


def _payment() -> Column[str]:
    return Column("payment_id", String(32), ForeignKey("payments.id"), nullable=False)


# `booked`: what the ledger holds for this payment now (received less returned and refunded).
# `form_key`: the form the customer sent, so that sending it twice finds the same payment.
# `correlation`: the request in which the customer pressed Pay; log lines of all that follows carry it.
payments = Table(
    "payments",
    metadata,
    Column("id", String(32), primary_key=True),
    merchant_column(),
    Column("connection_id", Id, ForeignKey("connections.id"), nullable=False),
    Column("customer", String(64), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("gateway", String(30), nullable=False),
    Column("gateway_ref", String(80)),
    text_column("checkout_url"),
    Column("state", String(20), nullable=False),
    text_column("method"),
    text_column("failure"),
    Column("refunded", BigInteger, nullable=False, server_default="0"),
    Column("booked", BigInteger, nullable=False, server_default="0"),
    Column("form_key", String(64), nullable=False),
    Column("link_id", Id),
    Column("correlation", String(32), nullable=False, server_default=""),
    Column("receipt_hash", LargeBinary, nullable=False, unique=True),
    Column("sealed_receipt", LargeBinary, nullable=False),
    instant_column("created_at", nullable=False),
    instant_column("expires_at", nullable=False),
    instant_column("settled_at"),
    sa.UniqueConstraint("merchant_id", "form_key"),
    Index("ix_payments_gateway_ref", "gateway", "gateway_ref"),
    Index("ix_payments_listing", "merchant_id", "created_at"),
)

allocations = Table(
    "allocations",
    metadata,
    merchant_column(),
    _payment(),
    Column("invoice_id", Id, ForeignKey("invoices.id"), nullable=False),
    Column("amount", BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("payment_id", "invoice_id"),
    Index(None, "invoice_id"),
)

# One row while a payment of the invoice is under way: its primary key is what makes two tabs one payment.
invoice_locks = Table(
    "invoice_locks",
    metadata,
    merchant_column(),
    Column("invoice_id", Id, ForeignKey("invoices.id"), primary_key=True, autoincrement=False),
    _payment(),
    instant_column("since", nullable=False),
    Index(None, "payment_id"),
)

# The timeline "we sent, they answered". actor: customer, staff, us, gateway, system
payment_events = Table(
    "payment_events",
    metadata,
    Column("id", Id, primary_key=True),
    merchant_column(),
    _payment(),
    instant_column("at", nullable=False),
    Column("actor", String(12), nullable=False),
    Column("what", Text, nullable=False),
    text_column("detail"),
    Index(None, "payment_id", "id"),
)

# state: asked, sending, sent, settled, refused
refunds = Table(
    "refunds",
    metadata,
    Column("id", String(32), primary_key=True),
    merchant_column(),
    _payment(),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    text_column("reason"),
    Column("state", String(12), nullable=False),
    text_column("problem"),
    instant_column("created_at", nullable=False),
    Index(None, "payment_id"),
)

# Lines are written before their entry; a trigger lets an entry in only when its lines sum to zero in each currency,
# and every later change is refused (see the first migration). `reason` makes an entry repeatable.
ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("id", String(32), primary_key=True),
    merchant_column(),
    Column("kind", String(20), nullable=False),
    Column("payment_id", String(32), nullable=False),
    Column("reason", String(120), nullable=False),
    instant_column("at", nullable=False),
    sa.UniqueConstraint("merchant_id", "reason"),
    Index(None, "payment_id"),
)

ledger_lines = Table(
    "ledger_lines",
    metadata,
    Column(
        "entry_id", String(32), ForeignKey("ledger_entries.id", deferrable=True, initially="DEFERRED"), nullable=False
    ),
    merchant_column(),
    Column("position", Integer, nullable=False),
    Column("account", String(80), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    sa.PrimaryKeyConstraint("entry_id", "position"),
    Index(None, "merchant_id", "account"),
)

# One row per (connection, payment, part, generation): what must stand in that system's books.
# state: queued, sending, posted, needs_review, superseded, reversing, reversed
postings = Table(
    "postings",
    metadata,
    Column("key", String(32), primary_key=True),
    merchant_column(),
    Column("connection_id", Id, ForeignKey("connections.id"), nullable=False),
    _payment(),
    Column("part", String(64), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("state", String(14), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("allocations", Text, nullable=False),
    Column("paid_on", Date, nullable=False),
    text_column("remote_id"),
    text_column("remote_version"),
    text_column("problem"),
    instant_column("sent_at"),
    instant_column("posted_at"),
    instant_column("verified_at"),
    instant_column("changed_at", nullable=False),
    sa.UniqueConstraint("connection_id", "payment_id", "part", "generation"),
    Index(None, "payment_id"),
    some_rows("ix_postings_posted", "posted_at", where="posted_at IS NOT NULL"),
    some_rows("ix_postings_open", "state", where="state IN ('queued', 'sending', 'reversing', 'needs_review')"),
)
