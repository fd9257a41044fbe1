"""Work that must happen: rows written in the transaction of their reason, the truth the job engine works from."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from connector.db import tables as t
from connector.db import tallies
from connector.db.bound import on_conflict_insert
from connector.domain.work import Work

_LONGEST_ID = 120


class Fenced(Exception):
    """Another attempt has taken over this work; what this one was about to write must not be written."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One attempt at a piece of work, as it stood when the attempt began.

    `attempt` fences: once the row names another, this one may write nothing. `failures` is the budget spent.
    `sent_at` is set when an attempt before may have reached the upstream. Instants are UTC.
    """

    id: str
    kind: Work
    merchant: int | None
    partition: str
    attempt: int
    failures: int
    asked: int
    payload: Mapping[str, Any]
    sent_at: datetime | None
    correlation: str

    @property
    def merchant_id(self) -> int:
        """The merchant this work is for. Raises ValueError for the installation's own."""
        if self.merchant is None:
            raise ValueError(f"The work {self.id} belongs to no merchant.")
        return self.merchant


@dataclass(frozen=True, slots=True)
class WorkRow:
    """A piece of work as an operator sees it. `state`: pending, done or dead; `error`: why the last attempt failed."""

    item: WorkItem
    state: str
    next_at: datetime
    created_at: datetime
    finished_at: datetime | None
    error: str


Dispatch = Callable[[sa.Connection, WorkItem, float], None]

_w = t.work.c


def work_id(kind: Work, merchant_id: int | None, key: str) -> str:
    """The identity of a piece of work: asking for it twice is one row."""
    text = f"{kind}:{merchant_id or ''}:{key}"
    if len(text) > _LONGEST_ID:
        raise ValueError(f"The key of this {kind} work is too long: {len(text)} characters of {_LONGEST_ID}.")
    return text


class WorkQueue:
    """The work of one merchant (None: the installation's own) within an open transaction begun at `now` (UTC).

    `dispatch(connection, item, delay)` wakes the job engine in the same transaction.
    """

    def __init__(self, connection: sa.Connection, merchant_id: int | None, now: datetime, dispatch: Dispatch) -> None:
        self._connection = connection
        self._merchant_id = merchant_id
        self._now = now
        self._dispatch = dispatch

    def add(
        self,
        kind: Work,
        key: str,
        *,
        partition: str,
        payload: Mapping[str, Any] | None = None,
        delay: float = 0.0,
        unite: str = "",
        begun_by: str = "",
    ) -> str:
        """Ask for work in `delay` seconds. `partition` is what shares fairly and keeps order, e.g. a connection.

        Asking again while it is pending makes sure that an attempt begins after this moment, and not later than
        asked; a `payload` given replaces the earlier one, but for the list under the name `unite`, which grows by
        what is asked for now and stays absent, which means everything, where it is. Asking for work done or dead
        begins it anew.

        Returns the correlation its log lines carry: that of what asks for it first, or of the request that began the
        payment `begun_by`, for which those who ask (a webhook, the clock) are only messengers.
        """
        identity = work_id(kind, self._merchant_id, key)
        due = self._now + timedelta(seconds=delay)
        correlation = self._correlation(begun_by or str((payload or {}).get("payment", "")), bool(begun_by))
        inserted = self._connection.execute(
            on_conflict_insert(self._connection, t.work)
            .values(
                id=identity,
                kind=kind.value,
                merchant_id=self._merchant_id,
                partition=partition,
                state="pending",
                attempt=1,
                failures=0,
                asked=1,
                payload=dict(payload or {}),
                correlation=correlation,
                next_at=due,
                created_at=self._now,
                error="",
            )
            .on_conflict_do_nothing(index_elements=["id"])
        )
        if inserted.rowcount == 1:
            self._wake(identity, delay)
            return correlation
        row = self._locked(identity)
        if row is None:
            raise ValueError(f"The work {identity} belongs to another merchant.")
        changes: dict[str, Any] = {"asked": row.asked + 1}
        if payload is not None:
            changes["payload"] = dict(payload)
            if unite and row.state == "pending":
                changes["payload"] = _united(row.payload, payload, unite)
        if row.state != "pending":
            changes |= {"state": "pending", "attempt": row.attempt + 1, "failures": 0, "next_at": due, "error": ""}
            changes |= {"partition": partition, "correlation": correlation, "sent_at": None, "finished_at": None}
        elif due < row.next_at:
            changes |= {"attempt": row.attempt + 1, "next_at": due}
        self._update(identity, changes)
        if "attempt" in changes:
            self._wake(identity, delay)
        return str(changes.get("correlation", row.correlation))

    def open(self, identity: str, attempt: int) -> WorkItem | None:
        """What this attempt is to do; None when it has nothing to do any more (done, dead or taken over)."""
        row = self._connection.execute(
            self._select().where(_w.id == identity, _w.state == "pending", _w.attempt == attempt)
        ).first()
        return None if row is None else _item(row)

    def mark_sent(self, item: WorkItem) -> None:
        """Write down, before the call, that it may reach the upstream. Raises Fenced."""
        self._settle(item, {"sent_at": self._now})

    def finish(self, item: WorkItem) -> bool:
        """The attempt has done the work. False: it was asked for again meanwhile, so another attempt follows.

        Raises Fenced.
        """
        row = self._mine(item)
        if row.asked == item.asked:
            self._update(item.id, {"state": "done", "finished_at": self._now, "error": "", "sent_at": None})
            return True
        self._again(item, 0.0, {"failures": 0, "error": "", "sent_at": None})
        return False

    def retry(self, item: WorkItem, after: float, *, why: str, spend: bool, nothing_sent: bool = False) -> None:
        """Another attempt in `after` seconds; `spend`: it counts as a failure. Raises Fenced.

        `nothing_sent`: the upstream certainly has nothing of this attempt, so that the next need not wait for it.
        Asked for again meanwhile, it comes at once: what this attempt met may be over.
        """
        row = self._mine(item)
        if row.asked != item.asked:
            after = 0.0
        changes: dict[str, Any] = {"failures": item.failures + int(spend), "error": why}
        if nothing_sent:
            changes["sent_at"] = item.sent_at
        self._again(item, after, changes)

    def wake_again(self, item: WorkItem) -> None:
        """The job engine has lost this attempt: begin another at once. Raises Fenced."""
        self._mine(item)
        self._again(item, 0.0, {})

    def give_up(self, item: WorkItem, why: str) -> None:
        """Dead: a person has to look at it; `why` tells them. Raises Fenced."""
        self._settle(item, {"state": "dead", "finished_at": self._now, "error": why, "failures": item.failures + 1})

    def tally(self, kind: Work, outcome: str, seconds: float) -> None:
        """Count an attempt that came to an outcome; the last thing done in its transaction."""
        tallies.count(self._connection, kind.value, outcome, seconds)

    def pending(self, kind: Work, partition: str) -> Sequence[WorkItem]:
        """All pending work of a kind in a partition."""
        of_kind = self._select().where(_w.kind == kind.value, _w.state == "pending", _w.partition == partition)
        return [_item(row) for row in self._connection.execute(of_kind.order_by(_w.id))]

    def find(self, kind: Work, key: str) -> WorkRow | None:
        """How a piece of work stands."""
        row = self._connection.execute(self._select().where(_w.id == work_id(kind, self._merchant_id, key))).first()
        return None if row is None else _row(row)

    def state_of(self, identity: str) -> tuple[str, str] | None:
        """(kind, state) of a piece of work, locked until the transaction ends; None when there is none."""
        row = self._locked(identity)
        return None if row is None else (row.kind, row.state)

    def list(self, state: str, limit: int = 100) -> list[WorkRow]:
        """Work in a state (pending, done, dead), the longest waiting first."""
        rows = self._connection.execute(
            self._select().where(_w.state == state).order_by(_w.next_at, _w.id).limit(limit)
        )
        return [_row(row) for row in rows]

    def try_now(self, identity: str) -> bool:
        """A person asks for another attempt at once, with a fresh budget; False when there is no such work."""
        row = self._locked(identity)
        if row is None or row.state == "done":
            return False
        changes = {"state": "pending", "attempt": row.attempt + 1, "failures": 0, "next_at": self._now}
        self._update(identity, changes | {"finished_at": None})
        self._wake(identity, 0.0)
        return True

    def cancel(self, identity: str, why: str) -> bool:
        """A person ends work that is pending; an attempt under way can write nothing more."""
        row = self._locked(identity)
        if row is None or row.state != "pending":
            return False
        changes = {"state": "dead", "attempt": row.attempt + 1, "finished_at": self._now, "error": why}
        self._update(identity, changes)
        return True

    def _correlation(self, payment: str, always: bool) -> str:
        """Of the request or work in which this is asked for; of the payment's beginning, if there is none or always."""
        here = str(structlog.contextvars.get_contextvars().get("correlation", ""))[:32]
        if payment and (always or not here):
            began = sa.select(t.payments.c.correlation).where(t.payments.c.id == payment)
            here = self._connection.execute(began).scalar() or here
        return here or uuid.uuid4().hex

    def _again(self, item: WorkItem, after: float, changes: dict[str, Any]) -> None:
        due = self._now + timedelta(seconds=after)
        self._update(item.id, changes | {"attempt": item.attempt + 1, "next_at": due})
        self._wake(item.id, after)

    def _settle(self, item: WorkItem, changes: dict[str, Any]) -> None:
        self._mine(item)
        self._update(item.id, changes)

    def _mine(self, item: WorkItem) -> Any:
        row = self._locked(item.id)
        if row is None or row.state != "pending" or row.attempt != item.attempt:
            raise Fenced(f"Attempt {item.attempt} at {item.id} has been taken over.")
        return row

    def _wake(self, identity: str, delay: float) -> None:
        row = self._connection.execute(self._select().where(_w.id == identity)).one()
        self._dispatch(self._connection, _item(row), delay)

    def _bound(self) -> sa.ColumnElement[bool]:
        return _w.merchant_id.is_(None) if self._merchant_id is None else _w.merchant_id == self._merchant_id

    def _select(self) -> sa.Select[Any]:
        return sa.select(t.work).where(self._bound())

    def _locked(self, identity: str) -> Any:
        return self._connection.execute(self._select().where(_w.id == identity).with_for_update()).first()

    def _update(self, identity: str, changes: Mapping[str, Any]) -> None:
        self._connection.execute(sa.update(t.work).where(self._bound(), _w.id == identity).values(changes))


def overdue(connection: sa.Connection, before: datetime, limit: int = 500) -> list[WorkItem]:
    """Pending work of all merchants whose time came before a moment (UTC), the longest waiting first."""
    rows = connection.execute(
        sa.select(t.work).where(_w.state == "pending", _w.next_at <= before).order_by(_w.next_at, _w.id).limit(limit)
    )
    return [_item(row) for row in rows]


def _united(earlier: Mapping[str, Any], now: Mapping[str, Any], name: str) -> dict[str, Any]:
    if not earlier.get(name):
        return {key: value for key, value in now.items() if key != name}
    return {**now, name: sorted({*earlier[name], *now[name]})}


def _item(row: Any) -> WorkItem:
    return WorkItem(
        id=row.id,
        kind=Work(row.kind),
        merchant=row.merchant_id,
        partition=row.partition,
        attempt=row.attempt,
        failures=row.failures,
        asked=row.asked,
        payload=row.payload,
        sent_at=row.sent_at,
        correlation=row.correlation,
    )


def _row(row: Any) -> WorkRow:
    return WorkRow(
        item=_item(row),
        state=row.state,
        next_at=row.next_at,
        created_at=row.created_at,
        finished_at=row.finished_at,
        error=row.error,
    )
