"""Counts what attempts came to since the installation began: the same whoever asks, and never going down."""

from __future__ import annotations

import random
from typing import NamedTuple

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.bound import on_conflict_insert

# Each kind and outcome is counted in so many rows: workers that finish together seldom meet at one.
_SHARDS = 8
_c = t.work_tallies.c


class Tally(NamedTuple):
    """How many attempts at a kind of work came to an outcome, and how long they took altogether (seconds)."""

    kind: str
    outcome: str
    attempts: int
    seconds: float


def count(connection: sa.Connection, kind: str, outcome: str, seconds: float) -> None:
    """One more, in the transaction that writes the outcome down, as its last statement."""
    shard = random.randrange(_SHARDS)  # noqa: S311 - keeps no secret
    micros = int(seconds * 1_000_000)
    insert = on_conflict_insert(connection, t.work_tallies).values(
        kind=kind, outcome=outcome[:20], shard=shard, attempts=1, micros=micros
    )
    more = {"attempts": _c.attempts + 1, "micros": _c.micros + micros}
    connection.execute(insert.on_conflict_do_update(index_elements=["kind", "outcome", "shard"], set_=more))


def counted(connection: sa.Connection) -> list[Tally]:
    """All there are."""
    total = sa.select(_c.kind, _c.outcome, sa.func.sum(_c.attempts), sa.func.sum(_c.micros))
    rows = connection.execute(total.group_by(_c.kind, _c.outcome).order_by(_c.kind, _c.outcome))
    return [Tally(kind, outcome, int(attempts), int(micros) / 1_000_000) for kind, outcome, attempts, micros in rows]
