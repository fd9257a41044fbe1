"""Payments in QuickBooks' books: recorded under our key, found again by it, taken back by voiding.

The key goes out three times: as `requestid` (Intuit replays its first answer to a repetition), in full in PrivateNote
and its first 21 digits as PaymentRefNum, which can be asked for. No money is moved here.
Source: developer.intuit.com, Payment.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

from connector.contract import Gone, PaymentIntent, Refused, Stale, Unclear
from connector.domain.money import minor_to_text
from connector.domain.records import RemotePayment
from integrations.systems.quickbooks.client import Client, literal
from integrations.systems.quickbooks.manifest import NOTE_LIMIT, REFERENCE_LIMIT
from integrations.systems.quickbooks.mapping import remote_payment
from integrations.systems.quickbooks.values import Unmappable

# The merchant may have corrected the date by hand.
_WINDOW = timedelta(days=7)
_KEY = re.compile(r"\bDuebridge ([0-9a-f]{32})\b")
_PAGE = 1000
_NOT_SUPPORTED = frozenset({"500", "2010", "2020"})


def find(client: Client, intent: PaymentIntent, home_currency: str) -> RemotePayment | None:
    """Look a payment up by its key, in both ways QuickBooks can be asked. Raises Unclear when several carry it."""
    reference = reference_of(intent.key)
    found = _carrying(client, f" WHERE PaymentRefNum = {literal(reference)}", intent, home_currency)
    if not found:
        first, last = intent.paid_on - _WINDOW, intent.paid_on + _WINDOW
        found = _carrying(
            client,
            f" WHERE CustomerRef = {literal(intent.customer)} AND TxnDate >= {literal(first.isoformat())}"
            f" AND TxnDate <= {literal(last.isoformat())}",
            intent,
            home_currency,
        )
    standing = [payment for payment in found if not payment.reversed]
    if len(standing) > 1:
        raise Unclear("QuickBooks holds several payments with the same key of ours; one of them must go.")
    return next(iter(standing or found), None)


def record(client: Client, intent: PaymentIntent, home_currency: str) -> RemotePayment:
    """Record a payment, one try. Raises Unclear for every outcome that is not certain, Refused with the reason."""
    try:
        answer = client.write("create", "Payment", body_of(intent), request_id=intent.key)
    except (Gone, Stale) as odd:
        # Nothing is being read or replaced here: something the payment names is missing or locked.
        raise Refused(f"QuickBooks did not take the payment: {odd.why}") from odd
    if intent.key not in str(answer.get("PrivateNote") or ""):
        raise Unclear("QuickBooks answered with another payment than the one we sent.")
    try:
        return remote_payment(answer, home_currency)
    except Unmappable as reason:
        raise Unclear(f"QuickBooks has recorded the payment and answered oddly: {reason}") from reason


def reverse(client: Client, payment: RemotePayment, home_currency: str) -> None:
    """Void what we recorded, so that its invoices are open again; done already is success. Raises Refused, Unclear."""
    if payment.reversed:
        return
    version = payment.version
    for last_try in (False, True):
        try:
            _void(client, payment.remote_id, version)
            return
        except Gone:
            return
        except Stale:
            try:
                now = remote_payment(client.read("Payment", payment.remote_id), home_currency)
            except Gone:
                return
            if now.reversed:
                return
            if last_try:
                raise
            version = now.version


def reference_of(key: str) -> str:
    """The part of a key that fits into PaymentRefNum."""
    return key[:REFERENCE_LIMIT]


def body_of(intent: PaymentIntent) -> dict[str, Any]:
    """The Payment as QuickBooks wants it; amounts are exact decimals."""

    def amount(minor: int) -> Decimal:
        return Decimal(minor_to_text(minor, intent.currency))

    body: dict[str, Any] = {
        "CustomerRef": {"value": intent.customer},
        "CurrencyRef": {"value": intent.currency},
        "TotalAmt": amount(intent.amount),
        "TxnDate": intent.paid_on.isoformat(),
        "PaymentRefNum": reference_of(intent.key),
        "PrivateNote": note_of(intent),
        "Line": [
            {"Amount": amount(minor), "LinkedTxn": [{"TxnId": remote_id, "TxnType": "Invoice"}]}
            for remote_id, minor in intent.allocations
        ],
    }
    if intent.deposit_account:
        body["DepositToAccountRef"] = {"value": intent.deposit_account}
    return body


def note_of(intent: PaymentIntent) -> str:
    """What stands in PrivateNote: words for the merchant, and the whole key on a line of its own, never cut."""
    marker = f"Duebridge {intent.key}"
    reference = "" if intent.key.startswith(intent.reference) else intent.reference.strip()
    words = "\n".join(text for text in (intent.note.strip(), reference) if text)
    words = words.encode("utf-16-le")[: 2 * (NOTE_LIMIT - len(marker) - 1)].decode("utf-16-le", "ignore")
    return f"{words}\n{marker}" if words else marker


def _carrying(client: Client, where: str, intent: PaymentIntent, home_currency: str) -> list[RemotePayment]:
    """The payments among those asked for that carry the key."""
    found: list[RemotePayment] = []
    start = 1
    while True:
        rows = client.rows("Payment", f"{where} ORDERBY Id", start=start, most=_PAGE)
        for row in rows:
            if _carries(row, intent.key):
                try:
                    found.append(remote_payment(row, home_currency))
                except Unmappable as reason:
                    raise Unclear(f"A payment of ours in QuickBooks cannot be read: {reason}") from reason
        if len(rows) < _PAGE:
            return found
        start += _PAGE


def _carries(row: dict[str, Any], key: str) -> bool:
    """Whether a payment is ours by key: in its note, or, where somebody emptied the note, by the reference alone."""
    keys = _KEY.findall(str(row.get("PrivateNote") or ""))
    return key in keys or (not keys and row.get("PaymentRefNum") == reference_of(key))


def _void(client: Client, remote_id: str, version: str) -> None:
    body: dict[str, Any] = {"Id": remote_id, "SyncToken": version}
    try:
        client.write(
            "void",
            "Payment",
            {**body, "sparse": True},
            params={"operation": "update", "include": "void"},
        )
    except Refused as refusal:
        if "deposit" in refusal.why.lower():
            raise Refused(
                "QuickBooks cannot undo this payment because it is part of a bank deposit. "
                "Take it out of the deposit in QuickBooks, then try again.",
                refusal.code,
            ) from refusal
        if refusal.code == "610":
            raise Gone(refusal.why) from refusal
        if refusal.code not in _NOT_SUPPORTED:
            raise
        client.write("delete", "Payment", body, params={"operation": "delete"})
