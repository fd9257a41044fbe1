"""The sandbox API's JSON as typed records, and what its words mean in ours. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

from connector.domain.records import GatewayPayment, PaymentState

_STATES = {
    "open": PaymentState.CHECKOUT,
    "requires_authentication": PaymentState.REQUIRES_ACTION,
    "processing": PaymentState.PROCESSING,
    "settled": PaymentState.SETTLED,
    "partly_refunded": PaymentState.PARTLY_REFUNDED,
    "refunded": PaymentState.REFUNDED,
    "returned": PaymentState.RETURNED,
    "failed": PaymentState.FAILED,
    "cancelled": PaymentState.CANCELLED,
    "expired": PaymentState.CANCELLED,
}
_METHODS = {"card": "Card", "bank_debit": "Bank debit"}


class WireFailure(msgspec.Struct, frozen=True):
    """Why a payment failed or came back."""

    code: str
    message: str


class WireRefund(msgspec.Struct, frozen=True):
    """A refund; `reference` is the key we asked for it with."""

    id: str
    reference: str
    amount_minor: int
    status: str


class WirePayment(msgspec.Struct, frozen=True):
    """The money of one checkout, in minor units."""

    id: str
    reference: str
    amount_minor: int
    currency: str
    status: str
    amount_refunded_minor: int
    refunds: tuple[WireRefund, ...]
    method: str | None = None
    failure: WireFailure | None = None
    settled_at: datetime | None = None


class WireCheckout(msgspec.Struct, frozen=True):
    """A hosted page with its payment."""

    id: str
    url: str
    status: str
    payable: bool
    payment: WirePayment


class WireCheckouts(msgspec.Struct, frozen=True):
    """The checkouts of one reference, newest first."""

    data: tuple[WireCheckout, ...]


class WireError(msgspec.Struct, frozen=True):
    """A refusal with the vendor's stable code."""

    code: str
    message: str


class WireErrorBody(msgspec.Struct, frozen=True):
    """The body of every refusal."""

    error: WireError


class WireEventData(msgspec.Struct, frozen=True):
    """What an event points at."""

    checkout: str
    payment: str
    reference: str


class WireEvent(msgspec.Struct, frozen=True):
    """The body of a webhook."""

    id: str
    type: str
    created: datetime
    data: WireEventData


def gateway_payment(checkout: WireCheckout) -> GatewayPayment:
    """The sandbox's word on a checkout in our words; a state it does not document is UNKNOWN."""
    payment = checkout.payment
    return GatewayPayment(
        ref=checkout.id,
        payment_ref=payment.id,
        reference=payment.reference,
        state=_STATES.get(payment.status, PaymentState.UNKNOWN),
        amount=payment.amount_minor,
        currency=payment.currency,
        refunded=payment.amount_refunded_minor,
        payable=checkout.payable,
        method=_METHODS.get(payment.method or "", ""),
        failure=f"{payment.failure.message} ({payment.failure.code})" if payment.failure else "",
        settled_at=payment.settled_at,
    )
