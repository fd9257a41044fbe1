"""/BatchPayments: one movement in the bank for several invoices; its parts live and die together."""

from __future__ import annotations

from typing import Any

from integrations.simulator.store import Document
from integrations.systems.xero.simulator.books import BATCH_PAYMENT, INVOICE, PAYMENT, Organisation, new_id
from integrations.systems.xero.simulator.call import Call
from integrations.systems.xero.simulator.invoice_changes import refuse_locked
from integrations.systems.xero.simulator.listing import day, moment, select
from integrations.systems.xero.simulator.payments import EXCEEDS, create_payment, payable_account, reverse_payment
from integrations.systems.xero.simulator.problems import Refused
from integrations.systems.xero.simulator.query import Guid, Row
from integrations.systems.xero.simulator.wire import amount, day_stamp, day_text, read_amount, read_day, stamp


def _row(doc: Document) -> Row:
    return {
        "BatchPaymentID": Guid(doc["id"]),
        "Status": doc["status"],
        "Reference": doc["reference"],
        "Type": "RECBATCH",
        "Date": day(doc["date"]),
        "UpdatedDateUTC": moment(doc["updated"]),
    }


def list_batches(call: Call) -> dict[str, Any]:
    """GET /BatchPayments."""
    found = select(call, call.org.all(BATCH_PAYMENT), "BatchPayment", _row)
    return {"BatchPayments": [show_batch(call.org, doc) for doc in found.documents]}


def read_batch(call: Call, batch_id: str) -> dict[str, Any]:
    """GET /BatchPayments/{id}."""
    return {"BatchPayments": [show_batch(call.org, call.org.require(BATCH_PAYMENT, batch_id))]}


def show_batch(org: Organisation, doc: Document) -> dict[str, Any]:
    """A batch with its parts; a deleted one shows none."""
    parts = [org.require(PAYMENT, id) for id in doc["payments"]]
    return {
        "Account": {"AccountID": doc["account"], "CurrencyCode": doc["currency"]},
        "Reference": doc["reference"],
        "BatchPaymentID": doc["id"],
        "DateString": day_text(doc["date"]),
        "Date": day_stamp(doc["date"]),
        "Payments": [
            {
                "PaymentID": part["id"],
                "Invoice": {"InvoiceID": part["target"], "CurrencyCode": part["currency"], "LineItems": []},
                "Amount": amount(part["amount"], part["currency"]),
                "BankAmount": amount(part["bank_amount"], part["bank_currency"]),
            }
            for part in parts
            if part["status"] != "DELETED"
        ],
        "Type": "RECBATCH",
        "Status": doc["status"],
        "TotalAmount": amount(doc["total"], doc["currency"]),
        "UpdatedDateUTC": stamp(doc["updated"]),
        "IsReconciled": False,
    }


def create_batches(call: Call) -> dict[str, Any]:
    """PUT /BatchPayments."""
    return {
        "BatchPayments": call.each(
            call.elements("BatchPayments"), lambda sent: _create(call.org, sent), lambda doc: show_batch(call.org, doc)
        )
    }


def save_batches(call: Call) -> dict[str, Any]:
    """POST /BatchPayments: a deletion carries BatchPaymentID and Status, anything else creates."""
    sent = call.document()
    if sent.get("BatchPaymentID"):
        return delete_batch(call, str(sent["BatchPaymentID"]))
    return create_batches(call)


def _create(org: Organisation, sent: dict[str, Any]) -> Document:
    parts = sent.get("Payments")
    if not isinstance(parts, list) or not parts or not all(isinstance(part, dict) for part in parts):
        raise Refused("A batch payment must contain at least one payment")
    account = payable_account(org, sent.get("Account"))
    date = read_day(sent["Date"], "Date") if sent.get("Date") else org.today()
    currency = _common_currency(org, parts)
    batch_id = new_id()
    total = _check_parts(org, parts, currency)
    refuse_locked(org, date)
    shared = {"Account": {"AccountID": account["id"]}, "Date": date, "Reference": sent.get("Reference") or ""}
    made = [create_payment(org, {**shared, **part}, batch=batch_id) for part in parts]
    return org.save(
        BATCH_PAYMENT,
        {
            "id": batch_id,
            "account": account["id"],
            "date": date,
            "reference": shared["Reference"],
            "payments": [doc["id"] for doc in made],
            "total": total,
            "currency": currency,
            "status": "AUTHORISED",
        },
    )


def _common_currency(org: Organisation, parts: list[dict[str, Any]]) -> str:
    invoices = [org.get(INVOICE, str((part.get("Invoice") or {}).get("InvoiceID") or "")) for part in parts]
    currencies = {invoice["currency"] for invoice in invoices if invoice is not None}
    if None in invoices:
        raise Refused("Invoice could not be found")
    if len(currencies) != 1:
        raise Refused("All invoices of a batch payment must have the same currency")
    return str(currencies.pop())


def _check_parts(org: Organisation, parts: list[dict[str, Any]], currency: str) -> int:
    """The batch's total; refused before anything is written when a part is more than its invoice owes."""
    wanted: dict[str, int] = {}
    for part in parts:
        id = str(part["Invoice"]["InvoiceID"]).lower()
        minor = read_amount(part.get("Amount"), "Amount", currency)
        if minor <= 0:
            raise Refused("Payment amount must be greater than zero")
        wanted[id] = wanted.get(id, 0) + minor
    for id, minor in wanted.items():
        invoice = org.require(INVOICE, id)
        if invoice["status"] != "AUTHORISED":
            raise Refused("Payments can only be made against Authorised documents")
        if minor > invoice["amount_due"]:
            raise Refused(EXCEEDS)
    return sum(wanted.values())


def delete_batch(call: Call, batch_id: str) -> dict[str, Any]:
    """POST /BatchPayments/{id} with Status DELETED: every part is deleted."""
    doc = call.org.require(BATCH_PAYMENT, batch_id)

    def write(sent: dict[str, Any]) -> Document:
        if sent.get("Status") != "DELETED":
            raise Refused("Batch payments can only be deleted; Status must be DELETED")
        if doc["status"] == "DELETED":
            raise Refused("Batch payment has already been deleted")
        parts = [call.org.require(PAYMENT, id) for id in doc["payments"]]
        if any(part["reconciled"] for part in parts):
            raise Refused("This batch payment has been reconciled with a bank statement line and cannot be deleted")
        for part in parts:
            reverse_payment(call.org, part)
        doc["status"] = "DELETED"
        return call.org.save(BATCH_PAYMENT, doc)

    shown = call.each(call.elements("BatchPayments"), write, lambda changed: show_batch(call.org, changed))
    return {"BatchPayments": shown}
