"""Paying, finding, reversing; credits that lower what is due without a payment."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.integrations.systems.xero.simulator.driving import App


def _due(app: App, invoice: dict[str, Any]) -> Any:
    return app.read(f"Invoices/{invoice['InvoiceID']}")["Invoices"][0]


def test_a_part_then_the_rest(app: App) -> None:
    invoice = app.open_invoice()
    part = Decimal("10.01")
    made = app.write("PUT", "Payments", {"Payments": [app.payment(invoice, part, "pay_1")]})["Payments"][0]
    assert (made["Amount"], made["Status"], made["PaymentType"]) == (part, "AUTHORISED", "ACCRECPAYMENT")
    assert made["Invoice"]["AmountDue"] == invoice["AmountDue"] - part
    after = _due(app, invoice)
    assert (after["Status"], after["AmountPaid"], after["Payments"][0]["Reference"]) == ("AUTHORISED", part, "pay_1")
    rest = app.payment(invoice, after["AmountDue"])
    app.write("POST", "Payments", rest)
    paid = _due(app, invoice)
    assert (paid["Status"], paid["AmountDue"], paid["AmountPaid"]) == ("PAID", 0, invoice["Total"])
    assert paid["FullyPaidOnDate"]


def test_yen_are_paid_in_whole_yen(app: App) -> None:
    invoice = app.open_invoice("JPY")
    broken = app.call("PUT", "Payments", {"Payments": [app.payment(invoice, "10.5")]})
    assert app.messages(broken) == ["Amount has more decimals than JPY allows"]
    made = app.write("PUT", "Payments", {"Payments": [app.payment(invoice, invoice["AmountDue"])]})["Payments"][0]
    assert made["Amount"] == invoice["AmountDue"]
    assert made["CurrencyRate"] == 150
    assert made["BankAmount"] == (invoice["AmountDue"] / 150).quantize(Decimal("0.01"))
    assert _due(app, invoice)["Status"] == "PAID"


def test_more_than_is_due(app: App) -> None:
    invoice = app.open_invoice()
    body = {"Payments": [app.payment(invoice, invoice["AmountDue"] + Decimal("0.01"))]}
    message = "Payment amount exceeds the amount outstanding on this document"
    assert app.messages(app.call("PUT", "Payments", body)) == [message]
    shown = app.write("PUT", "Payments", body, summarizeErrors="false")["Payments"][0]
    assert shown["HasValidationErrors"] is True
    assert shown["StatusAttributeString"] == "ERROR"
    assert shown["ValidationErrors"] == [{"Message": message}]
    assert _due(app, invoice)["AmountPaid"] == 0


def test_errors_among_others_in_a_200(app: App) -> None:
    good, bad = app.open_invoice(), app.open_invoice(number=1)
    body = {"Payments": [app.payment(good, "5.00"), app.payment(bad, "9999999.00")]}
    shown = app.write("PUT", "Payments", body, summarizeErrors="false")["Payments"]
    assert [item["StatusAttributeString"] for item in shown] == ["OK", "ERROR"]
    assert _due(app, good)["AmountPaid"] == 5
    assert app.call("PUT", "Payments", body).status_code == 400
    assert _due(app, good)["AmountPaid"] == 5


@pytest.mark.parametrize("status", ["DRAFT", "VOIDED", "PAID"])
def test_only_authorised_documents(app: App, status: str) -> None:
    invoice = app.read("Invoices", Statuses=status)["Invoices"][0]
    refused = app.call("PUT", "Payments", {"Payments": [app.payment(invoice, "1.00")]})
    assert app.messages(refused)[0] == "Payments can only be made against Authorised documents"


@pytest.mark.parametrize("amount", ["0", "-5", "12.345"])
def test_amounts_that_are_none(app: App, amount: str) -> None:
    invoice = app.open_invoice()
    assert app.call("PUT", "Payments", {"Payments": [app.payment(invoice, amount)]}).status_code == 400
    assert _due(app, invoice)["AmountPaid"] == 0


@pytest.mark.parametrize("amount", ["1e400", "NaN", "١٢", "", None, True, [1]])
def test_amounts_that_are_no_numbers(app: App, amount: Any) -> None:
    invoice = app.open_invoice()
    body = {"Payments": [{**app.payment(invoice, "1.00"), "Amount": amount}]}
    assert app.call("PUT", "Payments", body).status_code == 400
    assert _due(app, invoice)["AmountPaid"] == 0


def test_accounts_money_may_go_to(app: App) -> None:
    invoice = app.open_invoice()
    for name in ("Business Checking", "Undeposited Funds", "Owner Funds"):
        payment = {**app.payment(invoice, "1.00"), "Account": {"AccountID": app.bank(name)}}
        assert app.write("PUT", "Payments", {"Payments": [payment]})["Payments"][0]["Account"]["Name"] == name
    for name in ("Sales", "Old Savings"):
        payment = {**app.payment(invoice, "1.00"), "Account": {"AccountID": app.bank(name)}}
        assert app.call("PUT", "Payments", {"Payments": [payment]}).status_code == 400
    by_code = {**app.payment(invoice, "1.00"), "Account": {"Code": "090"}}
    assert app.call("PUT", "Payments", {"Payments": [by_code]}).status_code == 200


def test_a_bank_account_in_another_currency(app: App) -> None:
    invoice = app.open_invoice("GBP")
    payment = {**app.payment(invoice, "10.00"), "Account": {"AccountID": app.bank("Euro Account")}}
    assert "CurrencyRate or BankAmount" in app.messages(app.call("PUT", "Payments", {"Payments": [payment]}))[0]
    made = app.write("PUT", "Payments", {"Payments": [{**payment, "BankAmount": 11.65}]})["Payments"][0]
    assert made["BankAmount"] == Decimal("11.65")


def test_lock_dates(app: App) -> None:
    invoice = app.open_invoice()
    app.xero.control("lock-date", {"date": "2026-06-30"})
    late = {**app.payment(invoice, "1.00"), "Date": "2026-06-30"}
    assert "period lock date" in app.messages(app.call("PUT", "Payments", {"Payments": [late]}))[0]
    fine = {**app.payment(invoice, "1.00"), "Date": "2026-07-01"}
    assert app.call("PUT", "Payments", {"Payments": [fine]}).status_code == 200
    assert app.read("Organisation")["Organisations"][0]["PeriodLockDate"] == "/Date(1782777600000+0000)/"


def test_found_again_by_the_invoice(app: App) -> None:
    invoice, other = app.open_invoice(), app.open_invoice(number=1)
    app.write("PUT", "Payments", {"Payments": [app.payment(invoice, "1.00", "pay_a"), app.payment(other, "2.00")]})
    where = f'Invoice.InvoiceID==guid("{invoice["InvoiceID"]}")'
    found = app.read("Payments", where=where)["Payments"]
    assert [(item["Reference"], item["Amount"]) for item in found] == [("pay_a", 1)]
    both = app.read("Payments", where=f'PaymentType=="ACCRECPAYMENT" && {where} && Status=="AUTHORISED"', page=1)
    assert both["pagination"]["itemCount"] == 1
    starts = app.read("Payments", where='Reference.StartsWith("pay_")')["Payments"]
    assert [item["Reference"] for item in starts] == ["pay_a"]


def test_deleting_opens_the_invoice_again(app: App) -> None:
    invoice = app.open_invoice()
    made = app.write("PUT", "Payments", {"Payments": [app.payment(invoice, invoice["AmountDue"])]})["Payments"][0]
    app.xero.clock.advance(10)
    since = app.xero.clock.now().strftime("%Y-%m-%dT%H:%M:%S")
    path = f"Payments/{made['PaymentID']}"
    assert app.call("POST", path, {"Status": "AUTHORISED"}).status_code == 400
    assert app.write("POST", path, {"Status": "DELETED"})["Payments"][0]["Status"] == "DELETED"
    after = _due(app, invoice)
    assert (after["Status"], after["AmountDue"], after["Payments"]) == ("AUTHORISED", invoice["AmountDue"], [])
    changed = app.read("Payments", headers={"If-Modified-Since": since})["Payments"]
    assert [(item["PaymentID"], item["Status"]) for item in changed] == [(made["PaymentID"], "DELETED")]
    assert "already been deleted" in app.messages(app.call("POST", path, {"Status": "DELETED"}))[0]


def test_a_reconciled_payment_stays(app: App) -> None:
    payment = app.read("Payments", where="IsReconciled==true")["Payments"][0]
    refused = app.call("POST", f"Payments/{payment['PaymentID']}", {"Status": "DELETED"})
    assert "reconciled" in app.messages(refused)[0]


def _batch(app: App, *parts: tuple[dict[str, Any], str]) -> dict[str, Any]:
    payments = [{"Invoice": {"InvoiceID": item["InvoiceID"]}, "Amount": float(amount)} for item, amount in parts]
    account = {"AccountID": app.bank()}
    date = app.xero.clock.now().date().isoformat()
    return {"BatchPayments": [{"Account": account, "Date": date, "Reference": "payout-1", "Payments": payments}]}


def test_a_batch_lives_and_dies_as_one(app: App) -> None:
    first, second = app.open_invoice(), app.open_invoice(number=1)
    made = app.write("PUT", "BatchPayments", _batch(app, (first, "10.00"), (second, "5.50")))["BatchPayments"][0]
    assert (made["TotalAmount"], made["Type"], len(made["Payments"])) == (Decimal("15.5"), "RECBATCH", 2)
    assert _due(app, first)["AmountPaid"] == 10
    part = made["Payments"][0]["PaymentID"]
    assert "batch" in app.messages(app.call("POST", f"Payments/{part}", {"Status": "DELETED"}))[0]
    gone = app.write("POST", "BatchPayments", {"BatchPaymentID": made["BatchPaymentID"], "Status": "DELETED"})
    assert gone["BatchPayments"][0]["Status"] == "DELETED"
    assert _due(app, first)["AmountPaid"] == _due(app, second)["AmountPaid"] == 0


def test_a_batch_with_one_bad_part_leaves_nothing(app: App) -> None:
    first, second = app.open_invoice(), app.open_invoice(number=1)
    body = _batch(app, (first, "10.00"), (second, "9999999.00"))
    shown = app.write("PUT", "BatchPayments", body, summarizeErrors="false")["BatchPayments"][0]
    assert shown["StatusAttributeString"] == "ERROR"
    assert _due(app, first)["AmountPaid"] == 0
    twice = _batch(app, (first, str(first["AmountDue"])), (first, "0.01"))
    assert app.call("PUT", "BatchPayments", twice).status_code == 400


def _credit_for(app: App) -> tuple[dict[str, Any], dict[str, Any]]:
    """A credit note and an open invoice of the same customer in the same currency."""
    invoices = app.read("Invoices", Statuses="AUTHORISED", page=1, pageSize=1000)["Invoices"]
    for note in app.read("CreditNotes", where='Status=="AUTHORISED"', page=1)["CreditNotes"]:
        for invoice in invoices:
            same = invoice["Contact"]["ContactID"] == note["Contact"]["ContactID"]
            if same and invoice["CurrencyCode"] == note["CurrencyCode"]:
                return note, invoice
    raise AssertionError("the company has no customer with a credit note and an open invoice")


def test_an_allocation_lowers_what_is_due_without_a_payment(app: App) -> None:
    note, invoice = _credit_for(app)
    path = f"CreditNotes/{note['CreditNoteID']}/Allocations"
    allocation = {"Invoice": {"InvoiceID": invoice["InvoiceID"]}, "Amount": 1.25, "Date": "2026-11-20"}
    made = app.write("PUT", path, {"Allocations": [allocation]})["Allocations"][0]
    after = _due(app, invoice)
    assert after["AmountDue"] == invoice["AmountDue"] - Decimal("1.25")
    assert after["AmountCredited"] == invoice["AmountCredited"] + Decimal("1.25")
    assert after["Payments"] == invoice["Payments"]
    assert len(app.read("Payments", where=_of(invoice))["Payments"]) == len(invoice["Payments"])
    assert after["CreditNotes"][-1]["CreditNoteNumber"] == note["CreditNoteNumber"]
    left = app.read(f"CreditNotes/{note['CreditNoteID']}")["CreditNotes"][0]
    assert left["RemainingCredit"] == note["RemainingCredit"] - Decimal("1.25")
    too_much = {**allocation, "Amount": 9999999}
    assert app.call("PUT", path, {"Allocations": [too_much]}).status_code == 400
    undone = app.write("DELETE", f"{path}/{made['AllocationID']}", None)
    assert undone["IsDeleted"] is True
    assert _due(app, invoice)["AmountDue"] == invoice["AmountDue"]


def _of(invoice: dict[str, Any]) -> str:
    return f'Invoice.InvoiceID==guid("{invoice["InvoiceID"]}")'


def test_refunding_a_credit_note(app: App) -> None:
    note = app.read("CreditNotes", where='CurrencyCode=="USD"', page=1)["CreditNotes"][0]
    refund = {
        "CreditNote": {"CreditNoteID": note["CreditNoteID"]},
        "Account": {"AccountID": app.bank()},
        "Amount": 1.0,
    }
    made = app.write("PUT", "Payments", {"Payments": [refund]})["Payments"][0]
    assert made["PaymentType"] == "ARCREDITPAYMENT"
    assert made["Invoice"]["Type"] == "ACCRECCREDIT"
    left = app.read(f"CreditNotes/{note['CreditNoteID']}")["CreditNotes"][0]
    assert left["RemainingCredit"] == note["RemainingCredit"] - 1
    app.write("POST", f"Payments/{made['PaymentID']}", {"Status": "DELETED"})
    back = app.read(f"CreditNotes/{note['CreditNoteID']}")["CreditNotes"][0]
    assert back["RemainingCredit"] == note["RemainingCredit"]


def test_an_overpayment_is_made_by_a_bank_transaction(app: App) -> None:
    invoice = app.open_invoice()
    body = {
        "BankTransactions": [
            {
                "Type": "RECEIVE-OVERPAYMENT",
                "Contact": {"ContactID": invoice["Contact"]["ContactID"]},
                "BankAccount": {"AccountID": app.bank()},
                "LineItems": [{"Description": "Overpaid", "LineAmount": 20.0}],
                "Date": "2026-11-22",
            }
        ]
    }
    made = app.write("PUT", "BankTransactions", body)["BankTransactions"][0]
    assert made["Total"] == 20
    overpayment = app.read(f"Overpayments/{made['OverpaymentID']}")["Overpayments"][0]
    assert (overpayment["RemainingCredit"], overpayment["Status"]) == (20, "AUTHORISED")
    path = f"Overpayments/{made['OverpaymentID']}/Allocations"
    sent = {"Invoice": {"InvoiceID": invoice["InvoiceID"]}, "Amount": 20.0, "Date": "2026-11-23"}
    app.write("PUT", path, {"Allocations": [sent]})
    assert _due(app, invoice)["AmountDue"] == invoice["AmountDue"] - 20
    used = app.read(f"Overpayments/{made['OverpaymentID']}")["Overpayments"][0]
    assert (used["RemainingCredit"], used["Status"]) == (0, "PAID")
    assert app.call("PUT", "Overpayments", body).status_code == 405


def test_lists_of_credits(app: App) -> None:
    assert len(app.read("CreditNotes", page=1)["CreditNotes"]) == 5
    assert app.read("Overpayments", page=1)["Overpayments"][0]["LineItems"]
    assert app.read("Prepayments")["Prepayments"][0]["LineItems"] == []
