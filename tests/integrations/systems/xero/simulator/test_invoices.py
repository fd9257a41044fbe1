"""Reading and changing invoices the way a connector does."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import requests

from tests.integrations.systems.xero.simulator.driving import App

_ALL = "DRAFT,SUBMITTED,AUTHORISED,PAID,VOIDED,DELETED"


def _milliseconds(stamp: str) -> int:
    found = re.fullmatch(r"/Date\((\d+)\+0000\)/", stamp)
    assert found, stamp
    return int(found[1])


def _since(stamp: str, seconds: int = 0) -> str:
    moment = datetime.fromtimestamp(_milliseconds(stamp) // 1000 + seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def test_pages_hold_every_invoice_once(app: App) -> None:
    first = app.read("Invoices", page=1, Statuses=_ALL)
    assert first["pagination"] == {"page": 1, "pageSize": 100, "pageCount": 3, "itemCount": 300}
    pages = [first["Invoices"], *(app.read("Invoices", page=page, Statuses=_ALL)["Invoices"] for page in (2, 3))]
    ids = [item["InvoiceID"] for page in pages for item in page]
    assert len(ids) == len(set(ids)) == 300
    stamps = [_milliseconds(item["UpdatedDateUTC"]) for page in pages for item in page]
    assert stamps == sorted(stamps)
    assert app.read("Invoices", page=4, Statuses=_ALL)["Invoices"] == []


def test_one_large_page(app: App) -> None:
    found = app.read("Invoices", page=1, pageSize=1000)
    assert len(found["Invoices"]) == 300
    assert found["pagination"]["pageCount"] == 1
    assert all(item["LineItems"] for item in found["Invoices"])


@pytest.mark.parametrize("params", [{"page": 0}, {"page": "one"}, {"page": 1, "pageSize": 1001}, {"page": "9" * 5000}])
def test_pages_that_do_not_exist(app: App, params: dict[str, Any]) -> None:
    answer = app.call("GET", "Invoices", **params)
    assert answer.status_code == 400
    assert answer.json()["Type"] == "QueryParseException"


def test_a_list_without_a_page_omits_lines(app: App) -> None:
    found = app.read("Invoices", Statuses="AUTHORISED")
    assert "pagination" not in found
    assert found["Invoices"]
    assert all(item["LineItems"] == [] for item in found["Invoices"])


def test_the_light_form(app: App) -> None:
    found = app.read("Invoices", summaryOnly="true")
    assert found["pagination"]["pageSize"] == 100
    assert not {"LineItems", "Payments", "HasAttachments", "CreditNotes"} & set(found["Invoices"][0])


def test_amounts_are_exact_and_agree(app: App) -> None:
    found = app.read("Invoices", page=1, pageSize=1000)["Invoices"]
    assert {item["CurrencyCode"] for item in found} == {"USD", "EUR", "GBP", "JPY"}
    for item in found:
        total = item["SubTotal"] + item["TotalTax"]
        assert item["Total"] == total
        assert sum(line["LineAmount"] for line in item["LineItems"]) == item["SubTotal"]
        assert sum(line["TaxAmount"] for line in item["LineItems"]) == item["TotalTax"]
        if item["Status"] in ("AUTHORISED", "PAID"):
            assert item["AmountDue"] == total - item["AmountPaid"] - item["AmountCredited"]
        assert item["AmountPaid"] == sum(payment["Amount"] for payment in item["Payments"])


def test_yen_come_with_two_decimals_as_a_number(app: App) -> None:
    answer = app.call("GET", "Invoices", where='CurrencyCode=="JPY"', page=1)
    totals = re.findall(r'"Total":([0-9.]+)', answer.text)
    assert totals
    assert all(re.fullmatch(r"[0-9]+\.00", total) for total in totals)


def test_unit_prices_with_four_decimals_on_request(app: App) -> None:
    invoice = app.open_invoice()["InvoiceID"]
    assert re.search(r'"UnitAmount":[0-9]+\.[0-9]{2},', app.call("GET", f"Invoices/{invoice}").text)
    assert re.search(r'"UnitAmount":[0-9]+\.[0-9]{4},', app.call("GET", f"Invoices/{invoice}", unitdp=4).text)


def test_dates_in_both_forms(app: App) -> None:
    invoice = app.open_invoice()
    text = invoice["DueDateString"]
    assert datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000 == _milliseconds(invoice["DueDate"])


def test_modified_since_is_iso_and_inclusive(app: App) -> None:
    found = app.read("Invoices", page=1, pageSize=1000)["Invoices"]
    border = found[200]["UpdatedDateUTC"]
    later = app.read("Invoices", page=1, pageSize=1000, headers={"If-Modified-Since": _since(border)})["Invoices"]
    expected = [item["InvoiceID"] for item in found if _milliseconds(item["UpdatedDateUTC"]) >= _floor(border)]
    assert [item["InvoiceID"] for item in later] == expected
    now = app.xero.clock.now().strftime("%Y-%m-%dT%H:%M:%S")
    assert app.read("Invoices", headers={"If-Modified-Since": now})["Invoices"] == []


def _floor(stamp: str) -> int:
    return _milliseconds(stamp) // 1000 * 1000


@pytest.mark.parametrize("since", ["Sun, 22 Nov 2026 00:00:00 GMT", "yesterday", "2026-13-01T00:00:00", "1700000000"])
def test_modified_since_in_another_form_is_refused(app: App, since: str) -> None:
    assert app.call("GET", "Invoices", headers={"If-Modified-Since": since}).status_code == 400


def test_changes_show_up_in_the_delta_deleted_and_void_ones_too(app: App) -> None:
    app.xero.clock.advance(60)
    since = app.xero.clock.now().strftime("%Y-%m-%dT%H:%M:%S")
    drafts = app.read("Invoices", Statuses="DRAFT")["Invoices"]
    invoice = app.open_invoice()
    app.write("POST", f"Invoices/{drafts[0]['InvoiceID']}", {"Invoices": [{"Status": "DELETED"}]})
    app.write("POST", f"Invoices/{invoice['InvoiceID']}", {"Invoices": [{"Status": "VOIDED"}]})
    changed = app.read("Invoices", page=1, headers={"If-Modified-Since": since})["Invoices"]
    assert {(item["InvoiceID"], item["Status"]) for item in changed} == {
        (drafts[0]["InvoiceID"], "DELETED"),
        (invoice["InvoiceID"], "VOIDED"),
    }
    assert all(item["AmountDue"] == 0 for item in changed)
    listed = {item["InvoiceID"] for item in app.read("Invoices", page=1, pageSize=1000)["Invoices"]}
    assert drafts[0]["InvoiceID"] not in listed
    assert invoice["InvoiceID"] in listed


def test_due_date_edits_of_part_paid_invoices_do_not_move_the_stamp(app: App) -> None:
    invoice = app.open_invoice()
    path = f"Invoices/{invoice['InvoiceID']}"
    app.xero.clock.advance(5)
    moved = app.write("POST", path, {"Invoices": [{"DueDate": "2099-01-31"}]})["Invoices"][0]
    assert moved["UpdatedDateUTC"] != invoice["UpdatedDateUTC"]
    app.write("PUT", "Payments", {"Payments": [app.payment(invoice, "1.00")]})
    before = app.read(path)["Invoices"][0]["UpdatedDateUTC"]
    app.xero.clock.advance(5)
    after = app.write("POST", path, {"Invoices": [{"DueDate": "2099-02-28"}]})["Invoices"][0]
    assert after["DueDateString"] == "2099-02-28T00:00:00"
    assert after["UpdatedDateUTC"] == before
    app.xero.clock.advance(5)
    renamed = app.write("POST", path, {"Invoices": [{"Reference": "new"}]})["Invoices"][0]
    assert renamed["UpdatedDateUTC"] != before


def test_filters(app: App) -> None:
    everything = app.read("Invoices", page=1, pageSize=1000)["Invoices"]
    wanted = [everything[3], everything[7]]
    by_ids = app.read("Invoices", IDs=",".join(item["InvoiceID"] for item in wanted))["Invoices"]
    assert {item["InvoiceID"] for item in by_ids} == {item["InvoiceID"] for item in wanted}
    by_number = app.read("Invoices", InvoiceNumbers=wanted[0]["InvoiceNumber"])["Invoices"]
    assert [item["InvoiceID"] for item in by_number] == [wanted[0]["InvoiceID"]]
    contact = wanted[0]["Contact"]["ContactID"]
    by_contact = app.read("Invoices", ContactIDs=contact)["Invoices"]
    assert {item["Contact"]["ContactID"] for item in by_contact} == {contact}
    large = app.read("Invoices", where='Status=="AUTHORISED" AND AmountDue>=1000', order="AmountDue DESC")["Invoices"]
    assert large
    assert [item["AmountDue"] for item in large] == sorted((item["AmountDue"] for item in large), reverse=True)
    assert min(item["AmountDue"] for item in large) >= 1000


def test_by_number_or_id_and_never_from_another_organisation(app: App) -> None:
    invoice = app.open_invoice()
    assert app.read(f"Invoices/{invoice['InvoiceNumber']}")["Invoices"][0]["InvoiceID"] == invoice["InvoiceID"]
    other = app.xero.connect(app.xero.tenants()[1:2])
    assert other.call("GET", f"Invoices/{invoice['InvoiceID']}").status_code == 404


def test_a_single_invoice_brings_the_whole_contact(app: App) -> None:
    invoice = app.open_invoice()
    contact = app.read(f"Invoices/{invoice['InvoiceID']}")["Invoices"][0]["Contact"]
    assert {"EmailAddress", "ContactStatus", "UpdatedDateUTC"} <= set(contact)
    assert contact["Addresses"][1]["City"]
    assert "EmailAddress" not in invoice["Contact"]


def test_the_pdf_can_be_read(app: App) -> None:
    invoice = app.open_invoice()
    answer = app.call("GET", f"Invoices/{invoice['InvoiceID']}", headers={"Accept": "application/pdf"})
    assert answer.headers["Content-Type"] == "application/pdf"
    assert f"{invoice['InvoiceNumber']}.pdf" in answer.headers["Content-Disposition"]
    assert answer.content.startswith(b"%PDF-1.5")
    assert invoice["InvoiceNumber"].encode() in answer.content
    assert f"/sent/{invoice['InvoiceID']}".encode() in answer.content
    assert app.call("GET", f"Invoices/{invoice['InvoiceID']}/pdf").content == answer.content


def test_online_invoices_exist_for_approved_ones(app: App) -> None:
    invoice = app.open_invoice()
    url = app.read(f"Invoices/{invoice['InvoiceID']}/OnlineInvoice")["OnlineInvoices"][0]["OnlineInvoiceUrl"]
    assert invoice["InvoiceNumber"] in requests.get(url, timeout=10).text
    draft = app.read("Invoices", Statuses="DRAFT")["Invoices"][0]
    assert app.call("GET", f"Invoices/{draft['InvoiceID']}/OnlineInvoice").status_code == 400


def test_history_notes_stay(app: App) -> None:
    path = f"Invoices/{app.open_invoice()['InvoiceID']}/History"
    app.write("PUT", path, {"HistoryRecords": [{"Details": "Paid through the portal"}]})
    app.write("PUT", path, {"HistoryRecords": [{"Details": "x" * 2500}]})
    assert app.call("PUT", path, {"HistoryRecords": [{"Details": "x" * 2501}]}).status_code == 400
    assert [item["Details"][:4] for item in app.read(path)["HistoryRecords"]] == ["xxxx", "Paid"]


def test_emailing_marks_as_sent(app: App) -> None:
    invoice = next(
        item
        for item in app.read("Invoices", Statuses="AUTHORISED", page=1, pageSize=1000)["Invoices"]
        if not item["SentToContact"] and _has_email(app, item)
    )
    assert app.call("POST", f"Invoices/{invoice['InvoiceID']}/Email", {}).status_code == 204
    assert app.read(f"Invoices/{invoice['InvoiceID']}")["Invoices"][0]["SentToContact"] is True


def _has_email(app: App, invoice: dict[str, Any]) -> bool:
    contact = app.read(f"Contacts/{invoice['Contact']['ContactID']}")["Contacts"][0]
    return bool(contact["EmailAddress"])


def test_the_staffs_link(app: App) -> None:
    path = f"Invoices/{app.open_invoice()['InvoiceID']}"
    url = "https://app.example.com/invoices/1"
    assert app.write("POST", path, {"Invoices": [{"Url": url}]})["Invoices"][0]["Url"] == url
    for bad in ("https://pay.example.com/xero/1", "javascript:alert(1)"):
        assert "Url" in app.messages(app.call("POST", path, {"Invoices": [{"Url": bad}]}))[0]


def test_voiding(app: App) -> None:
    invoice = app.open_invoice()
    path = f"Invoices/{invoice['InvoiceID']}"
    app.write("PUT", "Payments", {"Payments": [app.payment(invoice, "1.00")]})
    refused = app.call("POST", path, {"Invoices": [{"Status": "VOIDED"}]})
    assert "payment" in app.messages(refused)[0]
    second = app.open_invoice(number=1)
    voided = app.write("POST", f"Invoices/{second['InvoiceID']}", {"Invoices": [{"Status": "VOIDED"}]})["Invoices"][0]
    assert (voided["Status"], voided["AmountDue"]) == ("VOIDED", 0)
    again = app.call("POST", f"Invoices/{second['InvoiceID']}", {"Invoices": [{"Reference": "x"}]})
    assert app.messages(again) == ["Invoice not of valid status for modification"]


def _draft(**change: Any) -> dict[str, Any]:
    return {
        "Type": "ACCREC",
        "Contact": {"Name": "New Customer Ltd"},
        "DueDate": "2099-01-31",
        "Status": "AUTHORISED",
        "LineItems": [
            {"Description": "Work", "Quantity": 3, "UnitAmount": 33.33, "AccountCode": "200", "TaxType": "OUTPUT"}
        ],
        **change,
    }


def test_creating_one(app: App) -> None:
    made = app.write("PUT", "Invoices", {"Invoices": [_draft()]})["Invoices"][0]
    assert (made["SubTotal"], made["TotalTax"], made["Total"]) == (Decimal("99.99"), Decimal("8.25"), Decimal("108.24"))
    assert made["StatusAttributeString"] == "OK"
    assert made["Contact"]["Name"] == "New Customer Ltd"
    same = app.call("PUT", "Invoices", {"Invoices": [_draft(InvoiceNumber=made["InvoiceNumber"])]})
    assert app.messages(same) == ["Invoice # must be unique."]


def test_tax_inside_the_price(app: App) -> None:
    made = app.write("PUT", "Invoices", {"Invoices": [_draft(LineAmountTypes="Inclusive")]})["Invoices"][0]
    assert (made["Total"], made["TotalTax"], made["SubTotal"]) == (Decimal("99.99"), Decimal("7.62"), Decimal("92.37"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Contact": None}, "A Contact must be specified"),
        ({"LineItems": []}, "One or more line items"),
        ({"Type": "SALE"}, "Invoice type"),
        ({"Status": "PAID"}, "not of valid status"),
        ({"DueDate": "31/01/2099"}, "DueDate is not a valid date"),
        ({"DueDate": None}, "Due date must be specified"),
        ({"CurrencyCode": "CHF"}, "not subscribed"),
        ({"CurrencyCode": "francs"}, "not valid"),
        ({"LineItems": [{"Description": "", "UnitAmount": 1}]}, "Description"),
        ({"LineItems": [{"Description": "x", "UnitAmount": "much"}]}, "UnitAmount must be a number"),
        ({"LineItems": [{"Description": "x", "UnitAmount": 1, "TaxType": "GONE"}]}, "TaxType"),
        ({"LineItems": [{"Description": "x", "Quantity": 2, "UnitAmount": 20, "LineAmount": 50}]}, "line total"),
    ],
)
def test_what_cannot_be_created(app: App, change: dict[str, Any], message: str) -> None:
    count = app.xero.books.store.count(f"invoice:{app.tenant}")
    refused = app.call("PUT", "Invoices", {"Invoices": [_draft(**change)]})
    assert message in app.messages(refused)[0]
    assert app.xero.books.store.count(f"invoice:{app.tenant}") == count


def test_lines_sent_without_their_ids_are_made_anew(app: App) -> None:
    made = app.write("PUT", "Invoices", {"Invoices": [_draft()]})["Invoices"][0]
    line, path = made["LineItems"][0], f"Invoices/{made['InvoiceID']}"
    kept = {"Invoices": [{"LineItems": [{"LineItemID": line["LineItemID"], "Description": "Other"}]}]}
    changed = app.write("POST", path, kept)["Invoices"][0]["LineItems"][0]
    assert (changed["LineItemID"], changed["LineAmount"]) == (line["LineItemID"], line["LineAmount"])
    anew = app.write("POST", path, {"Invoices": [{"LineItems": [{"Description": "New", "UnitAmount": 5}]}]})
    assert anew["Invoices"][0]["LineItems"][0]["LineItemID"] != line["LineItemID"]
    assert anew["Invoices"][0]["Total"] == 5


def test_more_than_the_contacts_id_edits_the_contact(app: App) -> None:
    contact = next(item for item in app.read("Contacts", page=1)["Contacts"] if item["ContactPersons"])
    only_id = {"ContactID": contact["ContactID"]}
    app.write("PUT", "Invoices", {"Invoices": [_draft(Contact=only_id)]})
    assert app.read(f"Contacts/{contact['ContactID']}")["Contacts"][0]["ContactPersons"]
    app.write("PUT", "Invoices", {"Invoices": [_draft(Contact={**only_id, "EmailAddress": "new@example.com"})]})
    after = app.read(f"Contacts/{contact['ContactID']}")["Contacts"][0]
    assert (after["EmailAddress"], after["ContactPersons"]) == ("new@example.com", [])


def test_without_asking_for_json_it_is_xml(app: App) -> None:
    answer = app.call("GET", "Organisation", headers={"Accept": "*/*"})
    assert answer.headers["Content-Type"].startswith("text/xml")
    assert "<Organisation><OrganisationID>" in answer.text


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b'{"Invoices": "none"}', b'{"Invoices": []}', b"\xff"])
def test_bodies_that_are_none(app: App, body: bytes) -> None:
    answer = app.call("POST", "Invoices", body)
    assert answer.status_code == 400
    assert answer.json()["Type"] in ("PostDataInvalidException", "ValidationException")


def test_paths_that_do_not_exist(app: App) -> None:
    assert app.call("GET", "Nothing").status_code == 404
    assert app.call("DELETE", "Invoices").status_code == 405
    assert app.call("GET", "Invoices/00000000-0000-0000-0000-000000000000").status_code == 404
