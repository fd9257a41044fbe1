"""The pages of an invoice and a customer: amounts, the link and every reason it may be missing."""

from __future__ import annotations

import re

import pytest

from connector.domain.links import Scope
from connector.domain.records import InvoiceState, Kind
from connector.domain.work import Work
from tests.dashboard.firm import Firm, lines


def link_on(page: str) -> str:
    """The address a page offers to copy."""
    found = re.search(r'value="(http[^"]+/i/[A-Za-z0-9_-]{22})"', page)
    return found[1] if found else ""


def test_an_invoice_shows_what_upstream_says_and_that_it_is_theirs(firm: Firm) -> None:
    connection = firm.connection()
    customer = firm.customer(connection)
    invoice = firm.invoice(connection, total=123_450, balance=100_000, tax=19_710)
    page = firm.get(f"/invoices/{invoice}").text
    for words in ("€1,234.50", "€1,000.00", "€197.10", "Part paid, 10 days overdue", "Danke für Ihren Auftrag."):
        assert words in page
    assert "Wartung &lt;b&gt;monatlich&lt;/b&gt;" in page, "what comes from upstream is text, never markup"
    assert f'href="/customers/{customer}"' in page
    assert "read-only here; change it there" in page
    assert not re.findall(r'<input(?! type="hidden")(?![^>]*readonly)', page), "nothing owned upstream can be typed"


def test_a_link_is_generated_copied_previewed_and_regenerated(firm: Firm) -> None:
    firm.settle_in()
    connection = firm.connection()
    firm.imported(connection)
    firm.customer(connection)
    invoice = firm.invoice(connection)
    path = f"/invoices/{invoice}"
    assert "This invoice has no link yet" in firm.get(path).text
    assert firm.post(f"{path}/link").headers["Location"] == path
    page = firm.get(path).text
    first = link_on(page)
    assert first and len(first.rpartition("/")[2]) == 22
    assert f'href="/i/{first[-22:]}?preview=1" target="_blank"' in page
    assert firm.get(f"/i/{first[-22:]}?preview=1").status_code == 200
    assert firm.post(f"{path}/link").status_code == 303 and link_on(firm.get(path).text) == first
    assert "stops working at once" in firm.get(f"{path}/regenerate").text
    assert link_on(firm.get(path).text) == first, "asking changes nothing"
    assert firm.post(f"{path}/regenerate").headers["Location"] == path
    second = link_on(firm.get(path).text)
    assert second and second != first
    assert firm.get(f"/i/{first[-22:]}").status_code == 410
    assert firm.get(f"/i/{second[-22:]}").status_code == 200


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (InvoiceState.DRAFT, "still a draft"),
        (InvoiceState.VOID, "was voided"),
        (InvoiceState.UNKNOWN, "a state for this invoice that we do not know"),
    ],
)
def test_it_says_why_there_is_no_link(small_firm: Firm, state: InvoiceState, words: str) -> None:
    small_firm.settle_in()
    connection = small_firm.connection()
    invoice = small_firm.invoice(connection, state=state)
    page = small_firm.get(f"/invoices/{invoice}").text
    assert words in page and "Generate link" not in page
    assert words in small_firm.get(f"/invoices/{invoice}/regenerate").text
    assert small_firm.post(f"/invoices/{invoice}/link").status_code == 303
    assert words in small_firm.get(f"/invoices/{invoice}").text
    assert small_firm.count("SELECT count(*) FROM links") == 0


def test_it_says_so_when_setup_or_connection_is_what_is_missing(small_firm: Firm) -> None:
    connection = small_firm.connection()
    invoice = small_firm.invoice(connection)
    assert "Choose how you want to be paid first" in small_firm.get(f"/invoices/{invoice}").text
    small_firm.settle_in()
    with small_firm.product.wiring.database.unit_of_work(small_firm.merchant_id) as uow:
        uow.connections.change(connection, state="broken", problem="Access was withdrawn in QuickBooks.")
    page = small_firm.get(f"/invoices/{invoice}").text
    assert "Access was withdrawn in QuickBooks." in page and "Generate link" not in page
    assert f'action="/connections/{connection}/reconnect"' in page, "the banner offers the way back on every page"
    assert "connection to Müller Bücher was lost" in small_firm.get("/payments").text


def test_a_customer_of_an_ended_connection_gets_no_new_link(small_firm: Firm) -> None:
    connection = small_firm.connection(state="disconnected")
    customer = small_firm.customer(connection)
    assert small_firm.post(f"/customers/{customer}/link").status_code == 303
    assert "is not active" in small_firm.get(f"/customers/{customer}").text
    assert small_firm.count("SELECT count(*) FROM links") == 0


def test_where_the_link_stands_and_what_stood_there(firm: Firm) -> None:
    firm.settle_in()
    connection = firm.connection()
    invoice = firm.invoice(connection)
    firm.placed(connection, competing="Intuit's own Pay button")
    page = firm.get(f"/invoices/{invoice}").text
    assert "On the invoice" in page and "Customer memo" in page and "Danke!" in page
    assert "another way to pay: Intuit&#39;s own Pay button" in page
    woken = len(firm.product.woken)
    assert firm.post(f"/invoices/{invoice}/place-again").status_code == 303
    assert "Being placed" in firm.get(f"/invoices/{invoice}").text
    assert [item.kind for item in firm.product.woken[woken:]] == [Work.INJECT]


def test_a_refused_placement_shows_its_cause(small_firm: Firm) -> None:
    small_firm.settle_in()
    connection = small_firm.connection()
    invoice = small_firm.invoice(connection)
    small_firm.placed(connection, state="refused", problem="The memo has no room for one more line.")
    page = small_firm.get(f"/invoices/{invoice}").text
    assert "The memo has no room for one more line." in page and "Place again" in page
    assert "1 link could not be placed" in small_firm.get(f"/connections/{connection}").text


def test_an_invoice_never_placed_says_so_to_its_buttons(small_firm: Firm) -> None:
    invoice = small_firm.invoice(small_firm.connection())
    for action in ("check-link", "place-again"):
        assert small_firm.post(f"/invoices/{invoice}/{action}").status_code == 404


def test_credit_notes_and_estimates_are_no_invoices(small_firm: Firm) -> None:
    note = small_firm.invoice(small_firm.connection(), kind=Kind.CREDIT_NOTE)
    assert small_firm.get(f"/invoices/{note}").status_code == 404
    assert small_firm.post(f"/invoices/{note}/link").status_code == 404


def test_payments_of_an_invoice_are_on_its_page(firm: Firm) -> None:
    connection = firm.connection()
    one, two = firm.invoice(connection, "i1"), firm.invoice(connection, "i2")
    payment = firm.payment(connection, {one: 100_00, two: 23_45})
    page = firm.get(f"/invoices/{two}").text
    assert f'href="/payments/{payment}"' in page and "€23.45" in page and "€123.45" not in page


def test_a_customer_has_people_invoices_and_one_link(firm: Firm) -> None:
    firm.settle_in()
    connection = firm.connection()
    customer = firm.customer(connection)
    firm.invoice(connection)
    path = f"/customers/{customer}"
    page = firm.get(path).text
    for words in ("Łódź Fabryka", "ola@lodz.example", "Billing", "€1,234.50 overdue", "2026-i1"):
        assert words in page
    assert "read-only here" in " ".join(lines(page))
    assert firm.post(f"{path}/link").headers["Location"] == path
    first = link_on(firm.get(path).text)
    assert firm.get(f"/i/{first[-22:]}?preview=1").status_code == 200
    assert "stops working at once" in firm.get(f"{path}/regenerate").text
    assert firm.post(f"{path}/regenerate").status_code == 303
    assert link_on(firm.get(path).text) not in ("", first)
    assert firm.count("SELECT count(*) FROM audit_log WHERE action LIKE 'link.%'") == 2
    with firm.product.wiring.database.view(firm.merchant_id) as view:
        live = view.links.live(connection, Scope.CUSTOMER, "c1")
    assert live and live[1] == link_on(firm.get(path).text)[-22:]
