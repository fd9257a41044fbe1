"""Xero's custom payment URL as strangers meet it: an amount only for whoever knew it, everything else behind a code."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
import sqlalchemy as sa

from connector.db import tables as t
from connector.db.rows import InvoiceRow
from connector.demo.browser import Browser
from connector.domain.money import minor_to_text
from connector.domain.records import PaymentState
from integrations.simulator.mailbox import Mailbox
from integrations.simulator.store import Store
from tests.walks.standing import Place
from tests.walks.world import world


@pytest.fixture(scope="module")
def mails() -> Iterator[tuple[Store, int]]:
    """A real SMTP server: what it got, and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = Store(None)
    mailbox = Mailbox(store, port)
    yield store, port
    mailbox.close()


@pytest.fixture(scope="module")
def xero(sqlite_template: Any, tmp_path_factory: pytest.TempPathFactory, mails: tuple[Store, int]) -> Iterator[Place]:
    """Xero connected, with mail."""
    path = tmp_path_factory.mktemp("world") / "duebridge.db"
    path.write_bytes(sqlite_template.read_bytes())
    environment = {"DUEBRIDGE_SMTP_HOST": "127.0.0.1", "DUEBRIDGE_SMTP_PORT": str(mails[1])}
    with world(f"sqlite:///{path}", environment=environment) as here:
        place = Place(here, {"xero": here.connect("xero")})
        here.work()
        yield place


@pytest.fixture(autouse=True)
def nobody_is_held_back(xero: Place) -> None:
    """The limit on visits goes by the database's clock; each test begins with none used up."""
    xero.end_silence()


def address(xero: Place, **query: str) -> str:
    with xero.here.wiring.database.view(xero.here.merchant_id) as view:
        key = view.connections.get(xero.connections["xero"]).install_key
    return f"{xero.here.public_url}/x/{key}?{urlencode(query)}"


def query_of(xero: Place, invoice: InvoiceRow, **changes: str) -> dict[str, str]:
    """What Xero fills in."""
    with xero.here.wiring.database.view(xero.here.merchant_id) as view:
        code = view.connections.get(xero.connections["xero"]).extra["short_code"]
    usual = {
        "invoiceNo": invoice.number,
        "currency": invoice.currency,
        "amount": minor_to_text(invoice.balance, invoice.currency),
        "shortCode": code,
    }
    return {name: value for name, value in (usual | changes).items() if value != "-"}


def customers_name(xero: Place, invoice: InvoiceRow) -> str:
    with xero.here.wiring.database.view(xero.here.merchant_id) as view:
        return view.invoices.customer_name(invoice.connection_id, invoice.customer)


def test_the_merchants_theme_leads_here_with_the_right_words(xero: Place) -> None:
    """The guided step, done in Xero's own forms; then the invoice as its customer receives it."""
    (invoice,) = xero.invoices("xero")
    guide = xero.here.wiring.system("xero").guide(address(xero).partition("?")[0])
    assert guide is not None
    browser, settings = Browser(), f"{xero.here.upstream_url}/xero/settings"
    browser.submit(
        browser.get(f"{settings}/payment-services"),
        "/payment-services",
        name="Duebridge",
        url=guide.text,
        pay_now_text="Pay now",
    )
    themes = browser.get(f"{settings}/themes")
    form = themes.form("/settings/themes")
    chosen = {name: next(value for value in values if value) for name, values in form.options.items()}
    requests.post(form.action, data={**form.fields, **chosen}, timeout=10)
    sent = browser.get(f"{xero.here.upstream_url}/xero/sent/{invoice.remote_id}")
    (link,) = {link for link in sent.links if "/x/" in link}
    assert parse_qs(urlsplit(link).query)["invoiceNo"] == [invoice.number]
    landed = browser.get(link)
    checkout = browser.submit(landed, "/pay")
    browser.submit(checkout, "/checkout/", button=("action", "approve"))
    payment_id = xero.holder(invoice)
    assert payment_id is not None
    xero.posted(payment_id)
    assert xero.upstream("xero", payment_id) == [invoice.balance] and xero.due("xero", invoice) == 0
    assert customers_name(xero, invoice) not in landed.html


def test_the_first_visit_proves_that_the_link_stands(xero: Place) -> None:
    with xero.here.wiring.database.unit_of_work(xero.here.merchant_id) as uow:
        uow.connections.change(xero.connections["xero"], first_hit_at=None)
    (invoice,) = xero.invoices("xero")
    requests.get(address(xero, invoiceNo="INV-0", amount="1", currency="USD"), timeout=10)
    with xero.here.wiring.database.view(xero.here.merchant_id) as view:
        assert view.connections.get(xero.connections["xero"]).first_hit_at is None, "an invented number proves nothing"
    requests.get(address(xero, **query_of(xero, invoice)), timeout=10)
    with xero.here.wiring.database.view(xero.here.merchant_id) as view:
        assert view.connections.get(xero.connections["xero"]).first_hit_at is not None


def _shown(page: requests.Response, invoice: InvoiceRow) -> bool:
    """Whether the page tells the amount and offers to pay it."""
    return "/pay" in page.text and f'name="minor" value="{invoice.balance}"' in page.text


def test_present_due_and_total_both_show_the_present_due(xero: Place) -> None:
    (invoice,) = xero.invoices("xero")
    assert _shown(requests.get(address(xero, **query_of(xero, invoice)), timeout=10), invoice)
    xero.by_hand("xero", invoice, "pay", amount="1.00")
    # Xero prints what was due when it printed; re-read, it is less now.
    page = requests.get(address(xero, **query_of(xero, invoice)), timeout=10)
    now = xero.mirrored(invoice)
    assert now.balance == invoice.balance - 100 and _shown(page, now)
    page = requests.get(
        address(xero, **query_of(xero, invoice, amount=minor_to_text(now.balance, now.currency))), timeout=10
    )
    assert _shown(page, now)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": "0.01"},
        {"amount": "-"},
        {"amount": ""},
        {"amount": "1e3"},
        {"amount": "-5"},
        {"amount": "١٢"},
        {"amount": "[AMOUNTDUE]"},
        {"currency": "EUR"},
        {"currency": "usd"},
        {"currency": "-"},
        {"shortCode": "!wrong"},
        {"shortCode": "-"},
        {"invoiceNo": "INV-000000"},
        {"invoiceNo": "-"},
        {"invoiceNo": "%"},
        {"invoiceNo": "' OR 1=1 --"},
        {"invoiceNo": "x" * 3000},
    ],
)
def test_a_tampered_query_shows_nothing_and_offers_a_code(xero: Place, changes: dict[str, str]) -> None:
    (invoice,) = xero.invoices("xero")
    xero._taken.discard(invoice.remote_id)
    page = requests.get(address(xero, **query_of(xero, invoice, **changes)), timeout=10)
    stranger = requests.get(address(xero, **query_of(xero, invoice, invoiceNo="INV-1")), timeout=10)
    assert page.status_code == stranger.status_code == 200
    assert "Send me a code" in page.text and "/pay" not in page.text and 'name="minor"' not in page.text
    amount = minor_to_text(invoice.balance, invoice.currency)
    if "amount" in changes:
        assert amount not in page.text
    for secret in (customers_name(xero, invoice), minor_to_text(invoice.total, "USD") + " USD"):
        assert secret not in page.text


def test_looking_changes_nothing(xero: Place) -> None:
    (invoice,) = xero.invoices("xero")
    for _ in range(3):
        requests.get(address(xero, **query_of(xero, invoice)), timeout=10)
        requests.get(address(xero, **query_of(xero, invoice, amount="7")), timeout=10)
    with xero.here.wiring.database.engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(t.codes)).scalar() == 0
        assert connection.execute(
            sa.select(sa.func.count()).select_from(t.payments).where(t.payments.c.customer == invoice.customer)
        ).scalar() in (0, 1)
    assert xero.holder(invoice) is None


def test_a_paid_or_voided_invoice_looks_like_an_unknown_one(xero: Place) -> None:
    (paid,), (voided,) = xero.invoices("xero"), xero.invoices("xero")
    xero.by_hand("xero", paid, "pay")
    xero.by_hand("xero", voided, "void")
    for invoice in (paid, voided):
        page = requests.get(address(xero, **query_of(xero, invoice)), timeout=10)
        assert "Send me a code" in page.text and "/pay" not in page.text


def test_visits_are_limited_by_install_key(xero: Place) -> None:
    answers = [requests.get(address(xero, invoiceNo=str(number)), timeout=10) for number in range(30)]
    assert {answer.status_code for answer in answers} == {200, 429}
    limited = next(answer for answer in answers if answer.status_code == 429)
    assert int(limited.headers["Retry-After"]) >= 1


def test_an_unknown_install_key_is_a_plain_not_found(xero: Place) -> None:
    answer = requests.get(f"{xero.here.public_url}/x/{'A' * 22}?invoiceNo=INV-1", timeout=10)
    assert answer.status_code == 404


def test_xero_silent_means_a_code_and_no_amount(xero: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.journeys.fresh.PATIENCE_SECONDS", 0.3)
    (invoice,) = xero.invoices("xero")
    xero.here.advance(16 * 60)
    xero.here.fault("xero", "html_503", "invoice.*", times=5)
    page = requests.get(address(xero, **query_of(xero, invoice)), timeout=10)
    assert page.status_code == 200 and "/pay" not in page.text and "Send me a code" in page.text
    requests.post(f"{xero.here.upstream_url}/xero/_control/faults/clear", json={}, timeout=10)


def test_the_code_arrives_by_mail_and_opens_that_invoice_alone(xero: Place, mails: tuple[Store, int]) -> None:
    (invoice,) = xero.invoices("xero")
    with xero.here.wiring.database.view(xero.here.merchant_id) as view:
        (billing, *_) = view.invoices.customer_addresses(invoice.connection_id, invoice.customer)
    browser = Browser()
    typed = browser.submit(browser.get(address(xero, **query_of(xero, invoice, amount="1"))), "/code")
    xero.here.settle(lambda: mails[0].count("mail") > 0)
    mail = mails[0].all("mail")[-1]
    assert mail["to"] == [billing] and invoice.number in mail["subject"]
    code = next(word for word in mail["text"].replace(".", " ").split() if word.isdigit() and len(word) == 6)
    assert code not in typed.html and billing not in typed.html
    opened = browser.submit(typed, "/code/", code=code)
    assert invoice.number in opened.html
    checkout = browser.submit(opened, "/pay")
    browser.submit(checkout, "/checkout/", button=("action", "approve"))
    payment_id = xero.holder(invoice)
    assert payment_id is not None
    xero.until(payment_id, PaymentState.SETTLED)
    again = requests.post(typed.url, data={"code": code}, timeout=10)
    assert again.status_code == 400, "used up"


def test_asking_for_an_invented_invoice_looks_the_same_and_mails_nobody(xero: Place, mails: tuple[Store, int]) -> None:
    (invoice,) = xero.invoices("xero")
    xero.here.work()
    before = mails[0].count("mail")
    pages = []
    for number in (invoice.number, "INV-999999"):
        browser = Browser()
        page = browser.submit(
            browser.get(address(xero, **query_of(xero, invoice, invoiceNo=number, amount="1"))), "/code"
        )
        pages.append(_without_ids(page.html))
    assert pages[0] == pages[1]
    xero.here.work()
    assert mails[0].count("mail") == before + 1


def _without_ids(html: str) -> str:
    """A page without what differs on every page: the code's id and the form's token."""
    return re.sub(r"[0-9a-f]{32}|value=\"[^\"]{30,}\"", "…", html)
