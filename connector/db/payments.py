"""Payments with their allocations, locks, timeline and refunds."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import structlog

from connector.db import tables as t
from connector.db.bound import Bound
from connector.db.rows import PaymentRow, RefundRow
from connector.domain.links import mint_token, token_hash
from connector.domain.payments import PortalScope
from connector.domain.records import PaymentState

_FIELDS = [t.payments.c[name] for name in PaymentRow.__dataclass_fields__]


def payment_row(row: Any) -> PaymentRow:
    """A PaymentRow from a row that selects its fields."""
    values = dict(row._mapping)
    return PaymentRow(**values | {"state": PaymentState(values["state"])})


class Payments:
    """Repository of one merchant's payments."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def get(self, payment_id: str) -> PaymentRow:
        """One payment, locked until the transaction ends. Raises NotFound."""
        statement = self._bound.select_to_change(t.payments, *_FIELDS).where(t.payments.c.id == payment_id)
        return payment_row(self._bound.one(statement, "This payment does not exist."))

    def by_form(self, form_key: str) -> PaymentRow | None:
        """The payment a form was sent for."""
        return self._first(t.payments.c.form_key == form_key)

    def with_checkout(self) -> list[PaymentRow]:
        """Payments the gateway knows, newest first."""
        statement = (
            self._bound.select(t.payments, *_FIELDS)
            .where(t.payments.c.gateway_ref.is_not(None))
            .order_by(t.payments.c.created_at.desc(), t.payments.c.id)
        )
        return [payment_row(row) for row in self._bound.rows(statement)]

    def by_checkout(self, gateway: str, ref: str) -> PaymentRow | None:
        """The payment a gateway's checkout belongs to."""
        return self._first(t.payments.c.gateway == gateway, t.payments.c.gateway_ref == ref)

    def intend(
        self,
        scope: PortalScope,
        *,
        shares: Mapping[int, int],
        currency: str,
        gateway: str,
        form_key: str,
        expires_at: datetime,
    ) -> PaymentRow | None:
        """A payment begins: its row, its allocations (invoice id -> minor units) and its receipt token.

        None when the same form has begun one meanwhile.
        """
        payment_id, receipt = uuid.uuid4().hex, mint_token()
        begun = self._bound.insert_unless_there(
            t.payments,
            id=payment_id,
            connection_id=scope.connection_id,
            customer=scope.customer,
            amount=sum(shares.values()),
            currency=currency,
            gateway=gateway,
            state=PaymentState.INTENDED,
            form_key=form_key,
            correlation=str(structlog.contextvars.get_contextvars().get("correlation", ""))[:32],
            link_id=scope.link_id,
            receipt_hash=token_hash(receipt),
            sealed_receipt=self._bound.vault.seal(receipt.encode(), bound_to=f"receipt:{payment_id}"),
            created_at=self._bound.now,
            expires_at=expires_at,
        )
        if not begun:
            return None
        for invoice_id, share in shares.items():
            self._bound.insert(t.allocations, payment_id=payment_id, invoice_id=invoice_id, amount=share)
        return self.get(payment_id)

    def receipt_token(self, payment: PaymentRow) -> str:
        """The token of the payment's receipt page."""
        return self._bound.vault.open(payment.sealed_receipt, bound_to=f"receipt:{payment.id}").decode()

    def change(self, payment_id: str, **values: Any) -> None:
        """Set columns of one payment."""
        self._bound.update(t.payments, t.payments.c.id == payment_id, **values)

    def shares(self, payment_id: str) -> dict[int, int]:
        """What the payment pays: invoice id -> minor units, in a stable order."""
        a = t.allocations.c
        statement = (
            self._bound.select(t.allocations, a.invoice_id, a.amount)
            .where(a.payment_id == payment_id)
            .order_by(a.invoice_id)
        )
        return {row.invoice_id: row.amount for row in self._bound.rows(statement)}

    def give_share(self, payment_id: str, from_invoice: int, to_invoice: int) -> None:
        """What a payment gave to one invoice it gives to another."""
        a = t.allocations.c
        self._bound.update(
            t.allocations, a.payment_id == payment_id, a.invoice_id == from_invoice, invoice_id=to_invoice
        )

    def lock(self, invoice_id: int, payment_id: str) -> bool:
        """Keep the invoice for this payment; False when another payment of it is under way."""
        return self._bound.insert_unless_there(
            t.invoice_locks, invoice_id=invoice_id, payment_id=payment_id, since=self._bound.now
        )

    def lock_holders(self, invoice_ids: Sequence[int]) -> dict[int, str]:
        """Which payments hold these invoices."""
        k = t.invoice_locks.c
        statement = self._bound.select(t.invoice_locks, k.invoice_id, k.payment_id).where(
            k.invoice_id.in_(list(invoice_ids))
        )
        return {row.invoice_id: row.payment_id for row in self._bound.rows(statement)}

    def release(self, payment_id: str) -> None:
        """Let the payment's invoices be paid again."""
        k = t.invoice_locks
        self._bound.connection.execute(sa.delete(k).where(self._bound.mine(k), k.c.payment_id == payment_id))

    def release_invoice(self, payment_id: str, invoice_id: int) -> None:
        """Let one invoice of the payment be paid again."""
        k = t.invoice_locks
        self._bound.connection.execute(
            sa.delete(k).where(self._bound.mine(k), k.c.payment_id == payment_id, k.c.invoice_id == invoice_id)
        )

    def tell(self, payment_id: str, actor: str, what: str, detail: str = "") -> None:
        """Add to the timeline. `actor`: customer, staff, us, gateway, system."""
        self._bound.insert(
            t.payment_events, payment_id=payment_id, at=self._bound.now, actor=actor, what=what, detail=detail
        )

    def has_refund(self, refund_id: str) -> bool:
        """Whether this refund was asked for already."""
        statement = self._bound.select(t.refunds, t.refunds.c.id).where(t.refunds.c.id == refund_id)
        return self._bound.connection.execute(statement).first() is not None

    def ask_refund(self, refund_id: str, payment: PaymentRow, amount: int, reason: str) -> None:
        """A refund is wanted (minor units)."""
        self._bound.insert(
            t.refunds,
            id=refund_id,
            payment_id=payment.id,
            amount=amount,
            currency=payment.currency,
            reason=reason,
            state="asked",
            created_at=self._bound.now,
        )

    def refund(self, refund_id: str) -> RefundRow:
        """One refund. Raises NotFound."""
        fields = [t.refunds.c[name] for name in RefundRow.__dataclass_fields__]
        row = self._bound.one(
            self._bound.select(t.refunds, *fields).where(t.refunds.c.id == refund_id), "This refund does not exist."
        )
        return RefundRow(**row._mapping)

    def refunds_open(self, payment_id: str) -> list[RefundRow]:
        """Refunds of a payment that are neither settled nor refused."""
        r = t.refunds.c
        fields = [r[name] for name in RefundRow.__dataclass_fields__]
        statement = (
            self._bound.select(t.refunds, *fields)
            .where(r.payment_id == payment_id, r.state.in_(("asked", "sending", "sent")))
            .order_by(r.created_at, r.id)
        )
        return [RefundRow(**row._mapping) for row in self._bound.rows(statement)]

    def refunds_settled(self, payment_id: str) -> int:
        """Minor units of a payment's refunds that have arrived."""
        r = t.refunds.c
        statement = sa.select(sa.func.coalesce(sa.func.sum(r.amount), 0)).where(
            self._bound.mine(t.refunds), r.payment_id == payment_id, r.state == "settled"
        )
        return int(self._bound.connection.execute(statement).scalar_one())

    def change_refund(self, refund_id: str, **values: Any) -> None:
        """Set columns of one refund."""
        self._bound.update(t.refunds, t.refunds.c.id == refund_id, **values)

    def _first(self, *where: sa.ColumnElement[bool]) -> PaymentRow | None:
        row = self._bound.connection.execute(self._bound.select_to_change(t.payments, *_FIELDS).where(*where)).first()
        return None if row is None else payment_row(row)
