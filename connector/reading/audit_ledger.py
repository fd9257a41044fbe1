"""Audit of the ledger: it sums to zero, and holds every payment's money once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.reader import Reader
from connector.domain.findings import Finding
from connector.domain.money import minor_to_text
from connector.domain.records import PaymentState

_e, _l, _p, _a = t.ledger_entries.c, t.ledger_lines.c, t.payments.c, t.allocations.c
_MERCHANT: sa.BindParameter[int] = sa.bindparam("merchant")
_HOLDING = (PaymentState.SETTLED.value, PaymentState.PARTLY_REFUNDED.value)


def _sum(column: Any) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.coalesce(sa.func.sum(column), 0), sa.BigInteger)


_SUMS = sa.select(_l.currency, _sum(_l.amount)).where(_l.merchant_id == _MERCHANT).group_by(_l.currency)
_UNBALANCED = (
    sa.select(_l.entry_id, _l.currency, _sum(_l.amount).label("off"))
    .where(_l.merchant_id == _MERCHANT)
    .group_by(_l.entry_id, _l.currency)
    .having(sa.func.sum(_l.amount) != 0)
)
_HALF = (
    sa.select(_e.id, _e.reason, sa.func.count(_l.entry_id).label("lines"))
    .outerjoin(t.ledger_lines, _l.entry_id == _e.id)
    .where(_e.merchant_id == _MERCHANT)
    .group_by(_e.id, _e.reason)
    .having(sa.func.count(_l.entry_id) < 2)
)
_STRAY = (
    sa.select(_e.id, _e.payment_id)
    .outerjoin(t.payments, _p.id == _e.payment_id)
    .where(_e.merchant_id == _MERCHANT, _p.id.is_(None))
)
_CLEARED = (
    sa.select(_e.payment_id, _sum(_l.amount).label("held"))
    .join(t.ledger_lines, _l.entry_id == _e.id)
    .where(_e.merchant_id == _MERCHANT, _l.account.like("clearing:%"))
    .group_by(_e.payment_id)
    .subquery()
)
_SHALL_HOLD = sa.case((_p.state.in_(_HOLDING), _p.amount - _p.refunded), else_=0)
_MISBOOKED = (
    sa.select(
        _p.id,
        _p.state,
        _p.currency,
        _p.booked,
        _SHALL_HOLD.label("shall"),
        sa.func.coalesce(_CLEARED.c.held, 0).label("held"),
    )
    .outerjoin(_CLEARED, _CLEARED.c.payment_id == _p.id)
    .where(
        _p.merchant_id == _MERCHANT,
        sa.or_(sa.func.coalesce(_CLEARED.c.held, 0) != _SHALL_HOLD, _p.booked != _SHALL_HOLD),
    )
)
_COUNTS = sa.select(
    sa.select(sa.func.count()).select_from(t.payments).where(_p.merchant_id == _MERCHANT).scalar_subquery(),
    sa.select(sa.func.count()).select_from(t.ledger_entries).where(_e.merchant_id == _MERCHANT).scalar_subquery(),
    sa.select(sa.func.count())
    .select_from(t.payments)
    .where(_p.merchant_id == _MERCHANT, _p.booked > 0)
    .scalar_subquery(),
)
_TWINS = (
    sa.select(_p.gateway, _p.gateway_ref, sa.func.count().label("number"), sa.func.min(_p.id).label("first"))
    .where(_p.merchant_id == _MERCHANT, _p.gateway_ref.is_not(None))
    .group_by(_p.gateway, _p.gateway_ref)
    .having(sa.func.count() > 1)
)
_MISALLOCATED = (
    sa.select(_p.id, _p.amount, _p.currency, _sum(_a.amount).label("allocated"))
    .outerjoin(t.allocations, _a.payment_id == _p.id)
    .where(_p.merchant_id == _MERCHANT)
    .group_by(_p.id, _p.amount, _p.currency)
    .having(sa.func.coalesce(sa.func.sum(_a.amount), 0) != _p.amount)
)
_TELL = "Stop the workers, keep a copy of the database, and report this: it must never happen."


def sums(reader: Reader) -> dict[str, int]:
    """The sum of all lines by currency (minor units)."""
    return {currency: int(total) for currency, total in reader.rows(_SUMS)}


def entries_balance(reader: Reader, now: datetime, counted: Counter[str]) -> Iterator[Finding]:
    """Every entry has two lines or more that sum to zero in each currency, and a payment; so does the whole."""
    payments, entries, holding = reader.rows(_COUNTS)[0]
    counted.update({"payments": payments, "ledger entries": entries, "payments with money": holding})
    for currency, total in sums(reader).items():
        if total:
            off = minor_to_text(total, currency)
            yield Finding("ledger_sum", reader.merchant_id, f"The ledger is off by {off} {currency}.", _TELL)
    for row in reader.rows(_UNBALANCED):
        off = minor_to_text(int(row.off), row.currency)
        what = f"Ledger entry {row.entry_id} is off by {off} {row.currency}."
        yield Finding("entry_unbalanced", reader.merchant_id, what, _TELL, {"entry": row.entry_id})
    for row in reader.rows(_HALF):
        what = f"Ledger entry {row.id} ({row.reason}) has {row.lines} lines."
        yield Finding("entry_incomplete", reader.merchant_id, what, _TELL, {"entry": row.id})
    for row in reader.rows(_STRAY):
        what = f"Ledger entry {row.id} speaks of payment {row.payment_id}, which does not exist."
        yield Finding("entry_without_payment", reader.merchant_id, what, _TELL, {"entry": row.id})


def money_is_booked_once(reader: Reader, now: datetime, counted: Counter[str]) -> Iterator[Finding]:
    """What the gateway last said a payment holds is what the ledger holds for it: not less, not twice."""
    for row in reader.rows(_MISBOOKED):
        shall, held, booked = (minor_to_text(int(n), row.currency) for n in (row.shall, row.held, row.booked))
        what = (
            f"Payment {row.id} ({row.state}) must hold {shall} {row.currency}; the ledger holds {held} and "
            f"the payment's own row says {booked}."
        )
        do = "Ask the gateway again (duebridge work retry for its reconcile work); if it stays, report this."
        yield Finding("booked_differs", reader.merchant_id, what, do, {"payment": row.id})


def one_payment_a_checkout(reader: Reader, now: datetime, counted: Counter[str]) -> Iterator[Finding]:
    """No two payments of ours stand for one checkout at the gateway: its money would be booked twice."""
    for row in reader.rows(_TWINS):
        what = f"{row.number} payments here stand for one checkout of {row.gateway}, {row.gateway_ref}."
        ids = {"payment": row.first, "checkout": row.gateway_ref}
        yield Finding("checkout_shared", reader.merchant_id, what, _TELL, ids)


def allocations_fill_the_payment(reader: Reader, now: datetime, counted: Counter[str]) -> Iterator[Finding]:
    """What a payment gives to its invoices sums to the payment."""
    for row in reader.rows(_MISALLOCATED):
        amount, allocated = (minor_to_text(int(n), row.currency) for n in (row.amount, row.allocated))
        what = f"Payment {row.id} is of {amount} {row.currency}, its invoices get {allocated}."
        yield Finding("allocation_sum", reader.merchant_id, what, _TELL, {"payment": row.id})
