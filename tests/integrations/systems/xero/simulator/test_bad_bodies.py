"""Whatever a body holds, the answer is a refusal or a success, never a crash, and the books still add up."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from tests.integrations.systems.xero.simulator.driving import App

_JUNK: list[Any] = [
    None,
    True,
    -1,
    0,
    1e300,
    "",
    "x",
    "١٢",
    "2026-13-45",
    "/Date(99999999999999)/",
    [],
    [[]],
    [None],
    {},
]
_JUNK += [{"x": 1}, "00000000-0000-0000-0000-000000000000", "Z" * 5000, "\u0000", "\ud800"]


def _spots(body: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside a body."""
    inside = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    found = [path] if path else []
    for key, value in inside:
        found += _spots(value, (*path, key))
    return found


def _spoiled(body: Any, chance: random.Random) -> Any:
    """The body with one value replaced."""
    changed = copy.deepcopy(body)
    *way, last = chance.choice(_spots(changed))
    place = changed
    for key in way:
        place = place[key]
    place[last] = chance.choice(_JUNK)
    return changed


def _bodies(app: App) -> list[tuple[str, str, dict[str, Any]]]:
    """A sound body for every write."""
    invoice, second = app.open_invoice(), app.open_invoice(number=1)
    contact = {
        "ContactID": invoice["Contact"]["ContactID"],
        "ContactPersons": [{"FirstName": "A", "EmailAddress": "b"}],
    }
    line: dict[str, Any] = {
        "LineItemID": "x",
        "Description": "Work",
        "Quantity": 1,
        "UnitAmount": 2.5,
        "TaxType": "OUTPUT",
    }
    line |= {"TaxAmount": 0.2, "DiscountRate": 10, "AccountCode": "200", "ItemCode": "I01"}
    document: dict[str, Any] = {"Contact": contact, "LineItems": [line], "Date": "2026-11-22", "Status": "AUTHORISED"}
    document |= {"CurrencyCode": "EUR", "CurrencyRate": 0.9, "LineAmountTypes": "Inclusive", "Reference": "r"}
    new = {**document, "Type": "ACCREC", "DueDate": "2026-12-22", "Url": "https://a.example/1", "SentToContact": True}
    note = app.read("CreditNotes", page=1)["CreditNotes"][0]["CreditNoteID"]
    quote = app.read("Quotes")["Quotes"][0]["QuoteID"]
    repeating = app.read("RepeatingInvoices")["RepeatingInvoices"][0]["RepeatingInvoiceID"]
    paid = app.read("Payments", where="IsReconciled==false")["Payments"][0]["PaymentID"]
    payment = app.payment(invoice, "1.00")
    parts = [{"Invoice": {"InvoiceID": item["InvoiceID"]}, "Amount": 1.5} for item in (invoice, second)]
    batch = {"Account": payment["Account"], "Date": "2026-11-22", "Reference": "b", "Payments": parts}
    bank = {**document, "Type": "RECEIVE-OVERPAYMENT", "BankAccount": payment["Account"]}
    allocation = {"Invoice": {"InvoiceID": invoice["InvoiceID"]}, "Amount": 1.5, "Date": "2026-11-22"}
    return [
        ("PUT", "Invoices", {"Invoices": [new]}),
        ("POST", f"Invoices/{second['InvoiceID']}", {"Invoices": [{**new, "InvoiceID": second["InvoiceID"]}]}),
        ("PUT", f"Invoices/{second['InvoiceID']}/History", {"HistoryRecords": [{"Details": "x"}]}),
        ("PUT", "Contacts", {"Contacts": [{"Name": "New", **contact}]}),
        ("PUT", "CreditNotes", {"CreditNotes": [{**document, "Type": "ACCRECCREDIT"}]}),
        ("POST", f"CreditNotes/{note}", {"CreditNotes": [{"Status": "AUTHORISED", "Reference": "x"}]}),
        ("PUT", f"CreditNotes/{note}/Allocations", {"Allocations": [allocation]}),
        ("PUT", "Payments", {"Payments": [{**payment, "CurrencyRate": 1, "BankAmount": 1}]}),
        ("POST", f"Payments/{paid}", {"Status": "DELETED"}),
        ("PUT", "BatchPayments", {"BatchPayments": [batch]}),
        ("POST", "BatchPayments", {"BatchPaymentID": "x", "Status": "DELETED"}),
        ("PUT", "BankTransactions", {"BankTransactions": [bank]}),
        ("PUT", "Quotes", {"Quotes": [{**document, "Status": "SENT"}]}),
        ("POST", f"Quotes/{quote}", {"Quotes": [{"Contact": contact, "Date": "2026-11-22", "Status": "SENT"}]}),
        ("POST", f"RepeatingInvoices/{repeating}", {"RepeatingInvoices": [{"Status": "DRAFT"}]}),
    ]


@pytest.mark.parametrize("seed", range(4))
def test_spoiled_bodies(app: App, seed: int) -> None:
    chance = random.Random(seed)
    bodies = _bodies(app)
    for _ in range(150):
        method, path, body = chance.choice(bodies)
        spoiled = _spoiled(body, chance)
        answer = app.call(method, path, spoiled, summarizeErrors=chance.choice(["true", "false"]))
        assert answer.status_code in (200, 400, 404), (method, path, spoiled, answer.text)
        answer.json()
    _books_add_up(app)


def _books_add_up(app: App) -> None:
    invoices = app.read("Invoices", page=1, pageSize=1000, Statuses="AUTHORISED,PAID")["Invoices"]
    payments = app.read("Payments", page=1, pageSize=1000, where='Status=="AUTHORISED"')["Payments"]
    paid: dict[str, Any] = {}
    for payment in payments:
        target = payment["Invoice"]["InvoiceID"]
        paid[target] = paid.get(target, 0) + payment["Amount"]
    for invoice in invoices:
        assert invoice["AmountPaid"] == paid.get(invoice["InvoiceID"], 0)
        assert invoice["AmountDue"] == invoice["Total"] - invoice["AmountPaid"] - invoice["AmountCredited"]
        assert (invoice["AmountDue"] == 0) is (invoice["Status"] == "PAID")
        assert json.dumps(float(invoice["AmountDue"])) != "-0.0"
