"""The merchant's own step: a custom payment URL, chosen for themes, and the button that then stands on invoices."""

from __future__ import annotations

import re
from decimal import Decimal
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.integrations.systems.xero.simulator.conftest import Start
from tests.integrations.systems.xero.simulator.driving import App, Running

URL = (
    "https://pay.example.com/x/key-1"
    "?invoiceNo=[INVOICENUMBER]&currency=[CURRENCY]&amount=[AMOUNTDUE]&shortCode=[SHORTCODE]"
)


def _add(xero: Running, **change: str) -> requests.Response:
    form = {"name": "Duebridge", "url": URL, "pay_now_text": "Pay this invoice", **change}
    return requests.post(f"{xero.url}/settings/payment-services", data=form, timeout=10)


def _themes(app: App) -> dict[str, str]:
    return {theme["Name"]: theme["BrandingThemeID"] for theme in app.read("BrandingThemes")["BrandingThemes"]}


def _options(page: str) -> dict[str, str]:
    """Service ids by name, as the themes form offers them."""
    return {name: id for id, name in re.findall(r'<option value="([0-9a-f-]{36})"[^>]*>([^<]+)</option>', page)}


def _choose(app: App, *names: str) -> None:
    page = requests.get(f"{app.xero.url}/settings/themes", timeout=10).text
    service = _options(page.split('id="choose-payment-services"')[1])["Duebridge"]
    form = {f"theme_{_themes(app)[name]}": service for name in names}
    assert requests.post(f"{app.xero.url}/settings/themes", data=form, timeout=10).status_code == 200


def _button(app: App, invoice: dict[str, Any]) -> str:
    page = requests.get(f"{app.xero.url}/sent/{invoice['InvoiceID']}", timeout=10)
    assert page.status_code == 200
    found = re.search(r'<a class="button" id="pay-now" href="([^"]+)"[^>]*>Pay this invoice</a>', page.text)
    return unescape(found[1]) if found else ""


def _of_theme(app: App, name: str) -> dict[str, Any]:
    theme = _themes(app)[name]
    invoices = app.read("Invoices", Statuses="AUTHORISED", page=1, pageSize=1000)["Invoices"]
    invoice: dict[str, Any] = next(item for item in invoices if item["BrandingThemeID"] == theme)
    return invoice


def test_the_button_leads_to_the_invoice(app: App) -> None:
    invoice = _of_theme(app, "Standard")
    assert _button(app, invoice) == ""
    added = _add(app.xero)
    assert "Duebridge" in added.text
    assert added.history[0].status_code == 303
    assert _button(app, invoice) == ""
    _choose(app, "Standard")
    link = _button(app, invoice)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    short_code = app.read("Organisation")["Organisations"][0]["ShortCode"]
    assert asked == {
        "invoiceNo": invoice["InvoiceNumber"],
        "currency": invoice["CurrencyCode"],
        "amount": str(invoice["AmountDue"]),
        "shortCode": short_code,
    }
    pdf = app.call("GET", f"Invoices/{invoice['InvoiceID']}/pdf").content
    assert link.encode() in pdf.replace(b"\\(", b"(").replace(b"\\)", b")")


def test_only_themes_that_carry_it(app: App) -> None:
    _add(app.xero)
    _choose(app, "Japan")
    yen = _of_theme(app, "Japan")
    amount = parse_qs(urlsplit(_button(app, yen)).query)["amount"][0]
    assert amount == str(int(yen["AmountDue"]))
    assert _button(app, _of_theme(app, "Standard")) == ""


def test_no_button_once_nothing_is_due(app: App) -> None:
    _add(app.xero)
    _choose(app, "Standard", "Projects", "Japan")
    invoice = _of_theme(app, "Standard")
    app.write("PUT", "Payments", {"Payments": [app.payment(invoice, "1.00")]})
    left = str(invoice["AmountDue"] - 1)
    assert parse_qs(urlsplit(_button(app, invoice)).query)["amount"] == [left]
    app.write("PUT", "Payments", {"Payments": [app.payment(invoice, left)]})
    assert _button(app, invoice) == ""
    page = requests.get(f"{app.xero.url}/sent/{invoice['InvoiceID']}", timeout=10).text
    assert '<p class="stamp">Paid</p>' in page
    for status in ("DRAFT", "VOIDED"):
        assert _button(app, app.read("Invoices", Statuses=status)["Invoices"][0]) == ""


def test_removing_takes_the_button_away(app: App) -> None:
    _add(app.xero)
    _choose(app, "Standard")
    invoice = _of_theme(app, "Standard")
    page = requests.get(f"{app.xero.url}/settings/payment-services", timeout=10).text
    service = re.search(r'name="service" value="([^"]+)"', page)
    assert service
    form = {"service": service[1]}
    assert requests.post(f"{app.xero.url}/settings/payment-services/remove", data=form, timeout=10).ok
    assert _button(app, invoice) == ""


@pytest.mark.parametrize(
    "change",
    [{"name": ""}, {"url": "javascript:alert(1)"}, {"url": ""}, {"name": "x" * 51}, {"url": "https://" + "x" * 2000}],
)
def test_a_wrong_form_says_why_and_keeps_what_was_typed(xero: Running, change: dict[str, str]) -> None:
    answer = _add(xero, **change)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert "Pay this invoice" in answer.text
    assert "There is no payment service yet." in answer.text


def test_a_name_is_taken_once(xero: Running) -> None:
    assert _add(xero).status_code == 200
    assert _add(xero).status_code == 400


def test_themes_that_do_not_exist(app: App) -> None:
    url = f"{app.xero.url}/settings/themes"
    assert requests.post(url, data={"theme_nothing": ""}, timeout=10).status_code == 400
    wrong = {f"theme_{_themes(app)['Standard']}": "nothing"}
    assert requests.post(url, data=wrong, timeout=10).status_code == 400


def test_another_organisation_has_settings_of_its_own(xero: Running) -> None:
    second = xero.tenants()[1]
    _add(xero, tenant=second)
    mine = requests.get(f"{xero.url}/settings/payment-services", timeout=10).text
    theirs = requests.get(f"{xero.url}/settings/payment-services", params={"tenant": second}, timeout=10).text
    assert "There is no payment service yet." in mine
    assert "Pay this invoice" in theirs
    assert requests.get(f"{xero.url}/settings/themes", params={"tenant": "nothing"}, timeout=10).status_code == 404


def test_a_name_cannot_smuggle_markup(xero: Running) -> None:
    _add(xero, name="<b>bold</b>", pay_now_text='"><script>')
    page = requests.get(f"{xero.url}/settings/payment-services", timeout=10).text
    assert "<b>bold</b>" not in page
    assert "<script>" not in page


def test_the_partners_route(start: Start) -> None:
    app = start(partner=True).connect(
        scope="offline_access accounting.invoices accounting.settings.read paymentservices"
    )
    service = {"PaymentServiceName": "Duebridge", "PaymentServiceUrl": URL, "PayNowText": "Pay this invoice"}
    made = app.write("PUT", "PaymentServices", {"PaymentServices": [service]})["PaymentServices"][0]
    assert made["PaymentServiceType"] == "Custom"
    theme = f"BrandingThemes/{_themes(app)['Standard']}/PaymentServices"
    app.write("POST", theme, {"PaymentServices": [{"PaymentServiceID": made["PaymentServiceID"]}]})
    assert app.read(theme)["PaymentServices"] == app.read("PaymentServices")["PaymentServices"]
    assert _button(app, _of_theme(app, "Standard")).startswith("https://pay.example.com/x/key-1?invoiceNo=INV-")


def test_the_partners_route_is_closed_to_others(app: App) -> None:
    assert app.call("GET", "PaymentServices").status_code == 401
    assert app.call("PUT", "PaymentServices", {"PaymentServices": [{}]}).status_code == 401
    assert not {"PaymentServices", "Service"} & set(app.read("BrandingThemes")["BrandingThemes"][0])


def test_the_control_pages_change_invoices_by_hand(app: App) -> None:
    invoice = app.open_invoice()
    url = f"{app.xero.url}/_control/invoices/{invoice['InvoiceID']}"
    assert requests.post(url, data={"action": "edit", "reference": "By hand"}, timeout=10).status_code == 200
    assert requests.post(url, json={"action": "pay", "amount": "2.50"}, timeout=10).json()["amount_paid"] == 250
    after = app.read(f"Invoices/{invoice['InvoiceID']}")["Invoices"][0]
    assert (after["Reference"], str(after["AmountPaid"])) == ("By hand", "2.50")
    assert requests.post(url, data={"action": "void"}, timeout=10).status_code == 400
    payment = after["Payments"][0]["PaymentID"]
    assert requests.post(url, data={"action": "unpay", "payment": payment}, timeout=10).status_code == 200
    assert requests.post(url, data={"action": "void"}, timeout=10).status_code == 200
    assert app.read(f"Invoices/{invoice['InvoiceID']}")["Invoices"][0]["Status"] == "VOIDED"
    assert requests.post(url, data={"action": "nonsense"}, timeout=10).status_code == 400
    assert requests.get(f"{app.xero.url}/sent/nothing", timeout=10).status_code == 404


def test_a_bookkeeper_issues_the_same_invoice_again(app: App) -> None:
    invoice = app.read(f"Invoices/{app.open_invoice()['InvoiceID']}")["Invoices"][0]
    url = f"{app.xero.url}/_control/invoices/{invoice['InvoiceID']}"
    made = requests.post(url, json={"action": "copy"}, timeout=10).json()
    new = app.read(f"Invoices/{made['id']}")["Invoices"][0]
    assert new["Status"] == "AUTHORISED"
    assert new["InvoiceNumber"] != invoice["InvoiceNumber"]
    assert (new["Contact"]["ContactID"], new["Total"]) == (invoice["Contact"]["ContactID"], invoice["Total"])
    assert new["AmountDue"] == new["Total"]
    assert app.read(f"Invoices/{invoice['InvoiceID']}")["Invoices"][0] == invoice
    assert requests.post(url, data={"action": "copy"}, timeout=10).url != url


def test_books_show_what_is_due_and_paid(app: App) -> None:
    invoice = app.open_invoice()
    app.write("PUT", "Payments", {"Payments": [app.payment(invoice, "3.21", "pay_books")]})
    page = requests.get(f"{app.xero.url}/books", timeout=10).text
    assert invoice["InvoiceNumber"] in page
    assert "pay_books" in page
    assert (
        str(invoice["AmountDue"] - app.read("Payments", where='Reference=="pay_books"')["Payments"][0]["Amount"])
        in page
    )
    assert "株式会社さくら" in page
    listed = requests.get(f"{app.xero.url}/_control/books.json", timeout=10).json()
    assert len(listed["invoices"]) == 300
    shown = next(item for item in listed["invoices"] if item["id"] == invoice["InvoiceID"])
    assert (shown["balance"], shown["open"]) == (str(invoice["AmountDue"] - Decimal("3.21")), True)
    paid = [item for item in listed["payments"] if item["note"] == "pay_books"]
    assert [(item["amount"], item["invoices"]) for item in paid] == [("3.21", [invoice["InvoiceID"]])]
