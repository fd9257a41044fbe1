"""Invoices and their kin: created, edited, voided, deleted, with Intuit's refusals."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from integrations.simulator.store import from_json
from tests.integrations.systems.quickbooks.simulator.driving import REALM, Running, code_of, running


def _new_invoice(customer: str = "1", amount: str = "100.00", **more: Any) -> dict[str, Any]:
    line = {
        "Amount": Decimal(amount),
        "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": {"ItemRef": {"value": "1"}},
    }
    return {"CustomerRef": {"value": customer}, "Line": [line], **more}


def _balance(run: Running, customer: str) -> Decimal:
    return Decimal(run.read("Customer", customer)["Balance"])


def test_a_link_is_put_into_the_memo_and_nothing_else_changes(run: Running) -> None:
    before = run.open_invoice()
    memo = "Thank you!\n\nPay online: https://pay.example.com/i/3fJk9aQ2"
    body = {"Id": before["Id"], "SyncToken": "0", "sparse": True, "CustomerMemo": {"value": memo}}
    answer = run.post("invoice", body)
    assert answer.status_code == 200, answer.text
    after = from_json(answer.content)["Invoice"]
    assert after["CustomerMemo"] == {"value": memo}
    assert after["SyncToken"] == "1"
    assert after["MetaData"]["LastUpdatedTime"] > before["MetaData"]["LastUpdatedTime"]
    for changed in ("CustomerMemo", "SyncToken", "MetaData"):
        before.pop(changed, None)
        after.pop(changed, None)
    assert after == before
    assert run.read("Invoice", before["Id"])["CustomerMemo"] == {"value": memo}


def test_a_stale_sync_token_is_refused_and_nothing_happens(run: Running) -> None:
    invoice = run.open_invoice()
    first = {"Id": invoice["Id"], "SyncToken": "0", "sparse": True, "CustomerMemo": {"value": "first"}}
    assert run.post("invoice", first).status_code == 200
    second = run.post("invoice", {**first, "CustomerMemo": {"value": "second"}})
    assert second.status_code == 400
    assert code_of(second) == "5010"
    assert run.read("Invoice", invoice["Id"])["CustomerMemo"] == {"value": "first"}


def test_a_memo_over_1000_characters_is_refused_in_the_recorded_words(run: Running) -> None:
    invoice = run.open_invoice()
    body = {"Id": invoice["Id"], "SyncToken": "0", "sparse": True, "CustomerMemo": {"value": "x" * 1016}}
    answer = run.post("invoice", body)
    assert code_of(answer) == "2050"
    assert "String length supplied 1,016, Max 1,000" in answer.text
    assert run.post("invoice", {**body, "CustomerMemo": {"value": "x" * 1000}}).status_code == 200
    emoji = {**body, "SyncToken": "1", "CustomerMemo": {"value": "😀" * 501}}
    assert "supplied 1,002" in run.post("invoice", emoji).text


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"CustomerMemoo": {"value": "x"}}, "2010"),
        ({"CustomerMemo": "x"}, "2010"),
        ({"CustomerMemo": {"text": "x"}}, "2010"),
        ({"LinkedTxn": [], "Line": [{"Amount": 1, "Detail": {}}]}, "2010"),
        ({"Line": [{"DetailType": "SalesItemLineDetail"}]}, "2020"),
        ({"Line": [{"Amount": 1}]}, "2020"),
        ({"Line": []}, "2020"),
        ({"Line": [{"Amount": "1e3", "DetailType": "SalesItemLineDetail"}]}, "2090"),
        ({"Line": [{"Amount": Decimal("12.345"), "DetailType": "SalesItemLineDetail"}]}, "2090"),
        ({"CustomerRef": {"value": "999"}}, "2500"),
        ({"CustomerRef": {"value": "40"}}, "610"),
        ({"CustomerRef": None}, "2020"),
        ({"DocNumber": "1001"}, "6140"),
        ({"DocNumber": "x" * 22}, "2050"),
        ({"PrivateNote": "x" * 4001}, "2050"),
        ({"CurrencyRef": {"value": "EUR"}}, "6000"),
        ({"TxnDate": "22/11/2026"}, "2010"),
    ],
)
def test_wrong_invoices_are_refused(seeded: Running, change: dict[str, Any], code: str) -> None:
    answer = seeded.post("invoice", {**_new_invoice(), **change})
    assert answer.status_code == 400, answer.text
    assert code_of(answer) == code
    assert answer.headers["intuit_tid"]
    assert seeded.parts.books[REALM].count("Invoice") == 300


def test_quantity_times_price_must_be_the_amount(seeded: Running) -> None:
    body = _new_invoice()
    body["Line"][0]["SalesItemLineDetail"] = {"Qty": 3, "UnitPrice": Decimal("33.00")}
    assert code_of(seeded.post("invoice", body)) == "6070"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff"])
def test_a_body_that_is_no_object_is_refused(seeded: Running, body: bytes) -> None:
    answer = seeded.http.post(f"{seeded.api}/invoice", data=body, timeout=5)
    assert (answer.status_code, code_of(answer)) == (400, "2010")


def test_a_new_invoice_gets_number_dates_tax_and_the_customer_owes_more(run: Running) -> None:
    owed = _balance(run, "1")
    body = _new_invoice()
    body["Line"][0]["SalesItemLineDetail"]["TaxCodeRef"] = {"value": "TAX"}
    body["Line"].append({"DetailType": "DescriptionOnly", "Description": "Note"})
    answer = run.post("invoice", body)
    assert answer.status_code == 200, answer.text
    invoice = from_json(answer.content)["Invoice"]
    assert b'"TotalAmt":108.25' in answer.content
    assert invoice["TxnTaxDetail"]["TotalTax"] == Decimal("8.25")
    assert invoice["Balance"] == invoice["TotalAmt"] == Decimal("108.25")
    assert invoice["DocNumber"] == "1301"
    due = date.fromisoformat(invoice["TxnDate"]) + timedelta(days=30)
    assert invoice["DueDate"] == due.isoformat()
    assert invoice["CustomerRef"]["name"] == "Cascade Dental Group"
    assert invoice["BillEmail"] == {"Address": "ap@cascadedental.example"}
    assert invoice["SyncToken"] == "0"
    assert _balance(run, "1") - owed == Decimal("108.25")


def test_yen_have_no_decimals_on_the_wire_and_foreign_forms_say_their_worth_at_home(run: Running) -> None:
    answer = run.post("invoice", _new_invoice("3", "5000"))
    assert b'"TotalAmt":5000,' in answer.content
    invoice = from_json(answer.content)["Invoice"]
    assert invoice["CurrencyRef"]["value"] == "JPY"
    assert invoice["HomeTotalAmt"] == Decimal("33.33")
    assert code_of(run.post("invoice", _new_invoice("3", "5000.5"))) == "2090"
    wire = run.get(f"invoice/{invoice['Id']}").content
    assert b"e+" not in wire.lower()
    assert b"e-0" not in wire.lower()


def test_a_full_update_clears_what_it_leaves_out(run: Running) -> None:
    invoice = run.open_invoice()
    body = {
        "Id": invoice["Id"],
        "SyncToken": "0",
        "CustomerRef": invoice["CustomerRef"],
        "Line": [line for line in invoice["Line"] if line["DetailType"] != "SubTotalLineDetail"],
    }
    assert code_of(run.post("invoice", {"Id": invoice["Id"], "SyncToken": "0"})) == "2020"
    done = from_json(run.post("invoice", body).content)["Invoice"]
    assert "CustomerMemo" not in done
    assert "DueDate" not in done
    assert done["DocNumber"] == invoice["DocNumber"]
    assert done["TotalAmt"] == invoice["TotalAmt"]


def test_an_edit_of_the_lines_moves_total_balance_and_what_is_owed(run: Running) -> None:
    invoice = run.open_invoice()
    customer = invoice["CustomerRef"]["value"]
    owed = _balance(run, customer)
    lines = _new_invoice(amount="10.00")["Line"]
    body = {"Id": invoice["Id"], "SyncToken": "0", "sparse": True, "Line": lines}
    done = from_json(run.post("invoice", body).content)["Invoice"]
    assert done["TotalAmt"] == done["Balance"] == Decimal("10.00")
    assert _balance(run, customer) == owed - invoice["Balance"] + 10
    other = {"Id": invoice["Id"], "SyncToken": "1", "sparse": True, "CustomerRef": {"value": "4"}}
    assert code_of(run.post("invoice", other)) in ("6000",)


def test_void_keeps_the_row_worth_nothing(run: Running) -> None:
    invoice = run.open_invoice()
    customer = invoice["CustomerRef"]["value"]
    owed = _balance(run, customer)
    answer = run.post("invoice", {"Id": invoice["Id"], "SyncToken": "0"}, operation="void")
    voided = from_json(answer.content)["Invoice"]
    assert voided["TotalAmt"] == voided["Balance"] == 0
    assert voided["PrivateNote"].startswith("Voided")
    assert all(line.get("Amount", 0) == 0 for line in voided["Line"])
    assert voided["SyncToken"] == "1"
    assert _balance(run, customer) == owed - invoice["Balance"]


def test_delete_answers_with_a_stub_and_the_id_is_gone(run: Running) -> None:
    invoice = run.open_invoice()
    answer = run.post("invoice", {"Id": invoice["Id"], "SyncToken": "0"}, operation="delete")
    assert answer.json()["Invoice"] == {"domain": "QBO", "status": "Deleted", "Id": invoice["Id"]}
    assert code_of(run.get(f"invoice/{invoice['Id']}")) == "610"
    assert run.query("select count(*) from Invoice")["totalCount"] == 299


def test_a_closed_period_refuses_every_write(run: Running) -> None:
    invoice = run.open_invoice()
    closing = date.fromisoformat(invoice["TxnDate"])
    run.parts.books[REALM].close_until(closing)
    memo = {"Id": invoice["Id"], "SyncToken": "0", "sparse": True, "CustomerMemo": {"value": "x"}}
    assert code_of(run.post("invoice", memo)) == "6210"
    assert code_of(run.post("invoice", _new_invoice(TxnDate=closing.isoformat()))) == "6210"
    payment = run.payment_body(invoice, TxnDate=(closing - timedelta(days=1)).isoformat())
    assert code_of(run.post("payment", payment)) == "6210"
    assert run.post("payment", run.payment_body(invoice)).status_code == 200
    run.parts.books[REALM].close_until(None)
    assert run.post("invoice", memo).status_code == 200


def test_the_closing_date_may_be_set_from_the_start() -> None:
    with running(closing_date=date.today()) as run:
        assert code_of(run.post("invoice", _new_invoice())) == "6210"
        shown = run.get("preferences").json()["Preferences"]["AccountingInfoPrefs"]["BookCloseDate"]
        assert shown == date.today().isoformat()


def test_send_needs_an_address(run: Running) -> None:
    without = run.query("select * from Customer where DisplayName = 'Bluebird Preschool'")["Customer"][0]
    invoice = from_json(run.post("invoice", _new_invoice(without["Id"])).content)["Invoice"]
    assert code_of(run.post(f"invoice/{invoice['Id']}/send", {})) == "6000"
    sent = from_json(run.post(f"invoice/{invoice['Id']}/send", {}, sendTo="head@bluebird.example").content)["Invoice"]
    assert sent["EmailStatus"] == "EmailSent"
    assert sent["DeliveryInfo"]["DeliveryTime"]


def test_the_pdf_carries_the_memo_with_the_link(run: Running) -> None:
    invoice = run.open_invoice("EUR")
    link = "https://pay.example.com/i/3fJk9aQ2"
    memo = f"Danke (sehr) für Ihren Auftrag\\!\n\nPay online: {link}"
    body = {"Id": invoice["Id"], "SyncToken": "0", "sparse": True, "CustomerMemo": {"value": memo}}
    run.post("invoice", body)
    answer = run.get(f"invoice/{invoice['Id']}/pdf")
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-1.4")
    assert answer.content.rstrip().endswith(b"%%EOF")
    assert f"(Pay online: {link}) Tj".encode() in answer.content
    assert "(Danke \\(sehr\\) für Ihren Auftrag\\\\!) Tj".encode("cp1252") in answer.content
    start = int(answer.content.split(b"startxref\n")[1].split()[0])
    assert answer.content[start : start + 4] == b"xref"
    for entry in answer.content[start:].split(b"\n")[3:]:
        if not entry.endswith(b" n "):
            break
        assert answer.content[int(entry[:10]) :].split(b" ", 2)[1:2] == [b"0"]
    assert code_of(run.get("customer/1/pdf")) == "500"


def test_estimates_are_accepted_by_a_sparse_edit(run: Running) -> None:
    (estimate, *_) = run.query("select * from Estimate where TxnStatus = 'Pending'")["Estimate"]
    body = {
        "Id": estimate["Id"],
        "SyncToken": "0",
        "sparse": True,
        "TxnStatus": "Accepted",
        "AcceptedBy": "Jane Doe",
        "AcceptedDate": "2026-11-22",
    }
    done = run.post("estimate", body).json()["Estimate"]
    assert (done["TxnStatus"], done["AcceptedBy"]) == ("Accepted", "Jane Doe")
    assert code_of(run.post("estimate", {**body, "SyncToken": "1", "TxnStatus": "Maybe"})) == "6000"


def test_credit_memos_lower_what_is_owed(run: Running) -> None:
    owed = _balance(run, "1")
    made = from_json(run.post("creditmemo", _new_invoice(amount="40.00")).content)["CreditMemo"]
    assert made["RemainingCredit"] == made["Balance"] == Decimal("40.00")
    assert _balance(run, "1") == owed - 40
    assert run.post("creditmemo", {"Id": made["Id"], "SyncToken": "0"}, operation="delete").status_code == 200
    assert _balance(run, "1") == owed


def test_refund_receipts_need_the_account_the_money_leaves(run: Running) -> None:
    assert code_of(run.post("refundreceipt", _new_invoice())) == "2020"
    body = _new_invoice(DepositToAccountRef={"value": "35"}, PaymentRefNum="re_1")
    assert run.post("refundreceipt", body).status_code == 200
    assert run.query("select * from RefundReceipt where PaymentRefNum = 're_1'")["RefundReceipt"]


def test_intuits_own_pay_link_comes_only_when_asked_for_and_in_use(seeded: Running) -> None:
    assert "InvoiceLink" not in seeded.get("invoice/1", include="invoiceLink").json()["Invoice"]
    with running(own_payments=True) as run:
        invoice = next(doc for doc in run.query("select * from Invoice")["Invoice"] if "BillEmail" in doc)
        assert "InvoiceLink" not in run.read("Invoice", invoice["Id"])
        asked = run.get(f"invoice/{invoice['Id']}", include="invoiceLink").json()["Invoice"]
        assert asked["InvoiceLink"].startswith("http")
