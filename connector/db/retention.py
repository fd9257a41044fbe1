"""What has served its time, table by table; deleted in small batches so that no writer waits for long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.clock import clock_micros

_MICROS = 1_000_000
# By the database's clock. What has run out counts as if it were not there; the margin spares the rows in use.
_IDLE_SECONDS = 86_400


class Expiring(StrEnum):
    """What is kept for a while and then forgotten."""

    SESSIONS = "sessions"
    CODES = "codes"
    CONSENTS = "consents"
    MAILS = "mails"
    WEBHOOKS = "webhooks"
    DONE_WORK = "done_work"
    DEAD_WORK = "dead_work"
    LIMITS = "limits"
    SLOTS = "slots"
    LEASES = "leases"


@dataclass(frozen=True, slots=True)
class _Rule:
    """Rows of a table that ended before a moment; `ended` is compared with it, `also` must hold as well."""

    table: sa.Table
    ended: sa.ColumnElement[datetime | None]
    also: sa.ColumnElement[bool] = sa.true()  # noqa: RUF009 - an expression, never changed


_RULES: Mapping[Expiring, _Rule] = {
    # A session that was ended early runs out when it would have run out anyway.
    Expiring.SESSIONS: _Rule(t.sessions, t.sessions.c.expires_at),
    Expiring.CODES: _Rule(t.codes, t.codes.c.expires_at),
    Expiring.CONSENTS: _Rule(t.oauth_states, t.oauth_states.c.expires_at),
    # A mail that still waits, or whose work a person may retry, is not touched.
    Expiring.MAILS: _Rule(t.mails, t.mails.c.created_at, t.mails.c.state.in_(("sent", "refused"))),
    # One that was not worked on yet is not touched, however old it is.
    Expiring.WEBHOOKS: _Rule(t.deliveries, t.deliveries.c.processed_at),
    Expiring.DONE_WORK: _Rule(t.work, t.work.c.finished_at, t.work.c.state == "done"),
    Expiring.DEAD_WORK: _Rule(t.work, t.work.c.finished_at, t.work.c.state == "dead"),
}
# Counted in microseconds by the database's clock, whatever the process's clock says.
_BY_DATABASE_CLOCK: Mapping[Expiring, tuple[sa.Table, sa.ColumnElement[int]]] = {
    Expiring.LIMITS: (t.limits, t.limits.c.free_at),
    Expiring.SLOTS: (t.slots, t.slots.c.until),
    Expiring.LEASES: (t.leases, t.leases.c.until),
}


def forget(connection: sa.Connection, what: Expiring, before: datetime, limit: int) -> int:
    """Delete at most `limit` rows that ended before a moment (UTC); how many there were.

    Limits, slots and leases go by the database's own clock instead: those that ran out a day ago.
    """
    if what in _BY_DATABASE_CLOCK:
        table, until = _BY_DATABASE_CLOCK[what]
        return _delete(connection, table, until < clock_micros(connection) - _IDLE_SECONDS * _MICROS, limit)
    rule = _RULES[what]
    return _delete(connection, rule.table, sa.and_(rule.ended < before, rule.also), limit)


def _delete(connection: sa.Connection, table: sa.Table, ended: sa.ColumnElement[bool], limit: int) -> int:
    keys = list(table.primary_key.columns)
    old = sa.select(*keys).where(ended).limit(limit)
    # Locked rows are in use by somebody this moment: they are for the next time, and nobody waits for anybody.
    if connection.dialect.name == "postgresql":
        old = old.with_for_update(skip_locked=True)
    # Read first: inside the DELETE PostgreSQL may run the limited SELECT once for every row.
    found = [tuple(row) for row in connection.execute(old)]
    if not found:
        return 0
    whose = keys[0].in_([row[0] for row in found]) if len(keys) == 1 else sa.tuple_(*keys).in_(found)
    return connection.execute(sa.delete(table).where(whose, ended)).rowcount
