"""Webhooks as received. Hundreds a second arrive at times, so what takes them in is written out for the driver."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import cast

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.tables.schema import instant_to_micros
from connector.domain.work import Work

_d = t.deliveries.c
_WAITING = (
    sa.select(_d.id, _d.sender, _d.body, _d.state)
    .where(_d.sender == sa.bindparam("sender"), _d.state == sa.literal_column("'new'"))
    .order_by(_d.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A webhook as received."""

    id: int
    sender: str
    body: bytes
    state: str


def receive(
    connection: sa.Connection, sender: str, deliveries: Sequence[tuple[bytes, bytes]], work_id: str, now: datetime
) -> tuple[int, bool]:
    """Store webhooks, each (SHA-256 of the body, body), once, and ask for work that is due and pending already.

    How many were not received before, and whether that work stood there: if not, it has to be added.
    """
    moment = instant_to_micros(now)
    rows: list[object] = []
    for digest, body in deliveries:
        rows += (sender, digest, body, moment)
    work = (work_id, Work.DELIVERY.value, moment)
    with closing(connection.connection.cursor()) as cursor:
        if connection.dialect.name == "postgresql":
            cursor.execute(_insert_and_ask(len(deliveries)), (*rows, *work))
            new, again = cast(tuple[int, int], cursor.fetchone())
        else:
            cursor.execute(_insert("?", len(deliveries)), rows)
            new, again = cursor.rowcount, 0
            if new:
                cursor.execute(_ask("?"), work)
                again = cursor.rowcount
    return new, not new or again == 1


def waiting(connection: sa.Connection, sender: str, most: int) -> list[DeliveryRow]:
    """A sender's webhooks that nobody has dispatched yet, in the order they came."""
    rows = connection.execute(_WAITING, {"sender": sender, "most": most})
    return [DeliveryRow(**row._mapping) for row in rows]


def close(connection: sa.Connection, ids: Sequence[int], state: str, note: str, now: datetime) -> None:
    """Write down what became of webhooks, and when: done, unknown_tenant or unreadable."""
    closing = sa.update(t.deliveries).where(_d.id.in_(ids))
    connection.execute(closing.values(state=state, note=note, processed_at=now))


@cache
def _insert(mark: str, rows: int) -> str:
    # One statement for all, since each costs a turn of the interpreter while other writers wait.
    values = ", ".join([f"({mark}, {mark}, {mark}, {mark}, 'new')"] * rows)
    return f"INSERT INTO deliveries (sender, digest, body, received_at, state) VALUES {values} ON CONFLICT DO NOTHING"  # noqa: S608


@cache
def _insert_and_ask(rows: int) -> str:
    # One round trip instead of two, and a shorter hold on the row of the work, at which the processes queue.
    return (
        f"WITH new AS ({_insert('%s', rows)} RETURNING 1),"  # noqa: S608
        f" again AS ({_ask('%s')} AND EXISTS (SELECT 1 FROM new) RETURNING 1)"
        " SELECT (SELECT count(*) FROM new), (SELECT count(*) FROM again)"
    )


@cache
def _ask(mark: str) -> str:
    return (
        f"UPDATE work SET asked = asked + 1 WHERE id = {mark} AND kind = {mark} AND state = 'pending'"  # noqa: S608
        f" AND next_at <= {mark}"
    )
