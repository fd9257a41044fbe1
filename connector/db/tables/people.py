"""Merchants, their staff, and everybody's sessions, codes and mail."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from connector.db.tables.schema import Id, instant_column, merchant_column, metadata, text_column

merchants = Table(
    "merchants",
    metadata,
    Column("id", Id, primary_key=True),
    Column("slug", String(60), nullable=False, unique=True),
    text_column("name"),
    text_column("colour", "#0b5cad"),
    Column("logo", LargeBinary),
    text_column("logo_type"),
    text_column("help_email"),
    text_column("help_phone"),
    text_column("country"),
    Column("allow_partial", Boolean, nullable=False, server_default=sa.true()),
    text_column("gateway"),
    instant_column("created_at", nullable=False),
    instant_column("branded_at"),
)

users = Table(
    "users",
    metadata,
    Column("id", Id, primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    text_column("name"),
    text_column("password_hash"),
    instant_column("created_at", nullable=False),
)

memberships = Table(
    "memberships",
    metadata,
    merchant_column(),
    Column("user_id", Id, ForeignKey("users.id"), nullable=False),
    Column("role", String(20), nullable=False),
    sa.PrimaryKeyConstraint("merchant_id", "user_id"),
    Index(None, "user_id"),
)

# Realm 'staff': user_id is set. Realm 'customer': connection and customer, and the invoice when it opens only one.
sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    merchant_column(),
    Column("realm", String(10), nullable=False),
    Column("user_id", Id),
    Column("connection_id", Id),
    text_column("customer"),
    text_column("invoice"),
    text_column("email"),
    instant_column("created_at", nullable=False),
    instant_column("expires_at", nullable=False),
    instant_column("revoked_at"),
    Index("ix_sessions_expires_at", "expires_at"),
)

# Purpose: 'sign_in' (customer portal) or 'invoice' (the second proof a template link asks for).
codes = Table(
    "codes",
    metadata,
    Column("id", String(32), primary_key=True),
    merchant_column(),
    Column("purpose", String(12), nullable=False),
    Column("connection_id", Id, nullable=False),
    Column("customer", String(64), nullable=False),
    text_column("invoice"),
    text_column("email"),
    Column("code_hash", LargeBinary, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    instant_column("created_at", nullable=False),
    instant_column("expires_at", nullable=False),
    instant_column("used_at"),
    Index("ix_codes_expires_at", "expires_at"),
)

mails = Table(
    "mails",
    metadata,
    Column("id", String(32), primary_key=True),
    merchant_column(),
    Column("recipient", String(254), nullable=False),
    Column("template", String(40), nullable=False),
    Column("sealed_values", LargeBinary, nullable=False),
    Column("state", String(10), nullable=False),
    text_column("problem"),
    instant_column("created_at", nullable=False),
    instant_column("sent_at"),
    Index("ix_mails_created_at", "created_at"),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Id, primary_key=True),
    merchant_column(),
    Column("user_id", Id),
    instant_column("at", nullable=False),
    Column("action", String(60), nullable=False),
    text_column("target"),
    text_column("address"),
    Index(None, "merchant_id", "at"),
)
