"""What is done by the clock: when next, when last, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from connector.db import tables as t
from connector.domain.tasks import InstallationTask, Task
from connector.wiring import Wiring

_s, _w, _c = t.schedules.c, t.work.c, t.connections.c
_MERCHANT: sa.BindParameter[int] = sa.bindparam("merchant")
_WORDS: Mapping[Task | InstallationTask, str] = {
    Task.POLL: "Reading what is new",
    Task.FULL_SWEEP: "Reading everything again",
    Task.DRIFT: "Comparing with the accounting system",
    Task.TOKEN: "Renewing our access",
    Task.WEBHOOKS: "Renewing webhooks",
    InstallationTask.PAYMENTS: "Looking after unfinished payments",
    InstallationTask.RETENTION: "Forgetting what has served its time",
}
_TITLES = {task.value: words for task, words in _WORDS.items()}
_ORDER = list(_TITLES)


@dataclass(frozen=True, slots=True)
class Scheduled:
    """One task. `state`: on, not_needed or paused (its connection is not active); `outcome`: the last run, in words.

    `merchant` and `connection` are None for the installation's own.
    """

    task: str
    title: str
    merchant: int | None
    connection: int | None
    name: str
    state: str
    next_at: datetime | None
    last_at: datetime | None
    ended_at: datetime | None
    outcome: str


_SELECT = (
    sa.select(
        _s.task,
        _s.merchant_id,
        _s.connection_id,
        _c.name,
        _c.state.label("connection_state"),
        _s.state,
        _s.next_at,
        _s.last_at,
        _s.ended_at,
        _s.outcome,
        _s.note,
        _w.state.label("work_state"),
        _w.error,
        _w.finished_at,
    )
    .outerjoin(t.connections, _c.id == _s.connection_id)
    .outerjoin(t.work, _w.id == _s.work_id)
    .order_by(_s.merchant_id.is_not(None), _s.merchant_id, _s.connection_id, _s.task)
)
_OF_CONNECTION = _SELECT.where(_s.merchant_id == _MERCHANT, _s.connection_id == sa.bindparam("id"))


def of_connection(wiring: Wiring, merchant_id: int, connection_id: int) -> Sequence[Scheduled]:
    """The tasks of a connection, in the order people think of them."""
    with wiring.database.reader(merchant_id) as reader:
        found = [_scheduled(row) for row in reader.rows(_OF_CONNECTION, id=connection_id)]
    return sorted(found, key=lambda one: _ORDER.index(one.task) if one.task in _ORDER else len(_ORDER))


def everybodys(wiring: Wiring, merchant_id: int | None = None) -> Sequence[Scheduled]:
    """All tasks of all merchants (or one), the installation's own first."""
    statement = _SELECT if merchant_id is None else _SELECT.where(_s.merchant_id == merchant_id)
    with wiring.database.lookup() as everybody:
        return [_scheduled(row) for row in everybody.rows(statement)]


def _scheduled(row: Any) -> Scheduled:
    state = row.state
    if state == "on" and row.connection_id is not None and row.connection_state != "active":
        state = "paused"
    return Scheduled(
        task=row.task,
        title=_TITLES.get(row.task, row.task),
        merchant=row.merchant_id,
        connection=row.connection_id,
        name=row.name or "",
        state=state,
        next_at=row.next_at if state == "on" else None,
        last_at=row.last_at,
        ended_at=row.ended_at or row.finished_at,
        outcome=_outcome(row),
    )


def _outcome(row: Any) -> str:
    """How the run under way stands, else what the last one came to: in its own words where it says more than done."""
    if row.state == "not_needed":
        return str(row.note)
    if row.work_state == "dead":
        return f"Stopped: {row.error}"
    over = row.ended_at is not None and (row.last_at is None or row.ended_at >= row.last_at)
    if row.work_state == "pending" and not over:
        return f"Waiting: {row.error}" if row.error else "Under way."
    return str(row.outcome) or ("Done." if row.work_state == "done" else "Not yet.")
