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

    def beat(self, executor: str) -> None:
        """This worker lives."""
        with self._engine.begin() as connection:
            seen = clock_micros(connection)
            insert = on_conflict_insert(connection, t.executors).values(id=executor, seen=seen)
            connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_={"seen": seen}))

    def silent_for(self, seconds: float) -> list[str]:
        """Workers not heard of for so long."""
        e = t.executors.c
        with self._engine.connect().execution_options(read_only=True) as connection, connection.begin():
            before = clock_micros(connection) - int(seconds * _MICROS)
            return list(connection.execute(sa.select(e.id).where(e.seen < before)).scalars())

    def forget(self, executor: str) -> None:
        """This worker has ended, and nothing of its work is left."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(t.executors).where(t.executors.c.id == executor))

    def only_one(self, task: str, executor: str, seconds: float) -> bool:
        """Whether this worker may do a task now; then nobody else may for `seconds`."""
        with self._engine.begin() as connection:
            return take_lease(connection, f"task:{task}", executor, seconds)
