"""/Payments: create, find, delete. One payment is for one invoice or refunds one credit."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from connector.domain.money import exponent
from integrations.simulator.store import Document
from integrations.systems.xero.simulator.books import ACCOUNT, INVOICE, PAYMENT, Organisation, new_id
from integrations.systems.xero.simulator.call import Call
from integrations.systems.xero.simulator.credits import SORTS, Sort, find_credit, settle_credit
from integrations.systems.xero.simulator.invoice_changes import on_invoice, rate_of, refuse_locked
from integrations.systems.xero.simulator.invoices import find_invoice, show_invoice
from integrations.systems.xero.simulator.listing import day, moment, select
from integrations.systems.xero.simulator.problems import NotThere, Refused
from integrations.systems.xero.simulator.query import Guid, Row
from integrations.systems.xero.simulator.wire import (
    amount,
    day_stamp,
    number,
    read_amount,
    read_day,
    read_number,
    stamp,
    stamp_text,
)

EXCEEDS = "Payment amount exceeds the amount outstanding on this document"
NOT_AUTHORISED = "Payments can only be made against Authorised documents"
_TYPES = {
    "ACCREC": "ACCRECPAYMENT",
    "ACCPAY": "ACCPAYPAYMENT",
    "ACCRECCREDIT": "ARCREDITPAYMENT",
    "ACCPAYCREDIT": "APCREDITPAYMENT",
    "RECEIVE-OVERPAYMENT": "AROVERPAYMENTPAYMENT",
    "RECEIVE-PREPAYMENT": "ARPREPAYMENTPAYMENT",
}


def payment_row(doc: Document) -> Row:
    """Filterable fields."""
    return {
        "PaymentID": Guid(doc["id"]),
        "PaymentType": doc["type"],
        "Status": doc["status"],
        "Date": day(doc["date"]),
        "Amount": amount(doc["amount"], doc["currency"]),
        "Reference": doc["reference"],
        "IsReconciled": bool(doc["reconciled"]),
        "Account.AccountID": Guid(doc["account"]),
        "BatchPayment.BatchPaymentID": Guid(doc["batch"]) if doc.get("batch") else None,
        "BatchPaymentID": Guid(doc["batch"]) if doc.get("batch") else None,
        "Invoice.InvoiceID": Guid(doc["target"]),
        "Invoice.InvoiceNumber": doc["target_number"],
        "Invoice.Contact.ContactID": Guid(doc["contact"]),
        "UpdatedDateUTC": moment(doc["updated"]),
    }


def list_payments(call: Call) -> dict[str, Any]:
    """GET /Payments; deleted ones come with Status DELETED."""
    found = select(call, call.org.all(PAYMENT), "Payment", payment_row)
    return found.content("Payments", [show_payment(call.org, doc) for doc in found.documents])


def read_payment(call: Call, payment_id: str) -> dict[str, Any]:
    """GET /Payments/{id}."""
    return {"Payments": [show_payment(call.org, call.org.require(PAYMENT, payment_id), whole_invoice=True)]}


def show_payment(org: Organisation, doc: Document, *, whole_invoice: bool = False) -> dict[str, Any]:
    """A payment as answers carry it; writes and single reads bring the whole invoice along."""
    currency = doc["currency"]
    account = org.get(ACCOUNT, doc["account"]) or {"id": doc["account"], "code": "", "name": ""}
    shown: dict[str, Any] = {
        "PaymentID": doc["id"],
        "Date": day_stamp(doc["date"]),
        "BankAmount": amount(doc["bank_amount"], doc["bank_currency"]),
        "Amount": amount(doc["amount"], currency),
        "Reference": doc["reference"],
        "CurrencyRate": number(doc["rate"], 10),
        "PaymentType": doc["type"],
        "Status": doc["status"],
        "UpdatedDateUTC": stamp(doc["updated"]),
        "UpdatedDateUTCString": stamp_text(doc["updated"]),
        "HasAccount": True,
        "IsReconciled": doc["reconciled"],
        "Account": {"AccountID": account["id"], "Code": account.get("code", ""), "Name": account.get("name", "")},
        "Invoice": _show_target(org, doc, whole_invoice),
        "HasValidationErrors": False,
    }
    if doc.get("batch"):
        shown["BatchPaymentID"] = doc["batch"]
        shown["BatchPayment"] = {"BatchPaymentID": doc["batch"], "Account": {"AccountID": account["id"]}}
    return shown


def _show_target(org: Organisation, doc: Document, whole: bool) -> dict[str, Any]:
    """What was paid; a refunded credit also stands here under `Invoice`, as Xero lists it."""
    invoice = org.get(INVOICE, doc["target"]) if doc["target_kind"] == INVOICE else None
    if invoice is not None and whole:
        return show_invoice(org, invoice, lines=True)
    target_type = next(wire for wire, type_ in _TYPES.items() if type_ == doc["type"])
    return {
        "Type": target_type,
        "InvoiceID": doc["target"],
        "InvoiceNumber": doc["target_number"],
        "Payments": [],
        "CreditNotes": [],
        "Prepayments": [],
        "Overpayments": [],
        "HasErrors": False,
        "IsDiscounted": False,
        "Contact": {"ContactID": doc["contact"], "Addresses": [], "Phones": [], "ContactGroups": []},
        "LineItems": [],
        "CurrencyCode": doc["currency"],
    }


def create_payments(call: Call) -> dict[str, Any]:
    """PUT /Payments with a list, or POST /Payments with one payment."""
    return {
        "Payments": call.each(
            call.elements("Payments"),
            lambda sent: create_payment(call.org, sent),
            lambda doc: show_payment(call.org, doc, whole_invoice=True),
        )
    }


def create_payment(org: Organisation, sent: dict[str, Any], *, batch: str = "") -> Document:
    """Pay an invoice or refund a credit. Raises Refused with every rule that is broken."""
    kind, target = _find_target(org, sent)
    currency = target["currency"]
    minor = read_amount(sent.get("Amount"), "Amount", currency)
    date = read_day(sent["Date"], "Date") if sent.get("Date") else org.today()
    account = payable_account(org, sent.get("Account"))
    due = target["amount_due"] if kind == INVOICE else target["remaining"]
    broken = []
    if target["status"] != "AUTHORISED":
        broken.append(NOT_AUTHORISED)
    if minor <= 0:
        broken.append("Payment amount must be greater than zero")
    elif minor > due:
        broken.append(EXCEEDS)
    if broken:
        raise Refused(*broken)
    refuse_locked(org, date)
    bank_currency = account.get("currency") or org.base_currency
    rate = str(target["rate"]) if sent.get("CurrencyRate") is None else rate_of(org, currency, sent)
    doc: Document = {
        "id": new_id(),
        "target_kind": kind,
        "target": target["id"],
        "target_number": target.get("number", ""),
        "contact": target["contact"],
        "account": account["id"],
        "date": date,
        "amount": minor,
        "currency": currency,
        "rate": rate,
        "bank_currency": bank_currency,
        "bank_amount": _bank_amount(org, sent, minor, currency, bank_currency, rate),
        "reference": str(sent.get("Reference") or "")[:255],
        "status": "AUTHORISED",
        "type": _TYPES[target["type"]],
        "reconciled": sent.get("IsReconciled") is True,
    }
    if batch:
        doc["batch"] = batch
    org.save(PAYMENT, doc)
    held = {key: doc[key] for key in ("id", "date", "amount", "reference", "rate")}
    _on_target(org, doc, lambda changed: changed["payments"].append({**held, **({"batch": batch} if batch else {})}))
    org.note(PAYMENT, doc["id"], "Payment received", f"{amount(minor, currency)} {currency} for {doc['target_number']}")
    return doc


def _find_target(org: Organisation, sent: dict[str, Any]) -> tuple[str, Document]:
    named = [
        name for name in ("Invoice", "CreditNote", "Overpayment", "Prepayment") if isinstance(sent.get(name), dict)
    ]
    flat = [name for name in ("InvoiceNumber", "CreditNoteNumber") if sent.get(name)]
    if len(named) + len(flat) != 1:
        raise Refused("Payment must be applied to exactly one document")
    name = (named or flat)[0].removesuffix("Number")
    inside = sent[name] if named else sent
    reference = str(inside.get(f"{name}ID") or inside.get(f"{name}Number") or "")
    try:
        if name == "Invoice":
            return INVOICE, find_invoice(org, reference)
        sort = next(sort for sort in SORTS.values() if sort.entity == name)
        return sort.kind, find_credit(org, sort, reference)
    except NotThere:
        raise Refused(f"{name} could not be found") from None


def payable_account(org: Organisation, sent: object) -> Document:
    """The account money goes to: a bank account or one payments are enabled for. Raises Refused."""
    wanted = sent if isinstance(sent, dict) else {}
    account: Document | None = None
    if wanted.get("AccountID"):
        account = org.get(ACCOUNT, str(wanted["AccountID"]))
    elif wanted.get("Code"):
        account = next((doc for doc in org.all(ACCOUNT) if doc.get("code") == str(wanted["Code"])), None)
    if account is None or account["status"] != "ACTIVE":
        raise Refused("Account could not be found")
    if account["type"] != "BANK" and not account["payments_enabled"]:
        raise Refused("The account cannot be used for payments: it must be a bank account or have payments enabled")
    return account


def _bank_amount(
    org: Organisation, sent: dict[str, Any], minor: int, currency: str, bank_currency: str, rate: str
) -> int:
    """What reaches the bank account, in its own currency."""
    if bank_currency == currency:
        return minor
    if sent.get("BankAmount") is not None:
        return read_amount(sent["BankAmount"], "BankAmount", bank_currency)
    if bank_currency != org.base_currency and sent.get("CurrencyRate") is None:
        raise Refused("CurrencyRate or BankAmount must be given for a bank account in another currency")
    exact = Decimal(minor).scaleb(-exponent(currency)) / read_number(rate, "CurrencyRate")
    return int(exact.scaleb(exponent(bank_currency)).quantize(Decimal(1), ROUND_HALF_UP))


def _on_target(org: Organisation, doc: Document, change: Callable[[Document], None]) -> None:
    if doc["target_kind"] == INVOICE:
        on_invoice(org, doc["target"], change)
        return
    sort: Sort = SORTS[doc["target_kind"]]
    credit = org.require(sort.kind, doc["target"])
    change(credit)
    settle_credit(credit)
    org.save(sort.kind, credit)


def delete_payment(call: Call, payment_id: str) -> dict[str, Any]:
    """POST /Payments/{id} with Status DELETED: the only change a payment knows."""
    sent = call.elements("Payments")[0]
    doc = call.org.require(PAYMENT, payment_id)

    def write(body: dict[str, Any]) -> Document:
        if body.get("Status") != "DELETED":
            raise Refused("Payments can only be deleted; Status must be DELETED")
        if doc.get("batch"):
            raise Refused("This payment is part of a batch payment; delete the batch payment instead")
        return reverse_payment(call.org, doc)

    return {"Payments": call.each([sent], write, lambda shown: show_payment(call.org, shown, whole_invoice=True))}


def reverse_payment(org: Organisation, doc: Document) -> Document:
    """Mark it deleted; its invoice owes the amount again. Raises Refused when reconciled or deleted already."""
    if doc["status"] == "DELETED":
        raise Refused("Payment has already been deleted")
    if doc["reconciled"]:
        raise Refused("This payment has been reconciled with a bank statement line and cannot be deleted")
    refuse_locked(org, doc["date"])
    doc["status"] = "DELETED"
    org.save(PAYMENT, doc)

    def undo(changed: Document) -> None:
        changed["payments"] = [held for held in changed["payments"] if held["id"] != doc["id"]]

    _on_target(org, doc, undo)
    org.note(PAYMENT, doc["id"], "Payment deleted", f"Payment for {doc['target_number']}")
    return doc
