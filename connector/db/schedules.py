"""What is done by the clock: when next, when last, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.bound import Bound, on_conflict_insert
from connector.domain.tasks import InstallationTask, Task

_s, _c = t.schedules.c, t.connections.c


@dataclass(frozen=True, slots=True)
class DueTask:
    """A task of a connection whose time has come."""

    id: str
    merchant_id: int
    connection_id: int
    system: str
    task: Task
    next_at: datetime


def schedule_id(task: Task, connection_id: int) -> str:
    """The identity of a connection's task."""
    return f"{task}:{connection_id}"


class Schedules:
    """Repository of one merchant's schedules."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def plan(self, connection_id: int, task: Task, next_at: datetime | None, *, note: str = "") -> None:
        """A task of a connection begins, or is not needed (`next_at` None); planning it twice is once."""
        self._bound.insert_unless_there(
            t.schedules,
            id=schedule_id(task, connection_id),
            connection_id=connection_id,
            task=task,
            state="not_needed" if next_at is None else "on",
            note=note,
            next_at=next_at,
        )

    def take(self, due: DueTask, next_at: datetime | None, work_id: str) -> bool:
        """Whoever moves a due task on records its work; False when somebody else has."""
        changed = self._bound.update(
            t.schedules,
            _s.id == due.id,
            _s.next_at == due.next_at,
            next_at=next_at,
            last_at=self._bound.now,
            work_id=work_id,
        )
        return changed == 1

    def progress(self, task: Task, connection_id: int) -> dict[str, Any]:
        """Where a run stands; empty before it has begun."""
        statement = self._bound.select(t.schedules, _s.progress).where(_s.id == schedule_id(task, connection_id))
        found = self._bound.connection.execute(statement).scalar()
        return dict(found or {})

    def keep(self, task: Task, connection_id: int, progress: Mapping[str, Any]) -> None:
        """Write down where a run stands."""
        self.plan(connection_id, task, self._bound.now)
        self._bound.update(t.schedules, _s.id == schedule_id(task, connection_id), progress=dict(progress))

    def end(self, task: Task, connection_id: int, outcome: str, **more: Any) -> None:
        """A run has ended, `outcome` says how, in words."""
        identity = schedule_id(task, connection_id)
        self._bound.update(t.schedules, _s.id == identity, ended_at=self._bound.now, outcome=outcome, **more)


def due_tasks(connection: sa.Connection, now: datetime, limit: int) -> list[DueTask]:
    """Tasks of all active connections whose time has come, the longest waiting first."""
    rows = connection.execute(
        sa.select(_s.id, _s.merchant_id, _s.connection_id, _c.system, _s.task, _s.next_at)
        .join(t.connections, _c.id == _s.connection_id)
        .where(_s.state == "on", _s.next_at <= now, _c.state == "active")
        .order_by(_s.next_at, _s.id)
        .limit(limit)
    )
    return [DueTask(**dict(row._mapping) | {"task": Task(row.task)}) for row in rows]


def unplanned_connections(connection: sa.Connection, limit: int) -> list[tuple[int, int, str]]:
    """(merchant, connection, system) of active connections whose tasks were not planned yet."""
    planned = sa.exists().where(_s.connection_id == _c.id, _s.task == Task.WEBHOOKS.value)
    rows = connection.execute(
        sa.select(_c.merchant_id, _c.id, _c.system).where(_c.state == "active", ~planned).order_by(_c.id).limit(limit)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def note_run(connection: sa.Connection, task: InstallationTask, now: datetime, next_at: datetime, outcome: str) -> None:
    """Write down that a task of the installation's own was done."""
    values = {"next_at": next_at, "last_at": now, "ended_at": now, "outcome": outcome}
    statement = on_conflict_insert(connection, t.schedules).values(id=task.value, task=task.value, state="on", **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))
