"""What a merchant sees of invoices: the list, and one invoice with its link and payments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from connector.db import tables as t
from connector.domain.links import Scope
from connector.domain.records import InvoiceState, Kind
from connector.errors import NotFound
from connector.reading.links import LiveLink, Placement, live_link, placement
from connector.wiring import Wiring

PAGE = 50
_CSV_PAGE = 1000


class Filters(NamedTuple):
    """What the list is narrowed to. `state` is an invoice state, 'overdue' or ''; `connection` an id or 0."""

    search: str = ""
    state: str = ""
    connection: int = 0


class Place(NamedTuple):
    """Where a page of the list begins: after this invoice. Invoices without a date stand last."""

    issue_date: date | None
    id: int


class Listed(NamedTuple):
    """An invoice in the list. `paying` is the payment that holds it, or None; `link` says whether a link is live."""

    id: int
    number: str
    state: str
    currency: str
    total: int
    balance: int
    issue_date: date | None
    due_date: date | None
    customer_id: int | None
    customer: str | None
    connection: str
    system: str
    paying: str | None
    link: bool


class Outstanding(NamedTuple):
    """What is owed in one currency, in minor units."""

    currency: str
    invoices: int
    balance: int
    overdue: int


class Line(NamedTuple):
    """One line of an invoice. `quantity` and `unit_price` are the system's own decimal text."""

    description: str
    quantity: str
    unit_price: str
    amount: int
    tax: int


class PaymentOfInvoice(NamedTuple):
    """A payment of an invoice, and how much of it (minor units) was for this invoice."""

    id: str
    created_at: datetime
    state: str
    method: str
    amount: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """One invoice with everything its page shows. `customer` is the remote id."""

    id: int
    connection_id: int
    remote_id: str
    kind: str
    number: str
    state: str
    customer: str
    currency: str
    total: int
    tax: int
    balance: int
    issue_date: date | None
    due_date: date | None
    memo: str
    reference: str
    emailed: bool
    confirmed_at: datetime
    customer_id: int | None
    customer_name: str | None
    system: str
    connection_name: str
    connection_state: str
    connection_problem: str
    paying: str | None
    lines: Sequence[Line]
    link: LiveLink | None
    placement: Placement | None
    payments: Sequence[PaymentOfInvoice]


_i, _u, _c, _k, _lock, _a, _pay = (
    table.c for table in (t.invoices, t.customers, t.connections, t.links, t.invoice_locks, t.allocations, t.payments)
)
_MERCHANT: sa.ColumnElement[int] = sa.bindparam("merchant")
_INVOICES: sa.ColumnElement[str] = sa.literal_column(f"'{Kind.INVOICE.value}'")
_OPEN = sa.text("invoices.state = 'open' AND invoices.balance > 0")
_LINKED = sa.and_(
    _k.connection_id == _i.connection_id,
    _k.scope == Scope.INVOICE.value,
    _k.target == _i.remote_id,
    sa.text("links.state = 'live'"),
)
_JOINED = (
    t.invoices.join(t.connections, _c.id == _i.connection_id)
    .outerjoin(t.customers, sa.and_(_u.connection_id == _i.connection_id, _u.remote_id == _i.customer))
    .outerjoin(t.invoice_locks, _lock.invoice_id == _i.id)
)
_LIST = sa.select(
    _i.id,
    _i.number,
    _i.state,
    _i.currency,
    _i.total,
    _i.balance,
    _i.issue_date,
    _i.due_date,
    _u.id,
    _u.name,
    _c.name,
    _c.system,
    _lock.payment_id,
    _k.id.is_not(None),
).select_from(_JOINED.outerjoin(t.links, _LINKED))
_OUTSTANDING = (
    sa.select(
        _i.currency,
        sa.func.count(),
        sa.cast(sa.func.sum(_i.balance), sa.BigInteger),
        sa.cast(
            sa.func.sum(sa.case((_i.due_date < sa.bindparam("today", type_=sa.Date), _i.balance), else_=0)),
            sa.BigInteger,
        ),
    )
    .where(
        _i.merchant_id == _MERCHANT,
        _i.connection_id.in_(sa.select(_c.id).where(_c.merchant_id == _MERCHANT)),
        _OPEN,
        _i.kind == _INVOICES,
    )
    .group_by(_i.currency)
    .order_by(_i.currency)
)
_ONE = (
    sa.select(
        _i.id, _i.connection_id, _i.remote_id, _i.kind, _i.number, _i.state, _i.customer, _i.currency, _i.total,
        _i.tax, _i.balance, _i.issue_date, _i.due_date, _i.memo, _i.reference, _i.emailed, _i.confirmed_at,
        _u.id.label("customer_id"), _u.name.label("customer_name"), _c.system, _c.name.label("connection_name"),
        _c.state.label("connection_state"), _c.problem.label("connection_problem"),
        _lock.payment_id.label("paying"), _i.lines,
    )
    .select_from(_JOINED)
    .where(_i.merchant_id == _MERCHANT, _i.id == sa.bindparam("id"))
)  # fmt: skip
_PAYMENTS = (
    sa.select(_pay.id, _pay.created_at, _pay.state, _pay.method, _a.amount)
    .select_from(t.allocations.join(t.payments, _pay.id == _a.payment_id))
    .where(_a.merchant_id == _MERCHANT, _a.invoice_id == sa.bindparam("invoice"))
    .order_by(_pay.created_at.desc())
    .limit(50)
)
_decode_lines = msgspec.json.Decoder(list[Line]).decode


def page(
    wiring: Wiring, merchant_id: int, filters: Filters, after: Place | None, *, today: date, most: int = PAGE
) -> list[Listed]:
    """One page, newest first, and one more row where there are more: at most `most` + 1."""
    listed = _LIST.where(_i.merchant_id == _MERCHANT, _i.kind == _INVOICES, *_narrowed(filters, today))
    with wiring.database.reader(merchant_id) as reader:
        rows: list[Any] = []
        if after is None or after.issue_date is not None:
            dated = listed.where(_i.issue_date.is_not(None))
            if after is not None:
                dated = dated.where(sa.tuple_(_i.issue_date, _i.id) < sa.tuple_(after.issue_date, after.id))
            rows = reader.rows(dated.order_by(_i.issue_date.desc(), _i.id.desc()).limit(most + 1))
        if len(rows) <= most:
            undated = listed.where(_i.issue_date.is_(None))
            if after is not None and after.issue_date is None:
                undated = undated.where(_i.id < after.id)
            rows += reader.rows(undated.order_by(_i.id.desc()).limit(most + 1 - len(rows)))
    return [Listed._make((*row[:-1], bool(row[-1]))) for row in rows]


def every(wiring: Wiring, merchant_id: int, filters: Filters, *, today: date) -> Iterator[Listed]:
    """All invoices of the list, in short transactions, so that a slow download keeps nobody waiting."""
    after: Place | None = None
    while True:
        rows = page(wiring, merchant_id, filters, after, today=today, most=_CSV_PAGE)
        yield from rows[:_CSV_PAGE]
        if len(rows) <= _CSV_PAGE:
            return
        after = Place(rows[_CSV_PAGE - 1].issue_date, rows[_CSV_PAGE - 1].id)


def outstanding(wiring: Wiring, merchant_id: int, *, today: date, connection: int = 0) -> list[Outstanding]:
    """What is owed, one row for every currency."""
    statement = _OUTSTANDING.where(_i.connection_id == connection) if connection else _OUTSTANDING
    with wiring.database.reader(merchant_id) as reader:
        return [Outstanding(*row) for row in reader.rows(statement, today=today)]


def invoice(wiring: Wiring, merchant_id: int, invoice_id: int) -> Invoice:
    """One invoice, credit note or estimate. Raises NotFound."""
    with wiring.database.reader(merchant_id) as reader:
        row = reader.first(_ONE, id=invoice_id)
        if row is None:
            raise NotFound("This invoice does not exist.")
        values: Mapping[str, Any] = row._mapping
        return Invoice(
            **{**values, "lines": _decode_lines(row.lines)},
            link=live_link(reader, row.connection_id, Scope.INVOICE, row.remote_id),
            placement=placement(reader, row.connection_id, row.remote_id) if row.kind == Kind.INVOICE else None,
            payments=[PaymentOfInvoice(*paid) for paid in reader.rows(_PAYMENTS, invoice=invoice_id)],
        )


def _narrowed(filters: Filters, today: date) -> list[sa.ColumnElement[bool]]:
    where: list[sa.ColumnElement[bool]] = []
    if filters.connection:
        where.append(_i.connection_id == filters.connection)
    if filters.state == "overdue":
        where += [_i.state == InvoiceState.OPEN.value, _i.balance > 0, _i.due_date < today]
    elif filters.state:
        where.append(_i.state == filters.state)
    if filters.search:
        found = filters.search.lower()
        where.append(
            sa.or_(
                sa.func.lower(_i.number).contains(found, autoescape=True),
                sa.func.lower(_u.name).contains(found, autoescape=True),
            )
        )
    return where
