"""Rate limits, budgets and slots for calls in flight, shared by all processes through the database."""

from __future__ import annotations

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.bound import on_conflict_insert
from connector.db.clock import POSTGRESQL_MICROS, clock_micros

_MICROS = 1_000_000
# The upstream's wish for silence stands beside the limit's own row and holds whatever the burst would allow.
_SILENCE = ":silence"
# A budget is counted in this many parts of its window, and one more: so much of it may be lost at its edge.
_PARTS = 60
# Who must leave calls to others comes a twentieth of the pace later than it might, so that others are first.
_BEHIND = 0.05

# GCRA (generic cell rate algorithm): `free_at` is when the next call would be due at an even pace; a call may come
# up to `tolerance` early. One statement, so that no two processes ever decide on the same state. What is due later
# than `horizon` was written before the clock was set back, and holds nobody up.
_RESERVE = """
    INSERT INTO limits (key, free_at)
    SELECT :key, {now} + :pace
    WHERE NOT EXISTS (SELECT 1 FROM limits AS quiet WHERE quiet.key = :silence AND quiet.free_at > {now})
    ON CONFLICT (key) DO UPDATE SET free_at = :pace
        + CASE WHEN limits.free_at > {now} + :horizon THEN {now} ELSE {larger}(limits.free_at, {now}) END
    WHERE limits.free_at <= {now} + :tolerance OR limits.free_at > {now} + :horizon
    RETURNING free_at
"""
_WAIT = """
    SELECT MAX(CASE WHEN key = :silence THEN free_at ELSE free_at - :tolerance END) - {now}
    FROM limits WHERE key IN (:key, :silence)
"""
_PUSH = """
    INSERT INTO limits (key, free_at) VALUES (:row, {now} + :wait)
    ON CONFLICT (key) DO UPDATE SET free_at = {larger}(limits.free_at, excluded.free_at)
"""


def _both(statement: str) -> dict[str, sa.TextClause]:
    return {
        "sqlite": sa.text(statement.format(now=":now", larger="max")),
        "postgresql": sa.text(
            statement.format(now=POSTGRESQL_MICROS, larger="greatest")
            .replace(":pace", "CAST(:pace AS bigint)")
            .replace(":tolerance", "CAST(:tolerance AS bigint)")
            .replace(":horizon", "CAST(:horizon AS bigint)")
            .replace(":key,", "CAST(:key AS varchar),", 1)
        ),
    }


_RESERVE_IN, _WAIT_IN, _PUSH_IN = _both(_RESERVE), _both(_WAIT), _both(_PUSH)


class SqlLimiter:
    """Implements `contract.Limiter`. Each method is one short transaction of its own."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def reserve(self, key: str, *, limit: int, period: float, burst: int, kept: int = 0) -> float:
        """Seconds to wait before going; 0.0: go. Never more than `limit` calls go in any `period` seconds.

        `kept` of them are left to others: of the burst as large a share, and at every turn the first place.
        """
        ahead, pace = pace_of(limit, period, burst)
        tolerance = pace * (ahead - 1)
        if kept:
            tolerance -= int(pace * max(_BEHIND, (ahead - 1) * kept / limit))
        values = {"key": key, "silence": key + _SILENCE, "pace": pace, "tolerance": tolerance}
        values["horizon"] = pace * ahead + _MICROS
        with self._engine.begin() as connection:
            dialect = connection.dialect.name
            values |= self._now(connection)
            if connection.execute(_RESERVE_IN[dialect], values).first() is not None:
                return 0.0
            wait = connection.execute(_WAIT_IN[dialect], values).scalar()
        # At least a millisecond: the moment may pass between the two statements, and 0.0 would mean "go".
        return max(0.001, (wait or 0) / _MICROS)

    def spend(self, key: str, *, limit: int, period: float, kept: int = 0) -> float:
        """Seconds to wait before going; 0.0: go. Never more than `limit` calls, less `kept`, in any `period`."""
        b, width = t.budgets, _width(period)
        with self._engine.begin() as connection:
            now = self._alone(connection, key)
            quiet = sa.select(t.limits.c.free_at).where(t.limits.c.key == key + _SILENCE)
            if (silence := connection.execute(quiet).scalar() or 0) > now:
                return max(0.001, (silence - now) / _MICROS)
            parts = self._parts(connection, key, now // width)
            # How many calls must leave the window before this one may come.
            over = sum(parts.values()) + 1 - max(1, limit - kept)
            if over <= 0:
                if now // width not in parts:
                    old = sa.not_(b.c.part.between(now // width - _PARTS, now // width))
                    connection.execute(sa.delete(b).where(b.c.key == key, old))
                self._count(connection, key, now // width, 1)
                return 0.0
        for part, used in parts.items():
            over -= used
            if over <= 0:
                return max(0.001, ((part + _PARTS + 1) * width - now) / _MICROS)
        return period

    def give_back(self, key: str, *, limit: int, period: float, burst: int) -> None:
        """A call that was counted is not made after all."""
        if burst:
            rows, pace = t.limits, pace_of(limit, period, burst)[1]
            change = sa.update(rows).where(rows.c.key == key).values(free_at=rows.c.free_at - pace)
        else:
            b = t.budgets
            last = sa.select(sa.func.max(b.c.part)).where(b.c.key == key, b.c.used > 0).scalar_subquery()
            change = sa.update(b).where(b.c.key == key, b.c.part == last, b.c.used > 0).values(used=b.c.used - 1)
        with self._engine.begin() as connection:
            connection.execute(change)

    def told(self, key: str, left: int, *, limit: int, period: float, burst: int) -> None:
        """The upstream says how many calls are left: others may have used some, or its figure is smaller than ours."""
        if burst:
            ahead, pace = pace_of(limit, period, burst)
            if left < ahead:
                # As if so many had gone at once that only `left` of the burst may still come early.
                self._push(key, pace * (ahead - left))
            return
        with self._engine.begin() as connection:
            now = self._alone(connection, key)
            part = now // _width(period)
            missing = limit - left - sum(self._parts(connection, key, part).values())
            if missing > 0:
                self._count(connection, key, part, missing)

    def push_back(self, key: str, seconds: float) -> None:
        """Nobody goes for `seconds`; a longer silence asked for before stays."""
        self._push(key + _SILENCE, int(seconds * _MICROS))

    def enter(self, key: str, slots: int, holder: str, seconds: float) -> bool:
        """Take one of the slots for at most `seconds`; asking again with the same holder renews it."""
        s = t.slots
        with self._engine.begin() as connection:
            now = self._alone(connection, key)
            until = now + int(seconds * _MICROS)
            # What is held longer than anybody may hold it was taken before the clock was set back.
            ended = sa.or_(s.c.until <= now, s.c.until > until + _MICROS)
            connection.execute(sa.delete(s).where(s.c.key == key, ended))
            renewed = sa.update(s).where(s.c.key == key, s.c.holder == holder).values(until=until)
            if connection.execute(renewed).rowcount:
                return True
            taken = connection.execute(sa.select(sa.func.count()).where(s.c.key == key)).scalar_one()
            if taken >= slots:
                return False
            connection.execute(sa.insert(s).values(key=key, holder=holder, until=until))
            return True

    def leave(self, key: str, holder: str, *, rest: float = 0.0) -> None:
        """Give the slot back; nobody takes it for `rest` seconds."""
        s = t.slots
        held = sa.and_(s.c.key == key, s.c.holder == holder)
        with self._engine.begin() as connection:
            if rest:
                until = clock_micros(connection) + int(rest * _MICROS)
                connection.execute(sa.update(s).where(held).values(until=until))
            else:
                connection.execute(sa.delete(s).where(held))

    def _push(self, row: str, micros: int) -> None:
        with self._engine.begin() as connection:
            values = {"row": row, "wait": micros} | self._now(connection)
            connection.execute(_PUSH_IN[connection.dialect.name], values)

    @staticmethod
    def _parts(connection: sa.Connection, key: str, part: int) -> dict[int, int]:
        b = t.budgets.c
        window = b.part.between(part - _PARTS, part)
        counted = sa.select(b.part, b.used).where(b.key == key, window).order_by(b.part)
        return {row.part: row.used for row in connection.execute(counted)}

    @staticmethod
    def _count(connection: sa.Connection, key: str, part: int, calls: int) -> None:
        insert = on_conflict_insert(connection, t.budgets).values(key=key, part=part, used=calls)
        more = {"used": t.budgets.c.used + calls}
        connection.execute(insert.on_conflict_do_update(index_elements=["key", "part"], set_=more))

    @staticmethod
    def _alone(connection: sa.Connection, key: str) -> int:
        """Now, in microseconds, with nobody else counting for this key until the transaction ends."""
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})
        return clock_micros(connection)

    @staticmethod
    def _now(connection: sa.Connection) -> dict[str, int]:
        return {"now": clock_micros(connection)} if connection.dialect.name == "sqlite" else {}


def pace_of(limit: int, period: float, burst: int) -> tuple[int, int]:
    """How many calls may come at once, and the microseconds between calls at an even pace."""
    ahead = max(1, min(burst, limit - 1))
    return ahead, int(period * _MICROS / max(1, limit - ahead))


def _width(period: float) -> int:
    return max(1, int(period * _MICROS / _PARTS))


def parts_of(now: int, period: float) -> tuple[int, int]:
    """The first and the last part of a budget's window at `now` (microseconds)."""
    last = now // _width(period)
    return last - _PARTS, last
