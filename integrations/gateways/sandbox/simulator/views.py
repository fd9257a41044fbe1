"""The JSON the API answers with."""

from __future__ import annotations

from typing import Any

from integrations.gateways.sandbox.simulator.book import Book, iso
from integrations.gateways.sandbox.simulator.records import FAILURES, Checkout, Payment, Refund
from integrations.gateways.sandbox.simulator.refunds import refunds_of


def checkout_json(book: Book, checkout: Checkout, payment: Payment, public_url: str) -> dict[str, Any]:
    """A checkout with its payment inside."""
    return {
        "id": checkout.id,
        "object": "checkout",
        "url": f"{public_url}/checkout/{checkout.id}",
        "status": payment.checkout_status,
        "payable": payment.payable,
        "reference": checkout.reference,
        "amount_minor": checkout.amount_minor,
        "currency": checkout.currency,
        "lines": checkout.lines,
        "merchant_name": checkout.merchant_name,
        "success_url": checkout.success_url,
        "cancel_url": checkout.cancel_url,
        "created": iso(checkout.created),
        "expires_at": iso(checkout.expires_at),
        "payment": payment_json(book, payment),
    }


def payment_json(book: Book, payment: Payment) -> dict[str, Any]:
    """A payment with its refunds inside."""
    refunds = refunds_of(book, payment)

    def refunded(status: str) -> int:
        return sum(refund.amount_minor for refund in refunds if refund.status == status)

    return {
        "id": payment.id,
        "object": "payment",
        "checkout": payment.checkout,
        "reference": payment.reference,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "status": payment.status,
        "method": payment.method,
        "failure": _failure(payment.failure_code),
        "amount_refunded_minor": refunded("succeeded"),
        "amount_refund_pending_minor": refunded("pending"),
        "created": iso(payment.created),
        "settled_at": _iso(payment.settled_at),
        "returned_at": _iso(payment.returned_at),
        "refunds": [refund_json(refund) for refund in refunds],
    }


def refund_json(refund: Refund) -> dict[str, Any]:
    """A refund."""
    return {
        "id": refund.id,
        "object": "refund",
        "payment": refund.payment,
        "reference": refund.reference,
        "amount_minor": refund.amount_minor,
        "currency": refund.currency,
        "reason": refund.reason,
        "status": refund.status,
        "failure": _failure(refund.failure_code),
        "created": iso(refund.created),
        "settled_at": _iso(refund.settled_at),
    }


def _failure(code: str | None) -> dict[str, str] | None:
    return None if code is None else {"code": code, "message": FAILURES[code]}


def _iso(seconds: int | None) -> str | None:
    return None if seconds is None else iso(seconds)
