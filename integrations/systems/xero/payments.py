"""Payments in Xero's books: look one up by our key, record it, take it back.

One payment settles one invoice (`multi_invoice` is off: a payment over several invoices comes in parts). Our key
stands first in `Reference`; it is what survives, for Xero's Idempotency-Key is forgotten after six minutes.
Source: developer.xero.com/documentation/api/accounting/payments and …/guides/oauth2/idempotency.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from connector.contract import Answer, PaymentIntent, Refused, Unclear
from connector.domain.money import minor_to_text
from connector.domain.records import RemotePayment
from integrations.systems.xero.client import Client, idempotency_key
from integrations.systems.xero.mapping import to_payment, to_remote_payment
from integrations.systems.xero.refusals import refused_element
from integrations.systems.xero.vocabulary import Unmappable, day

MARKER = "DB-"
# The limit of Payment.Reference is written nowhere; bank lines cut at about this length.
LONGEST_REFERENCE = 64


def reference(intent: PaymentIntent) -> str:
    """What stands in Xero's Reference: our marker and key, then as much of the payment's own reference as fits."""
    return f"{MARKER}{intent.key} {intent.reference}".strip()[:LONGEST_REFERENCE].rstrip()


def find(client: Client, intent: PaymentIntent) -> RemotePayment | None:
    """The payment our key stands in. A deleted one is answered too (`reversed`): somebody took it back on purpose."""
    invoice_id, _ = _only_allocation(intent)
    marker = f"{MARKER}{intent.key}"
    ours = [
        _remote(row)
        for row in client.payments_of(invoice_id)
        if str(row.get("Reference") or "").split(" ", 1)[0] == marker
    ]
    standing = [payment for payment in ours if not payment.reversed]
    if len(standing) > 1:
        raise Unclear(f"Xero has {len(standing)} payments with our reference {marker}; delete all but one there.")
    return next(iter(standing or ours), None)


def record(client: Client, intent: PaymentIntent, base_currency: str) -> RemotePayment:
    """Record it, one try. Raises Refused with Xero's words, Unclear for what is not certain."""
    invoice_id, amount = _only_allocation(intent)
    if not intent.deposit_account:
        raise Refused("Choose the Xero account payments are deposited to, then try again.", "deposit_account")
    if intent.currency != base_currency:
        _require_account_currency(client, intent)
    payment = {
        "Invoice": {"InvoiceID": invoice_id},
        "Account": {"AccountID": intent.deposit_account},
        "Date": intent.paid_on.isoformat(),
        "Amount": Decimal(minor_to_text(amount, intent.currency)),
        "Reference": reference(intent),
    }
    try:
        element = client.create_payment(payment, idempotency_key(client.tenant, "payment", intent.key))
    except Refused as refused:
        raise _lock_date_named(client, intent, refused) from refused
    if refusal := refused_element(element):
        raise _lock_date_named(client, intent, refusal)
    recorded = _remote(element)
    if recorded.amount != amount or recorded.reversed:
        raise Unclear("Xero answered with another payment than the one sent; look at the invoice in Xero.")
    return recorded


def reverse(client: Client, payment: RemotePayment) -> None:
    """Set it to DELETED, so that the invoice reopens. Already deleted is success."""
    try:
        element = client.delete_payment(payment.remote_id)
    except Refused:
        if _is_deleted(client, payment.remote_id):
            return
        raise
    if refusal := refused_element(element):
        if _is_deleted(client, payment.remote_id):
            return
        raise refusal


def _only_allocation(intent: PaymentIntent) -> tuple[str, int]:
    if len(intent.allocations) != 1 or intent.allocations[0][1] != intent.amount:
        raise ValueError("A payment to Xero settles one invoice with its whole amount: send each part alone.")
    return intent.allocations[0]


def _remote(row: Mapping[str, Any]) -> RemotePayment:
    try:
        return to_remote_payment(to_payment(row))
    except Unmappable as problem:
        raise Unclear(f"Xero's word on the payment cannot be read: {problem}") from problem


def _is_deleted(client: Client, payment_id: str) -> bool:
    return bool(client.payment(payment_id).get("Status") == "DELETED")


def _require_account_currency(client: Client, intent: PaymentIntent) -> None:
    """A bank account keeps one currency; Xero would want a rate and the bank's own amount, which nobody gave us."""
    account = client.account(intent.deposit_account)
    currency = account.get("CurrencyCode")
    if currency and currency != intent.currency:
        raise Refused(
            f"The deposit account {account.get('Name', '')} is kept in {currency} and the payment is in "
            f"{intent.currency}: choose an account in {intent.currency} for such payments.",
            "account_currency",
        )


def _lock_date_named(client: Client, intent: PaymentIntent, refusal: Refused) -> Refused:
    """Say which date the books are locked to, where that is the cause."""
    if refusal.code != "lock_date":
        return refusal
    try:
        organisation = client.organisation()
        dates = [day(text) for name in ("PeriodLockDate", "EndOfYearLockDate") if (text := organisation.get(name))]
    except (Answer, Unmappable):
        return refusal
    if not dates:
        return refusal
    return Refused(
        f"Xero's books are locked up to {max(dates).isoformat()} and the payment is dated "
        f"{intent.paid_on.isoformat()}: unlock the period in Xero, or record the payment in an open period.",
        "lock_date",
    )
