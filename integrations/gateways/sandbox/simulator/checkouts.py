"""Opening, finding and ending checkouts."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from integrations.gateways.sandbox.simulator.book import Book, Change
from integrations.gateways.sandbox.simulator.orders import CheckoutOrder
from integrations.gateways.sandbox.simulator.records import Checkout, Payment, Record
from integrations.gateways.sandbox.simulator.refusals import Refusal, not_found
from integrations.gateways.sandbox.simulator.settings import SandboxSettings


@dataclass(frozen=True)
class _Reference(Record):
    """The checkouts opened for one reference, oldest first; its id is the reference."""

    kind: ClassVar[str] = "reference"

    checkouts: Sequence[str]


def open_checkout(
    book: Book, change: Change, order: CheckoutOrder, settings: SandboxSettings
) -> tuple[Checkout, Payment]:
    """A new checkout and its open payment, which expires by itself."""
    payment = Payment(
        id=f"pay_{secrets.token_hex(12)}",
        checkout=f"cs_{secrets.token_urlsafe(32)}",
        reference=order.reference,
        amount_minor=order.amount_minor,
        currency=order.currency,
        created=change.now,
    )
    checkout = Checkout(
        id=payment.checkout,
        payment=payment.id,
        reference=order.reference,
        amount_minor=order.amount_minor,
        currency=order.currency,
        lines=msgspec.to_builtins(order.lines),
        merchant_name=order.merchant_name or settings.merchant_name,
        success_url=order.success_url,
        cancel_url=order.cancel_url,
        created=change.now,
        expires_at=change.now + (order.expires_in or settings.checkout_lifetime),
        form_token=secrets.token_urlsafe(24),
    )
    earlier = book.find(_Reference, order.reference)
    change.save(_Reference(order.reference, [*(earlier.checkouts if earlier else ()), checkout.id]))
    change.save(checkout)
    change.save(payment)
    change.schedule("expire", payment.id, checkout.expires_at)
    return checkout, payment


def checkouts_of(book: Book, reference: str) -> list[tuple[Checkout, Payment]]:
    """Every checkout of a reference, newest first."""
    found = book.find(_Reference, reference)
    pairs = [book.checkout_and_payment(id) for id in reversed(found.checkouts)] if found else []
    return [pair for pair in pairs if pair is not None]


def expire_checkout(book: Book, checkout_id: str) -> tuple[Checkout, Payment]:
    """End a checkout so that it can never be paid; one that already ended unpaid is answered as it is.

    Raises Refusal 409 when a payment was made before, 404 when there is no such checkout.
    """
    with book.change("checkout.expire") as change:
        found = book.checkout_and_payment(checkout_id)
        if found is None:
            raise not_found("checkout", checkout_id)
        checkout, payment = found
        if payment.payable:
            return checkout, expire_payment(change, payment)
        if payment.checkout_status == "complete":
            message = "This checkout was paid before it could be cancelled; read its payment."
            raise Refusal(409, "checkout_paid", message, checkout=checkout_id)
        return checkout, payment


def expire_payment(change: Change, payment: Payment) -> Payment:
    """The payment of a checkout whose time is over."""
    expired = change.move(payment, "expired")
    change.unschedule("expire", payment.id)
    change.announce("checkout.expired", expired)
    return expired
