"""/BankTransactions: money in and out of an account without an invoice; the way an overpayment comes to be."""

from __future__ import annotations

from typing import Any

from integrations.simulator.store import Document
from integrations.systems.xero.simulator.books import BANK_TRANSACTION, OVERPAYMENT, Organisation, new_id
from integrations.systems.xero.simulator.call import Call
from integrations.systems.xero.simulator.contacts import contact_for, show_contact_of
from integrations.systems.xero.simulator.credits import OVERPAYMENTS, new_credit
from integrations.systems.xero.simulator.invoice_changes import currency_of, rate_of, refuse_locked
from integrations.systems.xero.simulator.lines import add_up, read_lines, show_lines
from integrations.systems.xero.simulator.listing import day, moment, select
from integrations.systems.xero.simulator.payments import payable_account
from integrations.systems.xero.simulator.problems import Refused
from integrations.systems.xero.simulator.query import Guid, Row
from integrations.systems.xero.simulator.wire import amount, day_stamp, day_text, read_day, stamp

_TYPES = ("RECEIVE", "SPEND", "RECEIVE-OVERPAYMENT")


def _row(doc: Document) -> Row:
    return {
        "BankTransactionID": Guid(doc["id"]),
        "Type": doc["type"],
        "Status": doc["status"],
        "Reference": doc["reference"],
        "Date": day(doc["date"]),
        "Total": amount(doc["total"], doc["currency"]),
        "Contact.ContactID": Guid(doc["contact"]),
        "BankAccount.AccountID": Guid(doc["account"]),
        "UpdatedDateUTC": moment(doc["updated"]),
    }


def list_transactions(call: Call) -> dict[str, Any]:
    """GET /BankTransactions."""
    found = select(call, call.org.all(BANK_TRANSACTION), "BankTransaction", _row)
    return found.content("BankTransactions", [_show(call.org, doc) for doc in found.documents])


def read_transaction(call: Call, transaction_id: str) -> dict[str, Any]:
    """GET /BankTransactions/{id}."""
    return {"BankTransactions": [_show(call.org, call.org.require(BANK_TRANSACTION, transaction_id))]}


def create_transactions(call: Call) -> dict[str, Any]:
    """PUT and POST /BankTransactions."""
    return {
        "BankTransactions": call.each(
            call.elements("BankTransactions"), lambda sent: _create(call.org, sent), lambda doc: _show(call.org, doc)
        )
    }


def _create(org: Organisation, sent: dict[str, Any]) -> Document:
    type_ = str(sent.get("Type"))
    if type_ not in _TYPES:
        raise Refused(f"Type must be one of {', '.join(_TYPES)}")
    account = payable_account(org, sent.get("BankAccount"))
    if account["type"] != "BANK":
        raise Refused("BankAccount must be a bank account")
    currency = account.get("currency") or currency_of(org, sent)
    overpaid = type_ == "RECEIVE-OVERPAYMENT"
    amount_types = "NoTax" if overpaid else str(sent.get("LineAmountTypes") or "Exclusive")
    if not sent.get("LineItems"):
        raise Refused("One or more line items must be specified")
    lines = read_lines(sent["LineItems"], currency, amount_types, org.profile["tax_rates"])
    totals = add_up(lines, amount_types)
    if totals.total <= 0:
        raise Refused("The total amount must be greater than zero")
    date = read_day(sent["Date"], "Date") if sent.get("Date") else org.today()
    refuse_locked(org, date)
    contact = contact_for(org, sent.get("Contact"))
    doc: Document = {
        "id": new_id(),
        "type": type_,
        "contact": contact["id"],
        "account": account["id"],
        "date": date,
        "status": "AUTHORISED",
        "reference": str(sent.get("Reference") or "")[:255],
        "currency": currency,
        "lines": lines,
        "subtotal": totals.subtotal,
        "tax": totals.tax,
        "total": totals.total,
        "amount_types": amount_types,
    }
    if overpaid:
        credit = new_credit(
            org,
            OVERPAYMENTS,
            type_="RECEIVE-OVERPAYMENT",
            contact=contact["id"],
            currency=currency,
            date=date,
            lines=lines,
            amount_types=amount_types,
            reference=doc["reference"],
            rate=rate_of(org, currency, sent),
        )
        doc["overpayment"] = org.save(OVERPAYMENT, credit)["id"]
    return org.save(BANK_TRANSACTION, doc)


def _show(org: Organisation, doc: Document) -> dict[str, Any]:
    currency = doc["currency"]
    shown: dict[str, Any] = {
        "BankTransactionID": doc["id"],
        "Type": doc["type"],
        "Contact": show_contact_of(org, doc, full=False),
        "BankAccount": {"AccountID": doc["account"]},
        "Reference": doc["reference"],
        "DateString": day_text(doc["date"]),
        "Date": day_stamp(doc["date"]),
        "Status": doc["status"],
        "LineAmountTypes": doc["amount_types"],
        "LineItems": show_lines(doc["lines"], currency, 2),
        "SubTotal": amount(doc["subtotal"], currency),
        "TotalTax": amount(doc["tax"], currency),
        "Total": amount(doc["total"], currency),
        "IsReconciled": False,
        "HasAttachments": False,
        "CurrencyCode": currency,
        "UpdatedDateUTC": stamp(doc["updated"]),
    }
    if doc.get("overpayment"):
        shown["OverpaymentID"] = doc["overpayment"]
    return shown
