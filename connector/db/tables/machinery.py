"""Work that must happen, webhooks received, limits and leases."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from connector.db.tables.schema import Id, instant_column, metadata, some_rows, text_column

# The truth the job engine's own rows are made from. state: pending, done, dead
# `attempt` fences: only the attempt it names may act. `asked` counts requests, so that one arriving while an attempt
# runs is not lost when that attempt finishes. merchant_id is empty for the installation's own work (deliveries).
work = Table(
    "work",
    metadata,
    Column("id", String(120), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("merchant_id", Id, ForeignKey("merchants.id")),
    Column("partition", String(60), nullable=False),
    Column("state", String(8), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("asked", Integer, nullable=False, server_default="1"),
    Column("payload", sa.JSON, nullable=False),
    Column("correlation", String(32), nullable=False, server_default=""),
    instant_column("next_at", nullable=False),
    instant_column("sent_at"),
    instant_column("created_at", nullable=False),
    instant_column("finished_at"),
    text_column("error"),
    Index("ix_work_due", "state", "next_at"),
    Index(None, "merchant_id", "kind"),
    some_rows("ix_work_unfinished", "merchant_id", "state", "next_at", where="state <> 'done'"),
    some_rows("ix_work_finished", "finished_at", where="finished_at IS NOT NULL"),
)

# What attempts came to since the installation began. Counted in several rows a kind, so that workers that finish
# together do not wait for each other.
work_tallies = Table(
    "work_tallies",
    metadata,
    Column("kind", String(20), nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("shard", Integer, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("micros", BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("kind", "outcome", "shard"),
)

_WAITING = sa.text("state = 'new'")
# state: new, done, unknown_tenant, unreadable
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("sender", String(30), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    instant_column("received_at", nullable=False),
    Column("state", String(14), nullable=False),
    text_column("note"),
    instant_column("processed_at"),
    sa.UniqueConstraint("sender", "digest"),
    some_rows("ix_deliveries_processed", "processed_at", where="processed_at IS NOT NULL"),
    Index("ix_deliveries_waiting", "sender", "id", sqlite_where=_WAITING, postgresql_where=_WAITING),
)

# `free_at`, `until`, `seen`: microseconds since 1970 by the database's clock.
limits = Table(
    "limits",
    metadata,
    Column("key", String(120), primary_key=True),
    Column("free_at", BigInteger, nullable=False),
)

# Calls counted in parts of a window; `part` is the number of a sixtieth of the window since 1970.
budgets = Table(
    "budgets",
    metadata,
    Column("key", String(120), nullable=False),
    Column("part", BigInteger, nullable=False),
    Column("used", Integer, nullable=False),
    sa.PrimaryKeyConstraint("key", "part"),
)

slots = Table(
    "slots",
    metadata,
    Column("key", String(120), nullable=False),
    Column("holder", String(60), nullable=False),
    Column("until", BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("key", "holder"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("holder", String(60), nullable=False),
    Column("until", BigInteger, nullable=False),
)

executors = Table(
    "executors",
    metadata,
    Column("id", String(120), primary_key=True),
    Column("seen", BigInteger, nullable=False),
)
