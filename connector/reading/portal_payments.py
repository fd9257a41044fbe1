"""What a customer sees of payments: those of one invoice, and a payment's receipt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.reader import Reader
from connector.domain.links import token_hash
from connector.domain.payments import UNPAID_END
from connector.domain.records import PaymentState
from connector.errors import NotFound
from connector.reading.portal_doors import MERCHANT_FIELDS, Brand, brand_from
from connector.wiring import Wiring


class PaymentOfInvoice(NamedTuple):
    """A payment of one invoice: what it paid of it (minor units), and where its receipt is."""

    at: datetime
    state: str
    method: str
    amount: int
    receipt_token: str


class PaidInvoice(NamedTuple):
    """An invoice a payment pays, and how much of it."""

    number: str
    amount: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """A payment as its payer sees it. `reference` is ours to quote; `back` the path of the page it was made from."""

    brand: Brand
    state: PaymentState
    amount: int
    currency: str
    refunded: int
    method: str
    reference: str
    created_at: datetime
    settled_at: datetime | None
    invoices: Sequence[PaidInvoice]
    checkout_url: str
    back: str


_p, _a, _i, _k, _m = (table.c for table in (t.payments, t.allocations, t.invoices, t.links, t.merchants))
# Payments that were given up before any money moved say nothing to a customer.
_SILENT = [state.value for state in (*sorted(UNPAID_END), PaymentState.INTENDED, PaymentState.CHECKOUT)]
_OF_INVOICE = (
    sa.select(_p.id, _p.created_at, _p.settled_at, _p.state, _p.method, _a.amount, _p.sealed_receipt)
    .select_from(t.allocations.join(t.payments, _p.id == _a.payment_id))
    .where(
        _a.invoice_id == sa.bindparam("invoice"),
        _a.merchant_id == sa.bindparam("merchant"),
        _p.state.not_in(_SILENT),
    )
    .order_by(_p.created_at.desc())
    .limit(20)
)
_BY_RECEIPT = (
    sa.select(
        _p.id,
        _p.merchant_id,
        _p.state,
        _p.amount,
        _p.currency,
        _p.refunded,
        _p.method,
        _p.created_at,
        _p.settled_at,
        _p.checkout_url,
        *MERCHANT_FIELDS,
        _k.sealed_token,
        _k.scope,
        _k.target,
        _k.state.label("link_state"),
    )
    .select_from(t.payments)
    .join(t.merchants, _m.id == _p.merchant_id)
    .outerjoin(t.links, _k.id == _p.link_id)
    .where(_p.receipt_hash == sa.bindparam("hash"))
)
_PAID_INVOICES = (
    sa.select(_i.number, _a.amount)
    .select_from(t.allocations.join(t.invoices, _i.id == _a.invoice_id))
    .where(_a.payment_id == sa.bindparam("payment"))
    .order_by(_i.number)
)


def payments_of(reader: Reader, invoice_id: int) -> list[PaymentOfInvoice]:
    """The payments of an invoice that moved or are moving money, newest first."""
    return [
        PaymentOfInvoice(
            row.settled_at or row.created_at,
            row.state,
            row.method,
            row.amount,
            reader.vault.open(row.sealed_receipt, bound_to=f"receipt:{row.id}").decode(),
        )
        for row in reader.rows(_OF_INVOICE, invoice=invoice_id)
    ]


def receipt(wiring: Wiring, token: str) -> Receipt:
    """The payment behind a receipt's address. Raises NotFound."""
    with wiring.database.lookup() as installation:
        row = installation.first(_BY_RECEIPT, hash=token_hash(token))
        if row is None:
            raise NotFound("This receipt is not known. Check that the whole address was copied.")
        reader = installation.reader(row.merchant_id)
        invoices = [PaidInvoice(*paid) for paid in reader.rows(_PAID_INVOICES, payment=row.id)]
        back = _back(reader, row)
    state = PaymentState(row.state)
    return Receipt(
        brand=brand_from(row),
        state=state,
        amount=row.amount,
        currency=row.currency,
        refunded=row.refunded,
        method=row.method,
        reference=reference_of(row.id),
        created_at=row.created_at,
        settled_at=row.settled_at,
        invoices=invoices,
        checkout_url=row.checkout_url,
        back=back,
    )


def reference_of(payment_id: str) -> str:
    """The reference people quote for a payment: the beginning of its id, long enough to find it by."""
    return payment_id[:10].upper()


def _back(reader: Reader, row: Any) -> str:
    """Where the payment was made from. A receipt is passed on to others, so a paid one never leads into the account."""
    unpaid = {PaymentState.INTENDED, PaymentState.CHECKOUT, PaymentState.REQUIRES_ACTION, *UNPAID_END}
    if PaymentState(row.state) not in unpaid:
        return ""
    if row.sealed_token is None or row.link_state != "live":
        return f"/portal/{row.slug}"
    bound_to = f"link:{row.merchant_id}:{row.scope}:{row.target}"
    return f"/i/{reader.vault.open(row.sealed_token, bound_to=bound_to).decode()}"
