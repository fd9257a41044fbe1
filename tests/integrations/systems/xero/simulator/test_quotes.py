"""Quotes and repeating invoices: their statuses, and what an update needs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integrations.systems.xero.simulator.driving import App

_LINE = {"Description": "Care", "Quantity": 2, "UnitAmount": 50.25}
_SCHEDULE = {
    "Period": 1,
    "Unit": "MONTHLY",
    "DueDate": 14,
    "DueDateType": "DAYSAFTERBILLDATE",
    "StartDate": "2026-12-01",
}


def _sent_quote(app: App) -> dict[str, Any]:
    quote: dict[str, Any] = app.read("Quotes", Status="SENT")["Quotes"][0]
    return quote


def test_accepting_makes_no_invoice(app: App) -> None:
    quote = _sent_quote(app)
    count = app.xero.books.store.count(f"invoice:{app.tenant}")
    body = {"Contact": {"ContactID": quote["Contact"]["ContactID"]}, "Date": "2026-11-22", "Status": "ACCEPTED"}
    path = f"Quotes/{quote['QuoteID']}"
    assert app.write("POST", path, {"Quotes": [body]})["Quotes"][0]["Status"] == "ACCEPTED"
    assert app.xero.books.store.count(f"invoice:{app.tenant}") == count
    back = {**body, "Status": "DRAFT"}
    assert "cannot go from ACCEPTED" in app.messages(app.call("POST", path, {"Quotes": [back]}))[0]


def test_an_update_needs_contact_and_date(app: App) -> None:
    path = f"Quotes/{_sent_quote(app)['QuoteID']}"
    refused = app.call("POST", path, {"Quotes": [{"Status": "ACCEPTED"}]})
    assert app.messages(refused) == ["Contact and Date must be specified"]
    assert _sent_quote(app)["Status"] == "SENT"


def test_a_new_quote_and_its_pdf(app: App) -> None:
    contact = {"ContactID": _sent_quote(app)["Contact"]["ContactID"]}
    body = {"Contact": contact, "Date": "2026-11-22", "ExpiryDate": "2026-12-22", "LineItems": [_LINE]}
    quote = app.write("PUT", "Quotes", {"Quotes": [body]})["Quotes"][0]
    assert (str(quote["Total"]), quote["Status"]) == ("100.50", "DRAFT")
    answer = app.call("GET", f"Quotes/{quote['QuoteID']}", headers={"Accept": "application/pdf"})
    assert quote["QuoteNumber"].encode() in answer.content
    found = app.read("Quotes", ExpiryDateFrom="2026-12-22", DateTo="2026-11-22")["Quotes"]
    assert quote["QuoteID"] in {item["QuoteID"] for item in found}


def test_a_repeating_invoice(app: App) -> None:
    contact = {"ContactID": _sent_quote(app)["Contact"]["ContactID"]}
    body = {"Type": "ACCREC", "Contact": contact, "Schedule": _SCHEDULE, "LineItems": [_LINE], "Status": "DRAFT"}
    made = app.write("PUT", "RepeatingInvoices", {"RepeatingInvoices": [body]})["RepeatingInvoices"][0]
    assert (str(made["Total"]), made["Schedule"]["DueDate"]) == ("100.50", 14)
    change = {"RepeatingInvoiceID": made["RepeatingInvoiceID"], "Status": "AUTHORISED"}
    after = app.write("POST", "RepeatingInvoices", {"RepeatingInvoices": [change]})["RepeatingInvoices"][0]
    assert after["Status"] == "AUTHORISED"
    gone = app.write("POST", "RepeatingInvoices", {"RepeatingInvoices": [{**change, "Status": "DELETED"}]})
    assert gone["RepeatingInvoices"][0]["Status"] == "DELETED"
    assert app.call("POST", "RepeatingInvoices", {"RepeatingInvoices": [change]}).status_code == 400


@pytest.mark.parametrize(
    "change", [{"Unit": "YEARLY"}, {"Period": 0}, {"Period": 1.5}, {"DueDateType": "SOON"}, {"StartDate": "soon"}]
)
def test_a_schedule_that_is_none(app: App, change: dict[str, Any]) -> None:
    contact = {"ContactID": _sent_quote(app)["Contact"]["ContactID"]}
    body = {"Type": "ACCREC", "Contact": contact, "Schedule": {**_SCHEDULE, **change}, "LineItems": [_LINE]}
    assert app.call("PUT", "RepeatingInvoices", {"RepeatingInvoices": [body]}).status_code == 400


def test_invoices_made_from_one_carry_its_id(app: App) -> None:
    templates = {item["RepeatingInvoiceID"] for item in app.read("RepeatingInvoices")["RepeatingInvoices"]}
    made = app.read("Invoices", page=1, pageSize=1000, where="RepeatingInvoiceID!=null")["Invoices"]
    assert len(made) == 5
    assert {item["RepeatingInvoiceID"] for item in made} <= templates
    one = made[0]["RepeatingInvoiceID"]
    found = app.read("Invoices", where=f'RepeatingInvoiceID==guid("{one}")')["Invoices"]
    assert {item["RepeatingInvoiceID"] for item in found} == {one}
