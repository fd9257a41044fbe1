"""What a merchant sees of connections: the list, the dry run, and how far an import has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.reader import Reader
from connector.domain.records import Kind
from connector.errors import NotFound
from connector.wiring import Wiring

PROBLEMS_SHOWN = 50
_PLACEMENT_STATES = ("planned", "placed", "refused", "manual", "confirmed")


@dataclass(frozen=True, slots=True)
class Connection:
    """A connected organisation. `survey` is what the last dry run counted, None before the first."""

    id: int
    system: str
    tenant: str
    name: str
    currency: str
    state: str
    history_start: date | None
    place_links: bool
    deposit_account: str
    survey: Mapping[str, Any] | None
    install_key: str | None
    problem: str
    confirmed_at: datetime | None
    first_import_done_at: datetime | None
    last_synced_at: datetime | None
    first_hit_at: datetime | None


class Progress(NamedTuple):
    """How far one kind of record has been read; `total` is None until the upstream has said it."""

    kind: str
    seen: int
    total: int | None
    done: bool


class Problem(NamedTuple):
    """A record that could not be read."""

    kind: str
    remote_id: str
    number: str
    why: str
    seen_at: datetime


class Account(NamedTuple):
    """An account payments may be booked to."""

    remote_id: str
    name: str
    kind: str
    currency: str


class ThemePlacement(NamedTuple):
    """A template the link stands on, or is to be put on by hand."""

    target: str
    name: str
    state: str
    placed_at: datetime | None
    verified_at: datetime | None


@dataclass(frozen=True, slots=True)
class Status:
    """Where a connection stands. `placements` counts links by state; `problem_count` counts all problems."""

    connection: Connection
    kinds: Sequence[Progress]
    placements: Mapping[str, int]
    invoices: int
    customers: int
    themes: Sequence[ThemePlacement]
    problems: Sequence[Problem]
    problem_count: int
    refusals: Sequence[tuple[str, int]]


_c, _u, _i, _r, _p, _s, _d = (
    table.c
    for table in (
        t.connections,
        t.customers,
        t.invoices,
        t.cursors,
        t.placements,
        t.sync_problems,
        t.deposit_accounts,
    )
)
_FIELDS = [_c[name] for name in Connection.__dataclass_fields__]
_MINE = _c.merchant_id == sa.bindparam("merchant")
_ALL = sa.select(*_FIELDS).where(_MINE).order_by(_c.id)
_ONE = sa.select(*_FIELDS).where(_MINE, _c.id == sa.bindparam("id"))


def _of(table: sa.TableClause, *columns: Any) -> sa.Select[Any]:
    """SELECT of one connection's rows."""
    return sa.select(*columns).where(
        table.c.merchant_id == sa.bindparam("merchant"), table.c.connection_id == sa.bindparam("id")
    )


_KINDS = _of(t.cursors, _r.kind, _r.seen, _r.total, _r.first_done)
_PLACEMENTS = _of(t.placements, _p.state, sa.func.count()).group_by(_p.state)
_INVOICES = _of(t.invoices, sa.func.count()).where(_i.kind == Kind.INVOICE.value)
_CUSTOMERS = _of(t.customers, sa.func.count())
_THEMES = (
    _of(t.placements, _p.target, _p.target_name, _p.state, _p.placed_at, _p.verified_at)
    .where(_p.link_id.is_(None))
    .order_by(_p.id)
    .limit(100)
)
_PROBLEMS = (
    _of(t.sync_problems, _s.kind, _s.remote_id, _s.number, _s.why, _s.seen_at)
    .order_by(_s.seen_at.desc(), _s.id.desc())
    .limit(PROBLEMS_SHOWN)
)
_PROBLEM_COUNT = _of(t.sync_problems, sa.func.count())
_REFUSALS = (
    _of(t.placements, _p.problem, sa.func.count().label("number"))
    .where(_p.state == "refused")
    .group_by(_p.problem)
    .order_by(sa.func.count().desc())
    .limit(10)
)
_ACCOUNTS = _of(t.deposit_accounts, _d.remote_id, _d.name, _d.kind, _d.currency).order_by(_d.name, _d.remote_id)


def connections(wiring: Wiring, merchant_id: int) -> list[Connection]:
    """All connections, oldest first."""
    with wiring.database.reader(merchant_id) as reader:
        return [Connection(*row) for row in reader.rows(_ALL)]


def connection(wiring: Wiring, merchant_id: int, connection_id: int) -> Connection:
    """One connection. Raises NotFound."""
    with wiring.database.reader(merchant_id) as reader:
        return _one(reader, connection_id)


def accounts(wiring: Wiring, merchant_id: int, connection_id: int) -> list[Account]:
    """The accounts payments may be booked to."""
    with wiring.database.reader(merchant_id) as reader:
        return [Account(*row) for row in reader.rows(_ACCOUNTS, id=connection_id)]


def status(wiring: Wiring, merchant_id: int, connection_id: int) -> Status:
    """Everything the page of a connection shows. Raises NotFound."""
    with wiring.database.reader(merchant_id) as reader:
        one = _one(reader, connection_id)
        counted = {state: int(number) for state, number in reader.rows(_PLACEMENTS, id=connection_id)}
        return Status(
            connection=one,
            kinds=_kinds(wiring, one, reader.rows(_KINDS, id=connection_id)),
            placements={state: 0 for state in _PLACEMENT_STATES} | counted,
            invoices=reader.first(_INVOICES, id=connection_id)[0],
            customers=reader.first(_CUSTOMERS, id=connection_id)[0],
            themes=[ThemePlacement(*row) for row in reader.rows(_THEMES, id=connection_id)],
            problems=[Problem(*row) for row in reader.rows(_PROBLEMS, id=connection_id)],
            problem_count=reader.first(_PROBLEM_COUNT, id=connection_id)[0],
            refusals=[(row.problem, row.number) for row in reader.rows(_REFUSALS, id=connection_id)],
        )


def _one(reader: Reader, connection_id: int) -> Connection:
    row = reader.first(_ONE, id=connection_id)
    if row is None:
        raise NotFound("This connection does not exist.")
    return Connection(*row)


def _kinds(wiring: Wiring, one: Connection, rows: Sequence[Any]) -> list[Progress]:
    """What the system is read for, in its order, begun or not."""
    begun = {row.kind: Progress(row.kind, row.seen, row.total, bool(row.first_done)) for row in rows}
    system = wiring.systems.get(one.system)
    order = system.manifest.capabilities.reads if system else tuple(begun)
    return [begun.get(kind, Progress(kind, 0, None, False)) for kind in order]
