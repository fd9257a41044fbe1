"""Rate limits and slots for calls in flight, shared by all processes through the database."""

from __future__ import annotations

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.clock import POSTGRESQL_MICROS, clock_micros

_MICROS = 1_000_000
# The upstream's wish for silence stands beside the limit's own row and holds whatever the burst would allow.
_SILENCE = ":silence"

# GCRA (generic cell rate algorithm): `free_at` is when the next call would be due at an even pace; a call may come
# up to `tolerance` early. One statement, so that no two processes ever decide on the same state.
_RESERVE = """
    INSERT INTO limits (key, free_at)
    SELECT :key, {now} + :pace
    WHERE NOT EXISTS (SELECT 1 FROM limits AS quiet WHERE quiet.key = :silence AND quiet.free_at > {now})
    ON CONFLICT (key) DO UPDATE SET free_at = {larger}(limits.free_at, {now}) + :pace
    WHERE {larger}(limits.free_at, {now}) <= {now} + :tolerance
    RETURNING free_at
"""
_WAIT = """
    SELECT MAX(CASE WHEN key = :silence THEN free_at ELSE free_at - :tolerance END) - {now}
    FROM limits WHERE key IN (:key, :silence)
"""
_PUSH = """
    INSERT INTO limits (key, free_at) VALUES (:silence, {now} + :wait)
    ON CONFLICT (key) DO UPDATE SET free_at = {larger}(limits.free_at, excluded.free_at)
"""


def _both(statement: str) -> dict[str, sa.TextClause]:
    return {
        "sqlite": sa.text(statement.format(now=":now", larger="max")),
        "postgresql": sa.text(
            statement.format(now=POSTGRESQL_MICROS, larger="greatest")
            .replace(":pace", "CAST(:pace AS bigint)")
            .replace(":tolerance", "CAST(:tolerance AS bigint)")
            .replace(":key,", "CAST(:key AS varchar),", 1)
        ),
    }


_RESERVE_IN, _WAIT_IN, _PUSH_IN = _both(_RESERVE), _both(_WAIT), _both(_PUSH)


class SqlLimiter:
    """Implements `contract.Limiter`. Each method is one short transaction of its own."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def reserve(self, key: str, *, limit: int, period: float, burst: int) -> float:
        """Seconds to wait before going; 0.0: go. Never more than `limit` calls go in any `period` seconds."""
        ahead = max(1, min(burst, limit - 1))
        pace = int(period * _MICROS / max(1, limit - ahead))
        values = {"key": key, "silence": key + _SILENCE, "pace": pace, "tolerance": pace * (ahead - 1)}
        with self._engine.begin() as connection:
            dialect = connection.dialect.name
            values |= self._now(connection)
            if connection.execute(_RESERVE_IN[dialect], values).first() is not None:
                return 0.0
            wait = connection.execute(_WAIT_IN[dialect], values).scalar()
        # At least a millisecond: the moment may pass between the two statements, and 0.0 would mean "go".
        return max(0.001, (wait or 0) / _MICROS)

    def push_back(self, key: str, seconds: float) -> None:
        """Nobody goes for `seconds`; a longer silence asked for before stays."""
        with self._engine.begin() as connection:
            values = {"silence": key + _SILENCE, "wait": int(seconds * _MICROS)} | self._now(connection)
            connection.execute(_PUSH_IN[connection.dialect.name], values)

    def enter(self, key: str, slots: int, holder: str, seconds: float) -> bool:
        """Take one of the slots for at most `seconds`; asking again with the same holder renews it."""
        s = t.slots
        with self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # Counting and taking must not be interleaved with another process doing the same.
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})
            now = clock_micros(connection)
            until = now + int(seconds * _MICROS)
            connection.execute(sa.delete(s).where(s.c.key == key, s.c.until <= now))
            renewed = sa.update(s).where(s.c.key == key, s.c.holder == holder).values(until=until)
            if connection.execute(renewed).rowcount:
                return True
            taken = connection.execute(sa.select(sa.func.count()).where(s.c.key == key)).scalar_one()
            if taken >= slots:
                return False
            connection.execute(sa.insert(s).values(key=key, holder=holder, until=until))
            return True

    def leave(self, key: str, holder: str) -> None:
        """Give the slot back."""
        s = t.slots
        with self._engine.begin() as connection:
            connection.execute(sa.delete(s).where(s.c.key == key, s.c.holder == holder))

    @staticmethod
    def _now(connection: sa.Connection) -> dict[str, int]:
        return {"now": clock_micros(connection)} if connection.dialect.name == "sqlite" else {}
