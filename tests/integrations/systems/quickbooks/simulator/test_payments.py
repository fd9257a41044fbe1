"""Payments lower what is due, exactly and on both sides, and everything can be undone."""

# ruff: noqa: S608 - these queries go to the simulated QuickBooks; no database stands behind them

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.simulator.store import from_json
from integrations.systems.quickbooks.simulator import payments
from tests.integrations.systems.quickbooks.simulator.driving import REALM, Running, code_of


def _pay(run: Running, body: dict[str, Any]) -> dict[str, Any]:
    answer = run.post("payment", body)
    assert answer.status_code == 200, answer.text
    payment: dict[str, Any] = from_json(answer.content)["Payment"]
    return payment


def test_a_payment_in_full_closes_the_invoice_and_both_point_at_each_other(run: Running) -> None:
    before = run.open_invoice()
    customer = run.read("Customer", before["CustomerRef"]["value"])
    payment = _pay(run, run.payment_body(before, PaymentRefNum="ch_1", PrivateNote="portal pay_1"))
    assert payment["UnappliedAmt"] == 0
    assert payment["DepositToAccountRef"] == {"value": "4"}
    after = run.read("Invoice", before["Id"])
    assert after["Balance"] == 0
    assert after["LinkedTxn"] == [{"TxnId": payment["Id"], "TxnType": "Payment"}]
    assert after["SyncToken"] == before["SyncToken"]
    assert after["MetaData"]["LastUpdatedTime"] > before["MetaData"]["LastUpdatedTime"]
    owes = run.read("Customer", customer["Id"])
    assert owes["Balance"] == customer["Balance"] - before["Balance"]
    found = run.query(f"select * from Payment where CustomerRef = '{customer['Id']}' and PaymentRefNum = 'ch_1'")
    assert [doc["Id"] for doc in found["Payment"]] == [payment["Id"]]


def test_one_payment_over_several_invoices_with_a_rest(run: Running) -> None:
    invoices = run.query("select * from Invoice where Balance > '50' orderby CustomerRef maxresults 1000")["Invoice"]
    by_customer: dict[str, list[dict[str, Any]]] = {}
    for doc in invoices:
        if doc["CurrencyRef"]["value"] == "USD" and doc["Balance"] == doc["TotalAmt"]:
            by_customer.setdefault(doc["CustomerRef"]["value"], []).append(doc)
    first, second = next(docs for docs in by_customer.values() if len(docs) >= 2)[:2]
    lines = [
        {"Amount": first["Balance"], "LinkedTxn": [{"TxnId": first["Id"], "TxnType": "Invoice"}]},
        {"Amount": Decimal("12.34"), "LinkedTxn": [{"TxnId": second["Id"], "TxnType": "Invoice"}]},
    ]
    total = first["Balance"] + Decimal("12.34") + Decimal("0.66")
    payment = _pay(run, {**run.payment_body(first), "TotalAmt": total, "Line": lines})
    assert payment["UnappliedAmt"] == Decimal("0.66")
    assert run.read("Invoice", first["Id"])["Balance"] == 0
    assert run.read("Invoice", second["Id"])["Balance"] == second["Balance"] - Decimal("12.34")


def test_a_payment_without_lines_is_all_credit(run: Running) -> None:
    payment = _pay(run, {"CustomerRef": {"value": "1"}, "TotalAmt": Decimal("10.00")})
    assert payment["UnappliedAmt"] == Decimal("10.00")
    assert payment["Line"] == []


def test_refusals_leave_everything_as_it_was(run: Running) -> None:
    invoice = run.open_invoice()
    body = run.payment_body(invoice)
    stranger = next(
        doc["Id"]
        for doc in run.query("select * from Customer")["Customer"]
        if doc["CurrencyRef"]["value"] == "USD" and doc["Id"] != invoice["CustomerRef"]["value"]
    )
    over = invoice["Balance"] + Decimal("0.01")
    line = body["Line"][0]
    cases: list[tuple[dict[str, Any], str]] = [
        ({"CustomerRef": {"value": stranger}}, "6000"),
        ({"TotalAmt": over, "Line": [{**line, "Amount": over}]}, "6000"),
        ({"TotalAmt": invoice["Balance"] - 1}, "6000"),
        ({"TotalAmt": Decimal("-1")}, "2090"),
        ({"TotalAmt": None}, "2020"),
        ({"TotalAmt": Decimal("1.001")}, "2090"),
        ({"Line": [{**line, "Amount": Decimal("0")}]}, "6000"),
        ({"Line": [{**line, "LinkedTxn": [{"TxnId": "999999", "TxnType": "Invoice"}]}]}, "6000"),
        ({"Line": [{**line, "LinkedTxn": [{"TxnId": "1", "TxnType": "Bill"}]}]}, "6000"),
        ({"Line": [{"Amount": 1}]}, "6000"),
        ({"Line": [{**line, "LinkedTxn": {"TxnId": "1"}}]}, "2010"),
        ({"CurrencyRef": {"value": "EUR"}}, "6000"),
        ({"DepositToAccountRef": {"value": "1"}}, "6000"),
        ({"DepositToAccountRef": {"value": "777"}}, "2500"),
        ({"DepositToAccountRef": {"value": "37"}}, "6000"),
        ({"PaymentRefNum": "x" * 22}, "2050"),
        ({"PaymentRefNumber": "x"}, "2010"),
        ({"CustomerRef": None}, "2020"),
    ]
    payments_before = run.parts.books[REALM].count("Payment")
    for change, code in cases:
        answer = run.post("payment", {**body, **change})
        assert (answer.status_code, code_of(answer)) == (400, code), (change, answer.text)
    assert run.parts.books[REALM].count("Payment") == payments_before
    assert run.read("Invoice", invoice["Id"]) == invoice
    assert run.parts.journal.entries("commit") == []


def test_a_foreign_payment_needs_its_currency(run: Running) -> None:
    invoice = run.open_invoice("JPY")
    body = run.payment_body(invoice)
    without = {name: value for name, value in body.items() if name != "CurrencyRef"}
    assert code_of(run.post("payment", without)) == "6000"
    payment = _pay(run, {**body, "DepositToAccountRef": {"value": "35"}})
    assert run.read("Invoice", invoice["Id"])["Balance"] == 0
    assert payment["ExchangeRate"] > 0
    assert isinstance(payment["TotalAmt"], int)


@pytest.mark.parametrize("undo", ["void", "include", "delete"])
def test_voiding_or_deleting_reopens_the_invoice(run: Running, undo: str) -> None:
    before = run.open_invoice()
    customer = before["CustomerRef"]["value"]
    owed = run.read("Customer", customer)["Balance"]
    payment = _pay(run, run.payment_body(before, Decimal("5.00")))
    body = {"Id": payment["Id"], "SyncToken": payment["SyncToken"]}
    arguments = {
        "void": {"operation": "void"},
        "include": {"operation": "update", "include": "void"},
        "delete": {"operation": "delete"},
    }[undo]
    answer = run.post("payment", {**body, "sparse": True}, **arguments)
    assert answer.status_code == 200, answer.text
    after = run.read("Invoice", before["Id"])
    assert (after["Balance"], after["LinkedTxn"]) == (before["Balance"], [])
    assert run.read("Customer", customer)["Balance"] == owed
    if undo == "delete":
        assert answer.json()["Payment"]["status"] == "Deleted"
    else:
        voided = run.read("Payment", payment["Id"])
        assert (voided["TotalAmt"], voided["UnappliedAmt"], voided["Line"]) == (0, 0, [])
        assert voided["PrivateNote"] == "Voided"


def test_a_deposited_payment_cannot_be_undone(run: Running) -> None:
    payment = _pay(run, run.payment_body(run.open_invoice()))
    with run.parts.books[REALM].change("deposit") as change:
        payments.deposit(change, payment["Id"])
    body = {"Id": payment["Id"], "SyncToken": payment["SyncToken"]}
    for operation in ("void", "delete"):
        assert code_of(run.post("payment", body, operation=operation)) == "6000"
    assert run.read("Payment", payment["Id"])["LinkedTxn"][0]["TxnType"] == "Deposit"


def test_an_edit_replaces_all_lines(run: Running) -> None:
    first = run.open_invoice()
    payment = _pay(run, run.payment_body(first))
    less = Decimal("1.00")
    lines = [{"Amount": less, "LinkedTxn": [{"TxnId": first["Id"], "TxnType": "Invoice"}]}]
    body = {"Id": payment["Id"], "SyncToken": "0", "sparse": True, "Line": lines}
    edited = from_json(run.post("payment", body).content)["Payment"]
    assert edited["UnappliedAmt"] == first["Balance"] - less
    assert run.read("Invoice", first["Id"])["Balance"] == first["Balance"] - less
    emptied = from_json(run.post("payment", {**body, "SyncToken": "1", "Line": []}).content)["Payment"]
    assert emptied["UnappliedAmt"] == first["Balance"]
    assert run.read("Invoice", first["Id"])["Balance"] == first["Balance"]
    note = {"Id": payment["Id"], "SyncToken": "2", "sparse": True, "PrivateNote": "noted"}
    assert from_json(run.post("payment", note).content)["Payment"]["UnappliedAmt"] == first["Balance"]
    assert code_of(run.post("payment", note)) == "5010"


def test_a_credit_memo_is_applied_by_a_payment_of_nothing(run: Running) -> None:
    credit = next(
        doc for doc in run.query("select * from CreditMemo")["CreditMemo"] if doc["CurrencyRef"]["value"] == "USD"
    )
    customer = credit["CustomerRef"]["value"]
    invoice = next(
        doc for doc in run.query(f"select * from Invoice where CustomerRef = '{customer}' and Balance > '0'")["Invoice"]
    )
    amount = min(credit["RemainingCredit"], invoice["Balance"])
    lines = [
        {"Amount": amount, "LinkedTxn": [{"TxnId": invoice["Id"], "TxnType": "Invoice"}]},
        {"Amount": amount, "LinkedTxn": [{"TxnId": credit["Id"], "TxnType": "CreditMemo"}]},
    ]
    _pay(run, {"CustomerRef": {"value": customer}, "TotalAmt": 0, "Line": lines})
    assert run.read("CreditMemo", credit["Id"])["RemainingCredit"] == credit["RemainingCredit"] - amount
    assert run.read("Invoice", invoice["Id"])["Balance"] == invoice["Balance"] - amount


def test_voiding_a_paid_invoice_leaves_the_money_as_credit(run: Running) -> None:
    invoice = run.open_invoice()
    payment = _pay(run, run.payment_body(invoice))
    run.post("invoice", {"Id": invoice["Id"], "SyncToken": "0"}, operation="void")
    left = run.read("Payment", payment["Id"])
    assert (left["UnappliedAmt"], left["Line"]) == (invoice["Balance"], [])


def test_a_branch_is_a_customer_of_its_own_and_its_debt_shows_above(run: Running) -> None:
    branch = run.query("select * from Customer where DisplayName = 'Warehouse Kelso'")["Customer"][0]
    parent = branch["ParentRef"]["value"]
    above = run.read("Customer", parent)["BalanceWithJobs"]
    invoice = run.query(f"select * from Invoice where CustomerRef = '{branch['Id']}' and Balance > '0'")["Invoice"][0]
    body = run.payment_body(invoice)
    assert code_of(run.post("payment", {**body, "CustomerRef": {"value": parent}})) == "6000"
    _pay(run, body)
    assert run.read("Customer", parent)["BalanceWithJobs"] == above - invoice["Balance"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 400), min_size=1, max_size=5))
def test_whatever_is_paid_and_undone_the_books_stay_in_step(seeded: Running, cents: list[int]) -> None:
    invoice = seeded.open_invoice()
    customer = invoice["CustomerRef"]["value"]
    owed = seeded.read("Customer", customer)["Balance"]
    made = [_pay(seeded, seeded.payment_body(invoice, Decimal(amount).scaleb(-2))) for amount in cents]
    paid = Decimal(sum(cents)).scaleb(-2)
    assert seeded.read("Invoice", invoice["Id"])["Balance"] == invoice["Balance"] - paid
    assert seeded.read("Customer", customer)["Balance"] == owed - paid
    for payment in made:
        body = {"Id": payment["Id"], "SyncToken": payment["SyncToken"]}
        assert seeded.post("payment", body, operation="delete").status_code == 200
    assert seeded.read("Invoice", invoice["Id"])["Balance"] == invoice["Balance"]
    assert seeded.read("Customer", customer)["Balance"] == owed
