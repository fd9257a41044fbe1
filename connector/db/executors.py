"""Which worker processes are alive, by their heartbeats. Each method is one short transaction of its own."""

from __future__ import annotations

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.bound import on_conflict_insert
from connector.db.clock import clock_micros
from connector.db.leases import take_lease

_MICROS = 1_000_000


class Executors:
    """Heartbeats, and the leases by which living workers share what only one of them shall do."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def beat(self, executor: str) -> float:
        """This worker lives. How many seconds the clock has been set back since a worker was last seen; mostly 0.0."""
        with self._engine.begin() as connection:
            last = connection.execute(sa.select(sa.func.max(t.executors.c.seen))).scalar() or 0
            seen = clock_micros(connection)
            insert = on_conflict_insert(connection, t.executors).values(id=executor, seen=seen)
            connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_={"seen": seen}))
            if last > seen:
                connection.execute(sa.update(t.executors).where(t.executors.c.seen > seen).values(seen=seen))
        return max(0, last - seen) / _MICROS

    def silent_for(self, seconds: float) -> dict[str, int]:
        """Workers not heard of for so long, and when each was last seen (microseconds)."""
        e = t.executors.c
        with self._engine.connect().execution_options(read_only=True) as connection, connection.begin():
            before = clock_micros(connection) - int(seconds * _MICROS)
            return {row.id: row.seen for row in connection.execute(sa.select(e.id, e.seen).where(e.seen < before))}

    def forget(self, executor: str) -> None:
        """This worker has ended, and nothing of its work is left."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(t.executors).where(t.executors.c.id == executor))

    def only_one(self, task: str, executor: str, seconds: float) -> bool:
        """Whether this worker may do a task now; then nobody else may for `seconds`."""
        with self._engine.begin() as connection:
            return take_lease(connection, f"task:{task}", executor, seconds)
