"""How much is left of the rate limits, as all processes have counted: for figures, never for deciding on a call."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.clock import clock_micros
from connector.db.limits import pace_of, parts_of
from connector.manifest import RateLimit

_SILENCE = ":silence"


class Left(NamedTuple):
    """Calls that may go at this moment, where the fewest are left, of as many as may ever go at once."""

    calls: int
    of: int


def least_left(connection: sa.Connection, name: str, limit: RateLimit, counted_over: float) -> Left:
    """What is left of one limit of an adapter on the connection that has used most of it.

    `counted_over` is the limit's period in seconds as it is counted.
    """
    now = clock_micros(connection)
    if limit.burst:
        ahead, pace = pace_of(limit.limit, counted_over, limit.burst)
        latest = sa.select(sa.func.max(t.limits.c.free_at)).where(_of(t.limits.c.key, name, limit))
        taken = max(0, (connection.execute(latest).scalar() or 0) - now)
        return Left(max(0, ahead - -(-taken // pace)), ahead)
    first, last = parts_of(now, counted_over)
    b = t.budgets.c
    used = sa.func.sum(b.used)
    window = sa.select(used).where(_of(b.key, name, limit), b.part.between(first, last)).group_by(b.key)
    most = connection.execute(window.order_by(used.desc()).limit(1)).scalar()
    return Left(max(0, limit.limit - int(most or 0)), limit.limit)


def _of(key: sa.ColumnElement[str], name: str, limit: RateLimit) -> sa.ColumnElement[bool]:
    """The rows of a limit: one for the whole app, or one a connection."""
    app = f"{name}:app:{limit.period:g}"
    if limit.scope == "app":
        return key == app
    return sa.and_(key.like(f"{_literal(name)}:%:{limit.period:g}", escape="\\"), key != app)


def silenced(connection: sa.Connection, name: str) -> int:
    """How many of an adapter's limits stand still because the upstream asked for silence."""
    k = t.limits.c
    quiet = sa.select(sa.func.count()).where(
        k.key.like(f"{_literal(name)}:%{_SILENCE}", escape="\\"), k.free_at > clock_micros(connection)
    )
    return int(connection.execute(quiet).scalar_one())


def _literal(text: str) -> str:
    """Text as a LIKE pattern takes it literally."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
