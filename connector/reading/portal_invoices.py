"""What a customer's pages show of their invoices. Every SELECT is built once, at import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from connector.db import tables as t
from connector.db.prepared import Prepared
from connector.db.reader import Reader
from connector.domain.payments import PortalScope
from connector.domain.records import InvoiceState, Kind, PaymentState

OPEN_A_PAGE = 25
RECENT_INVOICES = 20
LINE_ITEMS = 20
PAID_SHOWN = 5
HISTORY_A_PAGE = 25
MOST_AT_ONCE = 100


class OpenInvoice(NamedTuple):
    """An invoice that is due. `paying` is the state of a payment under way, or None."""

    id: int
    number: str
    currency: str
    total: int
    balance: int
    issue_date: date | None
    due_date: date | None
    paying: str | None


class Due(NamedTuple):
    """What is owed in one currency. `payable` and `payable_invoices` leave out what the bank is processing already."""

    currency: str
    balance: int
    invoices: int
    overdue: int
    payable: int
    payable_invoices: int


class Credit(NamedTuple):
    """Credit the customer has in one currency."""

    currency: str
    amount: int


class LineItem(NamedTuple):
    """One line of a recent invoice."""

    issue_date: date | None
    number: str
    currency: str
    description: str
    amount: int
    tax: int


class ListedInvoice(NamedTuple):
    """An invoice in a list."""

    id: int
    number: str
    state: str
    currency: str
    total: int
    balance: int
    issue_date: date | None
    due_date: date | None
    paying: str | None


class DocumentLine(NamedTuple):
    """One line of a document. `quantity` and `unit_price` are the system's own decimal text."""

    description: str
    quantity: str
    unit_price: str
    amount: int
    tax: int


@dataclass(frozen=True, slots=True)
class Account:
    """What a customer owes, the first open invoices of it, and what they owed for lately."""

    due: Sequence[Due]
    credits: Sequence[Credit]
    invoices: Sequence[OpenInvoice]
    open_count: int
    confirmed_at: datetime | None
    items: Sequence[LineItem]
    paid: Sequence[ListedInvoice]


@dataclass(frozen=True, slots=True)
class Document:
    """One invoice with everything its page shows."""

    id: int
    remote_id: str
    number: str
    state: str
    currency: str
    total: int
    tax: int
    balance: int
    issue_date: date | None
    due_date: date | None
    memo: str
    reference: str
    confirmed_at: datetime
    paying: str | None
    lines: Sequence[DocumentLine]


def _word(state: StrEnum) -> sa.ColumnElement[str]:
    """One of our own words as a constant of the statement, so that the planner sees it."""
    return sa.literal_column(f"'{state.value}'", sa.String)


# Stands in the WHERE of everything open, word for word as in the partial index it is to use.
_OPEN = sa.text("invoices.state = 'open' AND invoices.balance > 0")
_CHARGED = frozenset({InvoiceState.OPEN, InvoiceState.PAID})
_SHOWN_STATES = [state for state in InvoiceState if state not in (InvoiceState.DRAFT, InvoiceState.DELETED)]

_i, _lock, _pay = t.invoices.c, t.invoice_locks.c, t.payments.c
_MINE = sa.and_(_i.connection_id == sa.bindparam("connection"), _i.customer == sa.bindparam("customer"))
# Hidden from the planner, which would rather walk all invoices of the connection than those of one customer.
_IS_INVOICE = sa.func.coalesce(_i.kind, "") == _word(Kind.INVOICE)
_UNDER_WAY = t.invoices.outerjoin(t.invoice_locks, _lock.invoice_id == _i.id).outerjoin(
    t.payments, _pay.id == _lock.payment_id
)
_PAYING = _pay.state.label("paying")
_AT_THE_BANK = _word(PaymentState.PROCESSING)
_NOTHING, _ONE = sa.literal_column("0", sa.BigInteger), sa.literal_column("1", sa.BigInteger)


def _open_statement() -> sa.Select[Any]:
    """Rows of one page of open invoices, with the totals of all; and one row for every currency not on the page."""
    mine = (
        sa.select(
            _i.id,
            _i.kind,
            _i.number,
            _i.currency,
            _i.total,
            _i.balance,
            _i.issue_date,
            _i.due_date,
            _PAYING,
            _i.confirmed_at,
        )
        .select_from(_UNDER_WAY)
        .where(_MINE, _OPEN)
        .subquery("mine")
    )
    m = mine.c
    free = m.paying.is_distinct_from(_AT_THE_BANK)
    in_order = (m.due_date.is_(None), m.due_date, m.id)
    late = m.due_date < sa.bindparam("today", type_=sa.Date)

    def of_currency(value: Any) -> Any:
        return sa.cast(value.over(partition_by=(m.kind, m.currency)), sa.BigInteger)

    ranked = sa.select(
        mine,
        of_currency(sa.func.sum(m.balance)).label("all_balance"),
        of_currency(sa.func.count()).label("all_count"),
        of_currency(sa.func.sum(sa.case((late, m.balance), else_=_NOTHING))).label("overdue"),
        of_currency(sa.func.sum(sa.case((free, m.balance), else_=_NOTHING))).label("payable"),
        of_currency(sa.func.sum(sa.case((free, _ONE), else_=_NOTHING))).label("payable_invoices"),
        of_currency(sa.func.row_number()).label("of_currency"),
        sa.func.row_number().over(partition_by=m.kind, order_by=in_order).label("position"),
    ).subquery("ranked")
    r = ranked.c
    skip = sa.bindparam("skip", type_=sa.Integer)
    on_page = sa.and_(
        r.kind == _word(Kind.INVOICE), r.position > skip, r.position <= skip + sa.literal_column(str(OPEN_A_PAGE))
    )
    totals = sa.and_(r.of_currency == _ONE, r.kind != _word(Kind.ESTIMATE))
    return sa.select(ranked).where(sa.or_(on_page, totals)).order_by(r.kind, r.position)


_OPEN_PAGE = Prepared(_open_statement(), sqlite_index="ix_invoices_open")
_LISTED = (
    _i.id,
    _i.number,
    _i.state,
    _i.currency,
    _i.total,
    _i.balance,
    _i.issue_date,
    _i.due_date,
)
_INVOICES_SHOWN = sa.and_(
    _MINE,
    _IS_INVOICE,
    _i.state.in_([_word(state) for state in _SHOWN_STATES]),
)
_NEWEST_FIRST = (_i.issue_date.desc(), _i.id.desc())
_RECENT = Prepared(sa.select(*_LISTED, _i.lines).where(_INVOICES_SHOWN).order_by(*_NEWEST_FIRST).limit(RECENT_INVOICES))
_ALL_OF_CURRENCY = (
    sa.select(_i.id, _i.balance)
    .select_from(_UNDER_WAY)
    .where(
        _MINE,
        _OPEN,
        _IS_INVOICE,
        _i.currency == sa.bindparam("currency"),
        _pay.state.is_distinct_from(_AT_THE_BANK),
    )
    .order_by(_i.due_date.is_(None), _i.due_date, _i.id)
    .limit(MOST_AT_ONCE + 1)
)
_CHOSEN = (
    sa.select(_i.id, _i.number, _i.currency, _i.total, _i.balance, _i.issue_date, _i.due_date, _PAYING)
    .select_from(_UNDER_WAY)
    .where(
        _MINE,
        _OPEN,
        _IS_INVOICE,
        _i.id.in_(sa.bindparam("ids", expanding=True)),
        sa.or_(sa.bindparam("only", type_=sa.String) == "", _i.remote_id == sa.bindparam("only")),
    )
)
_DOCUMENT_FIELDS = (
    *_LISTED, _i.remote_id, _i.tax, _i.memo, _i.reference, _i.confirmed_at, _i.lines, _PAYING
)  # fmt: skip
_DOCUMENT = sa.select(*_DOCUMENT_FIELDS).select_from(_UNDER_WAY).where(_INVOICES_SHOWN, _i.id == sa.bindparam("id"))
_DOCUMENT_OF_LINK = (
    sa.select(*_DOCUMENT_FIELDS)
    .select_from(_UNDER_WAY)
    .where(_INVOICES_SHOWN, _i.kind == _word(Kind.INVOICE), _i.remote_id == sa.bindparam("remote"))
)
_HISTORY = (
    sa.select(*_LISTED, _PAYING)
    .select_from(_UNDER_WAY)
    .where(
        _INVOICES_SHOWN,
        sa.or_(sa.bindparam("state", type_=sa.String) == "", _i.state == sa.bindparam("state")),
        sa.or_(
            sa.bindparam("search", type_=sa.String) == "",
            sa.func.lower(_i.number).like(sa.bindparam("search"), escape="/"),
        ),
    )
    .order_by(*_NEWEST_FIRST)
    .limit(HISTORY_A_PAGE + 1)
    .offset(sa.bindparam("skip"))
)
_decode_plain = msgspec.json.decode
_decode_lines = msgspec.json.Decoder(list[DocumentLine]).decode


def account(reader: Reader, scope: PortalScope, *, today: date, skip: int = 0) -> Account:
    """A customer's account in two statements, whatever the customer has. `skip` open invoices are passed over."""
    rows = reader.rows(_OPEN_PAGE, connection=scope.connection_id, customer=scope.customer, today=today, skip=skip)
    invoices = [row for row in rows if row.kind == Kind.INVOICE]
    credits = [row for row in rows if row.kind == Kind.CREDIT_NOTE]
    recent = reader.rows(_RECENT, connection=scope.connection_id, customer=scope.customer)
    due = [
        Due(row.currency, row.all_balance, row.all_count, row.overdue, row.payable, row.payable_invoices)
        for row in invoices
        if row.of_currency == 1
    ]
    return Account(
        due=sorted(due, key=lambda one: one.currency),
        credits=[Credit(row.currency, row.all_balance) for row in credits if row.of_currency == 1],
        invoices=[OpenInvoice(*row[:1], *row[2:9]) for row in invoices if skip < row.position <= skip + OPEN_A_PAGE],
        open_count=sum(one.invoices for one in due),
        confirmed_at=min((row.confirmed_at for row in rows), default=None),
        items=_items(recent),
        paid=[_listed(row) for row in islice((row for row in recent if row.state == InvoiceState.PAID), PAID_SHOWN)],
    )


def _listed(row: Any) -> ListedInvoice:
    return ListedInvoice._make((*row[: len(_LISTED)], None))


def _items(recent: Sequence[Any]) -> list[LineItem]:
    items: list[LineItem] = []
    for row in recent:
        if row.state in _CHARGED:
            issued, number, currency = row.issue_date, row.number, row.currency
            items += [
                LineItem(issued, number, currency, line[0], line[3], line[4]) for line in _decode_plain(row.lines)
            ]
            if len(items) >= LINE_ITEMS:
                break
    return items[:LINE_ITEMS]


def all_due(reader: Reader, scope: PortalScope, currency: str) -> list[tuple[int, int]]:
    """(id, balance) of every open invoice in a currency that is not being paid, at most MOST_AT_ONCE + 1 of them."""
    rows = reader.rows(_ALL_OF_CURRENCY, connection=scope.connection_id, customer=scope.customer, currency=currency)
    return [(row.id, row.balance) for row in rows]


def document(reader: Reader, scope: PortalScope, invoice_id: int | None) -> Document | None:
    """One invoice of the scope, with its lines; without an id, the one invoice the scope is for."""
    own = {"connection": scope.connection_id, "customer": scope.customer}
    if invoice_id is None:
        row = reader.first(_DOCUMENT_OF_LINK, remote=scope.invoice or "", **own)
    else:
        row = reader.first(_DOCUMENT, id=invoice_id, **own)
    if row is None or (scope.invoice is not None and row.remote_id != scope.invoice):
        return None
    return Document(**{**row._mapping, "lines": _decode_lines(row.lines)})


def _pattern(search: str) -> str:
    """LIKE's pattern for text that stands anywhere."""
    for special in "/%_":
        search = search.replace(special, f"/{special}")
    return f"%{search.lower()}%"


def chosen(reader: Reader, scope: PortalScope, ids: Sequence[int]) -> list[OpenInvoice]:
    """The open invoices of the scope among these ids."""
    own = {"connection": scope.connection_id, "customer": scope.customer}
    rows = reader.rows(_CHOSEN, ids=list(ids), only=scope.invoice or "", **own)
    return [OpenInvoice(*row) for row in rows]


def history(
    reader: Reader, scope: PortalScope, *, state: str = "", search: str = "", skip: int = 0
) -> list[ListedInvoice]:
    """One page of all invoices, newest first, and one more where there are more."""
    rows = reader.rows(
        _HISTORY,
        connection=scope.connection_id,
        customer=scope.customer,
        state=state,
        search=_pattern(search) if search else "",
        skip=skip,
    )
    return [ListedInvoice(*row) for row in rows]
