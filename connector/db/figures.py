"""Figures an operator watches, from the database alone: whichever process is asked, they are those of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.budgets_left import Left, least_left, silenced
from connector.db.clock import clock_micros
from connector.db.tallies import Tally, counted
from connector.db.unit_of_work import Database
from connector.manifest import LimitInForce, RateLimit

# Lags are those of what was finished within these seconds, and of so many rows at most.
LAG_SECONDS = 300
MOST_LAGS = 1000
_MICROS = 1_000_000
_QUANTILES = (0.5, 0.95, 1.0)


class Queue(NamedTuple):
    """Work of one kind in one state. `age`: seconds since the oldest that is due was due; 0 when none is."""

    kind: str
    state: str
    number: int
    age: float


class Lag(NamedTuple):
    """Seconds by quantile of what was finished lately (empty: nothing was), and how long the oldest has waited."""

    quantiles: Mapping[float, float]
    waiting: int
    oldest: float


class Budget(NamedTuple):
    """What is left of one rate limit."""

    system: str
    scope: str
    seconds: float
    left: Left


@dataclass(frozen=True, slots=True)
class Figures:
    """One reading. `executors` are seconds since each worker was heard of; `postings` counts what is not at rest."""

    queues: Sequence[Queue]
    tallies: Sequence[Tally]
    webhooks: Lag
    write_backs: Lag
    postings: Mapping[str, int]
    budgets: Sequence[Budget]
    silenced: Mapping[str, int]
    executors: Mapping[str, float]
    engine_rows: Mapping[str, int]


_w, _d, _o, _p, _e = t.work.c, t.deliveries.c, t.postings.c, t.payments.c, t.executors.c
# Literals, since the indexes of these few rows are found by them alone.
_OPEN = sa.text("postings.state IN ('queued', 'sending', 'reversing', 'needs_review')")
_UNPOSTED = sa.text("postings.state IN ('queued', 'sending')")
_NEW = sa.text("deliveries.state = 'new'")


def figures(
    database: Database, limits: Mapping[str, Sequence[LimitInForce]], engine_rows: Mapping[str, int]
) -> Figures:
    """Read them, in one transaction. Rows that are done are never counted, so the cost is that of what is open."""
    with database.lookup() as everybody:
        now = everybody.now
        since = now - timedelta(seconds=LAG_SECONDS)
        connection = everybody.connection
        return Figures(
            queues=_queues(connection, now),
            tallies=counted(connection),
            webhooks=_webhooks(connection, now, since),
            write_backs=_write_backs(connection, now, since),
            postings={
                str(state): int(number)
                for state, number in connection.execute(
                    sa.select(_o.state, sa.func.count()).where(_OPEN).group_by(_o.state)
                )
            },
            budgets=[
                _budget(connection, name, each.limit, each.counted_over)
                for name, many in limits.items()
                for each in many
            ],
            silenced={name: silenced(connection, name) for name in limits},
            executors=_executors(connection),
            engine_rows=engine_rows,
        )


def _queues(connection: sa.Connection, now: datetime) -> list[Queue]:
    grouped = (
        sa.select(_w.kind, _w.state, sa.func.count(), sa.func.min(_w.next_at, type_=t.Instant))
        .where(_w.state.in_(("pending", "dead")))
        .group_by(_w.kind, _w.state)
        .order_by(_w.kind, _w.state)
    )
    return [
        Queue(kind, state, int(number), _age(now, oldest) if state == "pending" else 0.0)
        for kind, state, number, oldest in connection.execute(grouped)
    ]


def _webhooks(connection: sa.Connection, now: datetime, since: datetime) -> Lag:
    done = sa.select(_d.received_at, _d.processed_at).where(_d.processed_at > since).order_by(_d.processed_at.desc())
    waiting = sa.select(sa.func.count(), sa.func.min(_d.received_at, type_=t.Instant)).where(_NEW)
    number, oldest = connection.execute(waiting).one()
    return Lag(_quantiles(connection.execute(done.limit(MOST_LAGS))), int(number), _age(now, oldest))


def _write_backs(connection: sa.Connection, now: datetime, since: datetime) -> Lag:
    done = (
        sa.select(_p.settled_at, _o.posted_at)
        .join(t.payments, _p.id == _o.payment_id)
        .where(_o.posted_at > since, _p.settled_at.is_not(None))
        .order_by(_o.posted_at.desc())
    )
    waiting = (
        sa.select(sa.func.count(), sa.func.min(_p.settled_at, type_=t.Instant))
        .select_from(t.postings.join(t.payments, _p.id == _o.payment_id))
        .where(_UNPOSTED)
    )
    number, oldest = connection.execute(waiting).one()
    return Lag(_quantiles(connection.execute(done.limit(MOST_LAGS))), int(number), _age(now, oldest))


def _budget(connection: sa.Connection, name: str, limit: RateLimit, counted_over: float) -> Budget:
    return Budget(name, limit.scope, limit.period, least_left(connection, name, limit, counted_over))


def _executors(connection: sa.Connection) -> dict[str, float]:
    now = clock_micros(connection)
    return {
        row.id: max(0.0, (now - row.seen) / _MICROS)
        for row in connection.execute(sa.select(_e.id, _e.seen).order_by(_e.id))
    }


def _quantiles(rows: Any) -> dict[float, float]:
    lags = sorted(max(0.0, (end - begin).total_seconds()) for begin, end in rows)
    return {q: lags[max(0, -int(-q * len(lags) // 1) - 1)] for q in _QUANTILES} if lags else {}


def _age(now: datetime, then: datetime | None) -> float:
    return 0.0 if then is None else max(0.0, (now - then).total_seconds())
