"""What is done by the clock, and where our view and a system's were found to differ."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, String, Table

from connector.db.tables.schema import Id, instant_column, merchant_column, metadata, text_column

# One row for each task of a connection, and for each of the installation's own (merchant_id and connection_id empty).
# state: on, not_needed (`note` says why). `work_id`: what was recorded last; `progress`: where a run stands.
schedules = Table(
    "schedules",
    metadata,
    Column("id", String(60), primary_key=True),
    Column("merchant_id", Id, ForeignKey("merchants.id")),
    Column("connection_id", Id, ForeignKey("connections.id")),
    Column("task", String(20), nullable=False),
    Column("state", String(12), nullable=False),
    text_column("note"),
    instant_column("next_at"),
    instant_column("last_at"),
    instant_column("ended_at"),
    text_column("outcome"),
    text_column("work_id"),
    Column("progress", sa.JSON),
    Index("ix_schedules_due", "state", "next_at"),
    Index(None, "merchant_id", "connection_id"),
)

# state: open, fixed, ignored. `what` is one of connector.domain.tasks.What; `subject` the upstream's id of the thing,
# or a posting's key; `closed_by` the user who ignored or fixed it, empty when it was put right by itself.
differences = Table(
    "differences",
    metadata,
    Column("id", Id, primary_key=True),
    merchant_column(),
    Column("connection_id", Id, ForeignKey("connections.id"), nullable=False),
    Column("what", String(20), nullable=False),
    Column("subject", String(64), nullable=False),
    text_column("name"),
    Column("payment_id", String(32)),
    Column("posting_key", String(32)),
    text_column("ours"),
    text_column("theirs"),
    text_column("cause"),
    Column("state", String(8), nullable=False),
    text_column("ending"),
    instant_column("found_at", nullable=False),
    instant_column("seen_at", nullable=False),
    instant_column("closed_at"),
    Column("closed_by", Id),
    sa.UniqueConstraint("connection_id", "what", "subject"),
    Index(None, "merchant_id", "state"),
)
