"""Background work as people see it: what waits, what has died and why, and the whole story of one piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from connector.db import tables as t
from connector.domain.work_words import may_cancel, words_of
from connector.errors import NotFound
from connector.wiring import Wiring

MOST = 100
STATES = ("pending", "done", "dead")
# Work that is overdue by so much tells that no worker takes it.
_TAKEN_WITHIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Listed:
    """A piece of work. `merchant_id` None: the installation's own. `error`: why the last attempt did not succeed."""

    id: str
    kind: str
    merchant_id: int | None
    partition: str
    state: str
    attempt: int
    failures: int
    payload: Mapping[str, Any]
    correlation: str
    next_at: datetime
    sent_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    error: str

    @property
    def title(self) -> str:
        """What it is for."""
        return words_of(self.kind).title

    @property
    def missing(self) -> str:
        """What is not so as long as it is not done."""
        return words_of(self.kind).missing

    @property
    def cancellable(self) -> bool:
        """Whether a person may end it."""
        return self.state == "pending" and may_cancel(self.kind)

    def advice(self, now: datetime) -> str:
        """What to do about it."""
        if self.state == "done":
            return "Nothing: it is done."
        if self.state == "dead":
            return words_of(self.kind).do
        if self.next_at <= now - _TAKEN_WITHIN:
            return "It is due and nobody takes it: see whether a worker is running and reaches the database."
        if self.error:
            return f"Nothing at the moment: it is tried again by itself. If the cause stays: {words_of(self.kind).do}"
        return "Nothing: it is done by itself when its time has come."


class Deed(NamedTuple):
    """What a person did about it."""

    at: datetime
    action: str
    user_id: int | None
    address: str


@dataclass(frozen=True, slots=True)
class Story:
    """One piece of work with what it is about and what people did with it. `about` is (what, which, its state)."""

    work: Listed
    about: Sequence[tuple[str, str, str]]
    deeds: Sequence[Deed]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which work is wanted. `older_than`: due or finished longer ago than this."""

    states: Sequence[str] = ("pending", "dead")
    kind: str = ""
    merchant_id: int | None = None
    older_than: timedelta | None = None


_w, _a, _p, _c = t.work.c, t.audit_log.c, t.payments.c, t.connections.c
_COLUMNS = [_w[name] for name in Listed.__dataclass_fields__]
_Read = Callable[[sa.Select[Any]], Sequence[Any]]


def work(wiring: Wiring, wanted: Filter, merchant_id: int | None = None, *, most: int = MOST) -> list[Listed]:
    """Work of one merchant, or (None) of everybody: what waits by its time, then what ended, the latest first."""
    with _reading(wiring, merchant_id) as read:
        now = wiring.clock()
        found = [row for state in wanted.states for row in read(_listing(wanted, state, merchant_id, now).limit(most))]
    return [_listed(row) for row in found[:most]]


def dead(wiring: Wiring, merchant_id: int) -> int:
    """How many pieces of a merchant's work wait for a person."""
    count = sa.select(sa.func.count()).where(_w.merchant_id == merchant_id, _w.state == "dead")
    with _reading(wiring, merchant_id) as read:
        return int(read(count)[0][0])


def one(wiring: Wiring, identity: str, merchant_id: int | None = None) -> Story:
    """One piece of work, a merchant's or (None) anybody's. Raises NotFound."""
    with _reading(wiring, merchant_id) as read:
        statement = sa.select(*_COLUMNS).where(_w.id == identity)
        rows = read(statement if merchant_id is None else statement.where(_w.merchant_id == merchant_id))
        if not rows:
            raise NotFound("There is no such background work. Finished work is forgotten after a while.")
        found = _listed(rows[0])
        return Story(found, _about(read, found), _deeds(read, found))


@contextmanager
def _reading(wiring: Wiring, merchant_id: int | None) -> Iterator[_Read]:
    """Bound to the merchant; what everybody's work is, operators alone are shown."""
    if merchant_id is None:
        with wiring.database.lookup() as everybody:
            yield everybody.rows
    else:
        with wiring.database.reader(merchant_id) as reader:
            yield reader.rows


def _listing(wanted: Filter, state: str, merchant_id: int | None, now: datetime) -> sa.Select[Any]:
    since = _w.next_at if state == "pending" else _w.finished_at
    statement = sa.select(*_COLUMNS).where(_w.state == state)
    whose = merchant_id or wanted.merchant_id
    if whose is not None:
        statement = statement.where(_w.merchant_id == whose)
    if wanted.kind:
        statement = statement.where(_w.kind == wanted.kind)
    if wanted.older_than is not None:
        statement = statement.where(since < now - wanted.older_than)
    return statement.order_by(since if state == "pending" else since.desc(), _w.id)


def _listed(row: Any) -> Listed:
    return Listed(**row._mapping)


def _about(read: _Read, found: Listed) -> list[tuple[str, str, str]]:
    """What its payload points at, with the state that is in."""
    about = []
    for name, column, state in (
        ("payment", _p.id, _p.state),
        ("connection", _c.id, _c.state),
        ("mail", t.mails.c.id, t.mails.c.state),
        ("refund", t.refunds.c.id, t.refunds.c.state),
    ):
        which = found.payload.get(name)
        if which is not None:
            rows = read(sa.select(state).where(column == which, column.table.c.merchant_id == found.merchant_id))
            about.append((name, str(which), str(rows[0][0]) if rows else "gone"))
    return about


def _deeds(read: _Read, found: Listed) -> list[Deed]:
    if found.merchant_id is None:
        return []
    asked = sa.select(_a.at, _a.action, _a.user_id, _a.address).where(
        _a.merchant_id == found.merchant_id, _a.target == f"work {found.id}", _a.at >= found.created_at
    )
    return [Deed(*row) for row in read(asked.order_by(_a.id))]
