"""What is connected, the mirror of what stands upstream, and the links that stand there."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, Date, ForeignKey, Index, LargeBinary, String, Table, Text

from connector.db.tables.schema import Id, instant_column, merchant_column, metadata, text_column


def _connection() -> Column[int]:
    return Column("connection_id", Id, ForeignKey("connections.id"), nullable=False)


# state: pending (dry run shown, nothing leaves), active, broken, disconnected
connections = Table(
    "connections",
    metadata,
    Column("id", Id, primary_key=True),
    merchant_column(),
    Column("system", String(30), nullable=False),
    text_column("tenant"),
    text_column("name"),
    text_column("currency"),
    Column("extra", sa.JSON, nullable=False),
    Column("state", String(20), nullable=False),
    Column("role", String(20), nullable=False, server_default="primary"),
    Column("history_start", Date),
    Column("place_links", Boolean, nullable=False, server_default=sa.true()),
    text_column("deposit_account"),
    Column("survey", sa.JSON),
    Column("install_key", String(40), unique=True),
    text_column("problem"),
    instant_column("created_at", nullable=False),
    instant_column("confirmed_at"),
    instant_column("first_import_done_at"),
    instant_column("last_synced_at"),
    instant_column("first_hit_at"),
    sa.UniqueConstraint("merchant_id", "system", "tenant"),
    Index(None, "system", "tenant"),
)

oauth_states = Table(
    "oauth_states",
    metadata,
    Column("state_hash", LargeBinary, primary_key=True),
    merchant_column(),
    Column("system", String(30), nullable=False),
    Column("session_hash", LargeBinary, nullable=False),
    Column("sealed_verifier", LargeBinary, nullable=False),
    Column("connection_id", Id),
    instant_column("created_at", nullable=False),
    instant_column("expires_at", nullable=False),
    instant_column("used_at"),
    Index("ix_oauth_states_expires_at", "expires_at"),
)

secrets = Table(
    "secrets",
    metadata,
    merchant_column(),
    Column("connection_id", Id, ForeignKey("connections.id"), primary_key=True, autoincrement=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("rotation", BigInteger, nullable=False, server_default="1"),
    instant_column("changed_at", nullable=False),
)

cursors = Table(
    "cursors",
    metadata,
    merchant_column(),
    _connection(),
    Column("kind", String(20), nullable=False),
    Column("cursor", Text, nullable=False),
    Column("first_done", Boolean, nullable=False, server_default=sa.false()),
    Column("seen", BigInteger, nullable=False, server_default="0"),
    Column("total", BigInteger),
    instant_column("updated_at", nullable=False),
    sa.PrimaryKeyConstraint("connection_id", "kind"),
)

# Records that could not be read: kept with their cause until they are read without fault.
sync_problems = Table(
    "sync_problems",
    metadata,
    Column("id", Id, primary_key=True),
    merchant_column(),
    _connection(),
    Column("kind", String(20), nullable=False),
    Column("remote_id", String(64), nullable=False),
    text_column("number"),
    text_column("why"),
    instant_column("seen_at", nullable=False),
    sa.UniqueConstraint("connection_id", "kind", "remote_id"),
)

customers = Table(
    "customers",
    metadata,
    Column("id", Id, primary_key=True),
    merchant_column(),
    _connection(),
    Column("remote_id", String(64), nullable=False),
    text_column("name"),
    text_column("number"),
    text_column("email"),
    text_column("phone"),
    text_column("currency"),
    text_column("parent"),
    Column("active", Boolean, nullable=False),
    text_column("version"),
    instant_column("updated_at"),
    sa.UniqueConstraint("connection_id", "remote_id"),
    Index("ix_customers_merchant_name", "merchant_id", "name"),
)

contacts = Table(
    "contacts",
    metadata,
    Column("id", Id, primary_key=True),
    merchant_column(),
    _connection(),
    Column("customer", String(64), nullable=False),
    text_column("name"),
    Column("email", String(254), nullable=False),
    text_column("phone"),
    Column("billing", Boolean, nullable=False),
    Index("ix_contacts_customer", "connection_id", "customer"),
    Index("ix_contacts_email", "merchant_id", "email"),
)

# Invoices, credit notes and estimates alike (`kind`); `customer` is the customer's remote id.
# `lines`: a JSON array of [description, quantity, unit price, amount, tax], replaced as a whole, never addressed alone.
invoices = Table(
    "invoices",
    metadata,
    Column("id", Id, primary_key=True),
    merchant_column(),
    _connection(),
    Column("remote_id", String(64), nullable=False),
    Column("kind", String(12), nullable=False),
    text_column("number"),
    Column("state", String(10), nullable=False),
    Column("customer", String(64), nullable=False),
    Column("issue_date", Date),
    Column("due_date", Date),
    Column("currency", String(3), nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("tax", BigInteger, nullable=False),
    Column("balance", BigInteger, nullable=False),
    text_column("memo"),
    text_column("reference"),
    text_column("theme"),
    Column("emailed", Boolean, nullable=False),
    text_column("version"),
    instant_column("updated_at"),
    instant_column("confirmed_at", nullable=False),
    Column("lines", Text, nullable=False),
    sa.UniqueConstraint("connection_id", "kind", "remote_id"),
    Index("ix_invoices_customer", "connection_id", "customer", "issue_date"),
    Index("ix_invoices_number", "connection_id", "number"),
    Index("ix_invoices_listing", "merchant_id", "kind", "issue_date", "id"),
    Index(
        "ix_invoices_open",
        "connection_id",
        "customer",
        sqlite_where=sa.text("state = 'open' AND balance > 0"),
        postgresql_where=sa.text("state = 'open' AND balance > 0"),
    ),
)

recurring_profiles = Table(
    "recurring_profiles",
    metadata,
    merchant_column(),
    _connection(),
    Column("remote_id", String(64), nullable=False),
    text_column("name"),
    text_column("customer"),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    text_column("every"),
    Column("next_on", Date),
    Column("active", Boolean, nullable=False),
    text_column("version"),
    sa.PrimaryKeyConstraint("connection_id", "remote_id"),
)

upstream_payments = Table(
    "upstream_payments",
    metadata,
    merchant_column(),
    _connection(),
    Column("remote_id", String(64), nullable=False),
    text_column("customer"),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("paid_on", Date),
    text_column("reference"),
    text_column("note"),
    Column("reversed", Boolean, nullable=False),
    text_column("version"),
    instant_column("updated_at"),
    Column("allocations", Text, nullable=False),
    sa.PrimaryKeyConstraint("connection_id", "remote_id"),
)

deposit_accounts = Table(
    "deposit_accounts",
    metadata,
    merchant_column(),
    _connection(),
    Column("remote_id", String(64), nullable=False),
    text_column("name"),
    text_column("kind"),
    text_column("currency"),
    sa.PrimaryKeyConstraint("connection_id", "remote_id"),
)

# scope 'invoice': target is an invoice's remote id; 'customer': a customer's. state: live, revoked
links = Table(
    "links",
    metadata,
    Column("id", Id, primary_key=True),
    merchant_column(),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("sealed_token", LargeBinary, nullable=False),
    Column("scope", String(10), nullable=False),
    _connection(),
    Column("target", String(64), nullable=False),
    Column("state", String(10), nullable=False),
    instant_column("created_at", nullable=False),
    instant_column("expires_at"),
    instant_column("revoked_at"),
    Index(
        "uq_links_live",
        "connection_id",
        "scope",
        "target",
        unique=True,
        sqlite_where=sa.text("state = 'live'"),
        postgresql_where=sa.text("state = 'live'"),
    ),
)

# Where a link stands upstream. `target`: the invoice's or (Xero) the branding theme's remote id.
# state: planned, placing, placed, manual (a person pastes it), confirmed (the merchant says it stands), refused,
# withdrawing, withdrawn
placements = Table(
    "placements",
    metadata,
    Column("id", Id, primary_key=True),
    merchant_column(),
    _connection(),
    Column("target", String(64), nullable=False),
    text_column("target_name"),
    Column("link_id", Id, ForeignKey("links.id")),
    Column("state", String(12), nullable=False),
    text_column("where_placed"),
    Column("text_before", Text),
    Column("replaces_link_id", Id),
    text_column("problem"),
    text_column("competing"),
    instant_column("placed_at"),
    instant_column("verified_at"),
    instant_column("changed_at", nullable=False),
    sa.UniqueConstraint("connection_id", "target"),
    Index("ix_placements_state", "connection_id", "state"),
)
