"""What a merchant sees of customers: the list, and one customer with people, link and invoices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from connector.db import tables as t
from connector.domain.links import Scope
from connector.domain.records import Kind
from connector.errors import NotFound
from connector.reading.links import LiveLink, live_link
from connector.wiring import Wiring

PAGE = 50
_INVOICES_SHOWN = 20


class Place(NamedTuple):
    """Where a page of the list begins: after this customer."""

    name: str
    id: int


class Listed(NamedTuple):
    """A customer in the list."""

    id: int
    name: str
    number: str
    email: str
    active: bool
    connection_id: int
    remote_id: str
    connection: str


class Owed(NamedTuple):
    """What one customer owes in one currency (minor units)."""

    currency: str
    invoices: int
    balance: int
    overdue: int


class Person(NamedTuple):
    """A person at the customer."""

    name: str
    email: str
    phone: str
    billing: bool


class InvoiceOfCustomer(NamedTuple):
    """An invoice of the customer."""

    id: int
    number: str
    state: str
    currency: str
    total: int
    balance: int
    issue_date: date | None
    due_date: date | None


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer with everything its page shows."""

    id: int
    connection_id: int
    remote_id: str
    name: str
    number: str
    email: str
    phone: str
    currency: str
    active: bool
    updated_at: datetime | None
    system: str
    connection_name: str
    connection_state: str
    people: Sequence[Person]
    owed: Sequence[Owed]
    invoices: Sequence[InvoiceOfCustomer]
    link: LiveLink | None


_u, _c, _i, _p = (table.c for table in (t.customers, t.connections, t.invoices, t.contacts))
_MERCHANT: sa.ColumnElement[int] = sa.bindparam("merchant")
_LIST = (
    sa.select(_u.id, _u.name, _u.number, _u.email, _u.active, _u.connection_id, _u.remote_id, _c.name)
    .join(t.connections, _c.id == _u.connection_id)
    .where(_u.merchant_id == _MERCHANT)
    .order_by(_u.name, _u.id)
)
_ONE = (
    sa.select(
        _u.id, _u.connection_id, _u.remote_id, _u.name, _u.number, _u.email, _u.phone, _u.currency, _u.active,
        _u.updated_at, _c.system, _c.name.label("connection_name"), _c.state.label("connection_state"),
    )
    .join(t.connections, _c.id == _u.connection_id)
    .where(_u.merchant_id == _MERCHANT, _u.id == sa.bindparam("id"))
)  # fmt: skip
_PEOPLE = (
    sa.select(_p.name, _p.email, _p.phone, _p.billing)
    .where(
        _p.merchant_id == _MERCHANT,
        _p.connection_id == sa.bindparam("connection"),
        _p.customer == sa.bindparam("customer"),
    )
    .order_by(_p.billing.desc(), _p.id)
    .limit(50)
)
# The connection comes from the merchant's own row; naming the merchant again misleads SQLite's choice of index.
_OF_CUSTOMER = (
    _i.connection_id == sa.bindparam("connection"),
    _i.customer == sa.bindparam("customer"),
    _i.kind == Kind.INVOICE.value,
)
_OPEN = sa.text("invoices.state = 'open' AND invoices.balance > 0")
_OVERDUE = sa.case((_i.due_date < sa.bindparam("today", type_=sa.Date), _i.balance), else_=0)
_OWED = (
    sa.select(
        _i.currency,
        sa.func.count(),
        sa.cast(sa.func.sum(_i.balance), sa.BigInteger),
        sa.cast(sa.func.sum(_OVERDUE), sa.BigInteger),
    )
    .where(*_OF_CUSTOMER, _OPEN)
    .group_by(_i.currency)
    .order_by(_i.currency)
)
_OWED_BY_MANY = (
    sa.select(_i.connection_id, _i.customer, _i.currency, sa.cast(sa.func.sum(_i.balance), sa.BigInteger))
    .where(
        _i.connection_id.in_(sa.bindparam("connections", expanding=True)),
        _i.customer.in_(sa.bindparam("customers", expanding=True)),
        _i.kind == Kind.INVOICE.value,
        _OPEN,
    )
    .group_by(_i.connection_id, _i.customer, _i.currency)
    .order_by(_i.currency)
)
_INVOICES = (
    sa.select(_i.id, _i.number, _i.state, _i.currency, _i.total, _i.balance, _i.issue_date, _i.due_date)
    .where(*_OF_CUSTOMER)
    .order_by(_i.issue_date.desc(), _i.id.desc())
    .limit(_INVOICES_SHOWN + 1)
)


def page(
    wiring: Wiring, merchant_id: int, *, search: str, after: Place | None
) -> tuple[list[Listed], dict[tuple[int, str], list[tuple[str, int]]]]:
    """One page by name, one more row where there are more; and what each owes: (connection, remote id) -> amounts."""
    statement = _LIST
    if search:
        found = search.lower()
        statement = statement.where(
            sa.or_(
                sa.func.lower(_u.name).contains(found, autoescape=True),
                sa.func.lower(_u.email).contains(found, autoescape=True),
                sa.func.lower(_u.number) == found,
            )
        )
    if after is not None:
        statement = statement.where(sa.tuple_(_u.name, _u.id) > sa.tuple_(after.name, after.id))
    owed: dict[tuple[int, str], list[tuple[str, int]]] = {}
    with wiring.database.reader(merchant_id) as reader:
        rows = [Listed(*row) for row in reader.rows(statement.limit(PAGE + 1))]
        shown = {"connections": list({row.connection_id for row in rows}), "customers": [row.remote_id for row in rows]}
        for connection_id, customer, currency, balance in reader.rows(_OWED_BY_MANY, **shown) if rows else ():
            owed.setdefault((connection_id, customer), []).append((currency, balance))
    return rows, owed


def customer(wiring: Wiring, merchant_id: int, customer_id: int, *, today: date) -> Customer:
    """One customer. Raises NotFound."""
    with wiring.database.reader(merchant_id) as reader:
        row = reader.first(_ONE, id=customer_id)
        if row is None:
            raise NotFound("This customer does not exist.")
        own: dict[str, Any] = {"connection": row.connection_id, "customer": row.remote_id}
        return Customer(
            **row._mapping,
            people=[Person(*person) for person in reader.rows(_PEOPLE, **own)],
            owed=[Owed(*amount) for amount in reader.rows(_OWED, today=today, **own)],
            invoices=[InvoiceOfCustomer(*one) for one in reader.rows(_INVOICES, **own)][:_INVOICES_SHOWN],
            link=live_link(reader, row.connection_id, Scope.CUSTOMER, row.remote_id),
        )
