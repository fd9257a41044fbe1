"""The small shop of the portal's tests, with a gateway whose every word a test chooses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from connector.contract import Checkout
from connector.db import tables as t
from connector.db.rows import InvoiceRow, PaymentRow
from connector.db.work import WorkItem
from connector.domain.payments import Choice, PortalScope
from connector.domain.records import GatewayPayment, Kind, PaymentState
from connector.domain.work import Work
from connector.journeys import pay
from connector.wiring import Wiring
from tests.portal.shop import NOW, Shop


@dataclass
class Standing:
    """What a test of a journey holds in its hands. `ahead` holds how far the clock was moved."""

    shop: Shop
    ahead: list[timedelta]

    @property
    def wiring(self) -> Wiring:
        return self.shop.wiring

    def advance(self, **span: float) -> None:
        """Let time pass."""
        self.ahead[0] += timedelta(**span)

    def invoice(self, total: int = 10_000, **more: Any) -> InvoiceRow:
        """A new invoice of the customer."""
        remote_id = self.shop.invoice(total, **more)
        with self.wiring.database.view(self.shop.merchant_id) as view:
            found = view.invoices.by_remote(self.shop.connection_id, remote_id, Kind.INVOICE)
        assert found is not None
        return found

    def begin(self, *invoices: InvoiceRow, form_key: str = "form", **amounts: str) -> PaymentRow:
        """A payment of these invoices, its page open."""
        scope = PortalScope(self.shop.merchant_id, self.shop.connection_id, "c1")
        choices = [Choice(row.id, f"{row.balance / 100:.2f}") for row in invoices]
        pay.start(self.wiring, scope, choices, form_key)
        return self.payment(form_key)

    def payment(self, form_key: str = "form") -> PaymentRow:
        with self.wiring.database.view(self.shop.merchant_id) as view:
            found = view.payments.by_form(form_key)
        assert found is not None
        return found

    def word(self, payment: PaymentRow, state: PaymentState, **more: Any) -> GatewayPayment:
        """What the gateway says of a payment."""
        said = GatewayPayment(
            ref=str(payment.gateway_ref),
            payment_ref="pay_1",
            reference=payment.id,
            state=state,
            amount=payment.amount,
            currency=payment.currency,
            refunded=0,
            payable=False,
            method="Card",
            failure="",
            settled_at=NOW,
        )
        return said._replace(**more)

    def item(self, kind: Work, key: str, **payload: Any) -> WorkItem:
        """A piece of work as its worker begins it."""
        with self.wiring.database.unit_of_work(self.shop.merchant_id) as uow:
            uow.work.add(kind, key, partition="x", payload=payload)
            found = uow.work.find(kind, key)
        assert found is not None
        return found.item

    def ledger(self, payment: PaymentRow) -> dict[str, int]:
        """What the ledger holds for a payment, by account."""
        with self.wiring.database.view(self.shop.merchant_id) as view:
            return {account: amount for account, amount in view.ledger.of_payment(payment.id).items() if amount}

    def holder(self, invoice: InvoiceRow) -> str | None:
        with self.wiring.database.view(self.shop.merchant_id) as view:
            return view.payments.lock_holders([invoice.id]).get(invoice.id)

    def mails(self) -> list[dict[str, str]]:
        """What the mails written so far say."""
        vault = self.wiring.database.vault
        return [
            {**json.loads(vault.open(row.sealed_values, bound_to=f"mail:{row.id}")), "to": row.recipient}
            for row in self.shop.rows(t.mails)
        ]


class Speaking:
    """A gateway that says what it is told to, one word a call; the last one is repeated. `between` happens after it
    was asked and before its answer is booked."""

    def __init__(self, *words: GatewayPayment, between: Any = None) -> None:
        self.words = list(words)
        self.asked = 0
        self._between = between

    def fetch(self, ref: str) -> GatewayPayment:
        self.asked += 1
        word = self.words.pop(0) if len(self.words) > 1 else self.words[0]
        if self._between is not None:
            between, self._between = self._between, None
            between()
        return word

    cancel = fetch

    def find_checkout(self, reference: str) -> Checkout | None:
        return None
