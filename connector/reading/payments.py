"""What a merchant sees of payments: the list, and one payment with its timeline and postings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from connector.db import tables as t
from connector.domain.postings import PostingState
from connector.domain.records import Kind
from connector.errors import NotFound
from connector.wiring import Wiring

PAGE = 50


class Place(NamedTuple):
    """Where a page of the list begins: after this payment."""

    created_at: datetime
    id: str


class Listed(NamedTuple):
    """A payment in the list. `review` says whether a posting of it waits for a person."""

    id: str
    created_at: datetime
    state: str
    amount: int
    refunded: int
    currency: str
    method: str
    gateway: str
    customer: str | None
    review: bool


class Share(NamedTuple):
    """What a payment pays of one invoice (minor units)."""

    invoice_id: int
    number: str
    amount: int


class Event(NamedTuple):
    """One line of the timeline."""

    at: datetime
    actor: str
    what: str
    detail: str


class Posting(NamedTuple):
    """What must stand in a system's books for the payment. `invoices` are the numbers it pays."""

    key: str
    connection: str
    connection_id: int
    system: str
    generation: int
    state: str
    amount: int
    currency: str
    paid_on: date
    remote_id: str
    problem: str
    sent_at: datetime | None
    posted_at: datetime | None
    invoices: Sequence[str]


class Refund(NamedTuple):
    """Money given back, or to be given back."""

    id: str
    created_at: datetime
    amount: int
    currency: str
    reason: str
    state: str
    problem: str


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment with everything its page shows. `left` is what may still be given back (minor units)."""

    id: str
    connection_id: int
    connection_name: str
    system: str
    customer_id: int | None
    customer_name: str | None
    amount: int
    currency: str
    gateway: str
    gateway_ref: str | None
    state: str
    method: str
    failure: str
    refunded: int
    booked: int
    created_at: datetime
    expires_at: datetime
    settled_at: datetime | None
    shares: Sequence[Share]
    events: Sequence[Event]
    postings: Sequence[Posting]
    refunds: Sequence[Refund]

    @property
    def left(self) -> int:
        """What may still be given back: what is booked, less refunds on their way."""
        return self.booked - sum(refund.amount for refund in self.refunds if refund.state in _ON_ITS_WAY)


_ON_ITS_WAY = ("asked", "sending", "sent")
_p, _u, _c, _a, _i, _e, _o, _r = (
    table.c
    for table in (
        t.payments,
        t.customers,
        t.connections,
        t.allocations,
        t.invoices,
        t.payment_events,
        t.postings,
        t.refunds,
    )
)
_MERCHANT: sa.ColumnElement[int] = sa.bindparam("merchant")
_JOINED = t.payments.join(t.connections, _c.id == _p.connection_id).outerjoin(
    t.customers, sa.and_(_u.connection_id == _p.connection_id, _u.remote_id == _p.customer)
)
_REVIEW = sa.exists().where(_o.payment_id == _p.id, _o.state == PostingState.NEEDS_REVIEW.value)
_LIST = (
    sa.select(
        _p.id, _p.created_at, _p.state, _p.amount, _p.refunded, _p.currency, _p.method, _p.gateway, _u.name, _REVIEW
    )
    .select_from(_JOINED)
    .where(_p.merchant_id == _MERCHANT)
    .order_by(_p.created_at.desc(), _p.id.desc())
)
_ONE = (
    sa.select(
        _p.id, _p.connection_id, _c.name.label("connection_name"), _c.system, _u.id.label("customer_id"),
        _u.name.label("customer_name"), _p.amount, _p.currency, _p.gateway, _p.gateway_ref, _p.state, _p.method,
        _p.failure, _p.refunded, _p.booked, _p.created_at, _p.expires_at, _p.settled_at,
    )
    .select_from(_JOINED)
    .where(_p.merchant_id == _MERCHANT, _p.id == sa.bindparam("id"))
)  # fmt: skip


def _of(table: sa.TableClause, *columns: Any) -> sa.Select[Any]:
    return sa.select(*columns).where(table.c.merchant_id == _MERCHANT, table.c.payment_id == sa.bindparam("id"))


_SHARES = _of(t.allocations, _i.id, _i.number, _a.amount).join(t.invoices, _i.id == _a.invoice_id).order_by(_i.id)
_EVENTS = _of(t.payment_events, _e.at, _e.actor, _e.what, _e.detail).order_by(_e.id).limit(500)
_POSTINGS = (
    _of(
        t.postings, _o.key, _c.name, _o.connection_id, _c.system, _o.generation, _o.state, _o.amount, _o.currency,
        _o.paid_on, _o.remote_id, _o.problem, _o.sent_at, _o.posted_at, _o.allocations,
    )
    .join(t.connections, _c.id == _o.connection_id)
    .order_by(_o.connection_id, _o.part, _o.generation)
)  # fmt: skip
_NUMBERS = sa.select(_i.connection_id, _i.remote_id, _i.number).where(
    _i.merchant_id == _MERCHANT,
    _i.kind == Kind.INVOICE.value,
    _i.id.in_(sa.select(_a.invoice_id).where(_a.merchant_id == _MERCHANT, _a.payment_id == sa.bindparam("id"))),
)
_REFUNDS = _of(t.refunds, _r.id, _r.created_at, _r.amount, _r.currency, _r.reason, _r.state, _r.problem).order_by(
    _r.created_at, _r.id
)
_WAITING = (
    sa.select(sa.func.count(sa.distinct(_o.payment_id)))
    .join(t.connections, _c.id == _o.connection_id)
    .where(_o.merchant_id == _MERCHANT, _o.state == PostingState.NEEDS_REVIEW.value)
)


def page(
    wiring: Wiring, merchant_id: int, *, state: str = "", review: bool = False, after: Place | None = None
) -> list[Listed]:
    """One page, newest first, and one more row where there are more."""
    statement = _LIST
    if state:
        statement = statement.where(_p.state == state)
    if review:
        statement = statement.where(_REVIEW)
    if after is not None:
        instant = sa.literal(after.created_at, t.Instant)
        statement = statement.where(_p.created_at <= instant, sa.or_(_p.created_at < instant, _p.id < after.id))
    with wiring.database.reader(merchant_id) as reader:
        return [Listed._make((*row[:-1], bool(row[-1]))) for row in reader.rows(statement.limit(PAGE + 1))]


def waiting_for_review(wiring: Wiring, merchant_id: int) -> int:
    """How many payments a person has to look at."""
    with wiring.database.reader(merchant_id) as reader:
        return int(reader.first(_WAITING)[0])


def payment(wiring: Wiring, merchant_id: int, payment_id: str) -> Payment:
    """One payment. Raises NotFound."""
    with wiring.database.reader(merchant_id) as reader:
        row = reader.first(_ONE, id=payment_id)
        if row is None:
            raise NotFound("This payment does not exist.")
        numbers = {(one.connection_id, one.remote_id): one.number for one in reader.rows(_NUMBERS, id=payment_id)}
        return Payment(
            **row._mapping,
            shares=[Share(*share) for share in reader.rows(_SHARES, id=payment_id)],
            events=[Event(*event) for event in reader.rows(_EVENTS, id=payment_id)],
            postings=[_posting(posting, numbers) for posting in reader.rows(_POSTINGS, id=payment_id)],
            refunds=[Refund(*refund) for refund in reader.rows(_REFUNDS, id=payment_id)],
        )


def _posting(row: Any, numbers: dict[tuple[int, str], str]) -> Posting:
    paid = [numbers.get((row.connection_id, remote_id), remote_id) for remote_id, _ in json.loads(row.allocations)]
    return Posting._make((*row[:-1], paid))
