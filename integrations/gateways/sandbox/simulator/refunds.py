"""Sending money back: at once for cards, later for bank debits."""

from __future__ import annotations

import secrets
from dataclasses import replace

from integrations.gateways.sandbox.simulator.book import Book, Change
from integrations.gateways.sandbox.simulator.orders import RefundOrder
from integrations.gateways.sandbox.simulator.records import Payment, Refund
from integrations.gateways.sandbox.simulator.refusals import Refusal, not_found
from integrations.gateways.sandbox.simulator.settings import SandboxSettings


def refunds_of(book: Book, payment: Payment) -> list[Refund]:
    """The refunds of a payment, oldest first."""
    return [book.get(Refund, id) for id in payment.refunds]


def open_refund(book: Book, change: Change, payment_id: str, order: RefundOrder, settings: SandboxSettings) -> Refund:
    """Start a refund. Raises Refusal when the payment holds no money, or less than asked for."""
    payment = book.find(Payment, payment_id)
    if payment is None:
        raise not_found("payment", payment_id)
    if payment.status not in ("settled", "partly_refunded"):
        message = f"A payment that is {payment.status} cannot be refunded."
        raise Refusal(409, "payment_not_refundable", message)
    promised = sum(refund.amount_minor for refund in refunds_of(book, payment) if refund.status != "failed")
    left = payment.amount_minor - promised
    if order.amount_minor > left:
        message = f"Only {left} of {payment.amount_minor} can still be refunded, not {order.amount_minor}."
        raise Refusal(400, "refund_too_large", message, field="amount_minor")
    refund = Refund(
        id=f"re_{secrets.token_hex(12)}",
        payment=payment.id,
        reference=order.reference,
        amount_minor=order.amount_minor,
        currency=payment.currency,
        created=change.now,
        reason=order.reason,
    )
    change.save(refund)
    payment = replace(payment, refunds=[*payment.refunds, refund.id])
    change.save(payment)
    if payment.method == "card":
        return settle_refund(book, change, refund)
    change.schedule("refund", refund.id, change.now + settings.bank_refund_settles_after)
    return refund


def settle_refund(book: Book, change: Change, refund: Refund) -> Refund:
    """The money has gone back to the customer."""
    settled = replace(refund, status="succeeded", settled_at=change.now)
    change.save(settled)
    payment = book.get(Payment, refund.payment)
    returned = sum(each.amount_minor for each in refunds_of(book, payment) if each.status == "succeeded")
    payment = change.move(payment, "refunded" if returned == payment.amount_minor else "partly_refunded")
    change.announce("refund.settled", payment, settled.id)
    return settled


def fail_pending_refunds(book: Book, change: Change, payment: Payment) -> None:
    """Give up the refunds of a payment whose money is gone."""
    for refund in refunds_of(book, payment):
        if refund.status == "pending":
            change.save(replace(refund, status="failed", failure_code="debit_returned"))
            change.unschedule("refund", refund.id)
            change.announce("refund.failed", payment, refund.id)
