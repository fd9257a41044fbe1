"""The merchant's pages in a real browser: readable on a phone, in the dark, without JavaScript, and for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect

from connector.db.connections import Reading
from connector.db.differences import Found
from connector.domain.postings import PostingState
from connector.domain.records import InvoiceState, Kind, PaymentState
from connector.domain.tasks import What
from connector.domain.work import Work
from connector.jobs import schedule
from integrations.simulator.server import serve_at
from tests.dashboard.firm import CONFIGURED, NOW, PASSWORD, Firm, open_product, sign_up

pytestmark = pytest.mark.browser
LONG = "Gesellschaft für außerordentlich lange Firmennamen und Donaudampfschifffahrt mbH & Co. KGaA"


@dataclass
class Office:
    """A merchant with something on every page, served on a port."""

    url: str
    firm: Firm
    paths: dict[str, str]


@pytest.fixture(scope="module")
def office(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Seeded once: the tests of this file only look, or change what no other looks at."""
    database = tmp_path_factory.mktemp("office") / "duebridge.db"
    database.write_bytes(sqlite_template.read_bytes())
    made: list[Firm] = []

    def build(url: str) -> Flask:
        product = open_product(f"sqlite:///{database}", {**CONFIGURED, "DUEBRIDGE_PUBLIC_URL": url})
        made.append(sign_up(product))
        return product.app

    with serve_at(build) as server:
        firm = made[0]
        yield Office(server.url, firm, furnish(firm))
        firm.product.wiring.database.engine.dispose()


def furnish(firm: Firm) -> dict[str, str]:
    """Rows as a busy month leaves them; the addresses of the pages to look at."""
    firm.settle_in()
    books, xero = firm.connection(), firm.connection("xero", name=LONG)
    waiting = firm.connection(state="pending", name="Wartet")
    importing = firm.connection(name="Wird gelesen")
    firm.imported(books)
    firm.imported(xero)
    with firm.product.wiring.database.unit_of_work(firm.merchant_id) as uow:
        uow.connections.move_reading(importing, Reading(Kind.CUSTOMER, "c", True, 0, 0))
        uow.connections.move_reading(importing, Reading(Kind.INVOICE, "c", False, 400, 1300))
        lost = "The access was withdrawn in QuickBooks."
        broken = uow.connections.add(
            system="quickbooks", tenant="lost", name="Alte Bücher", currency="EUR", extra={}, install_key=None
        )
        uow.connections.change(broken, state="broken", problem=lost)
    firm.theme(xero, "t-1", "Standard")
    firm.theme(xero, "t-2", LONG)
    customer = firm.customer(books)
    firm.customer(books, "c2", LONG)
    invoice = firm.invoice(books)
    firm.placed(books, competing="Intuit's own Pay button")
    refused = firm.invoice(books, "i2", number="A-VERY-LONG-NUMBER-0000000000002", customer="c2", balance=3_000)
    firm.placed(books, "i2", state="refused", problem="The memo has no room for one more line.")
    draft = firm.invoice(books, "i3", state=InvoiceState.DRAFT)
    firm.invoice(books, "i4", state=InvoiceState.PAID, balance=0)
    firm.invoice(xero, "x1", currency="JPY", total=4_855_142)
    firm.unreadable(books)
    payment = firm.payment(books, {invoice: 100_000, refused: 23_450})
    firm.posting(books, payment, PostingState.NEEDS_REVIEW, "The books are closed up to 31 December 2025.")
    firm.payment(books, {draft: 5}, state=PaymentState.FAILED)
    with firm.product.wiring.database.unit_of_work(firm.merchant_id) as uow:
        uow.work.add(Work.SYNC, str(books), partition=str(books), payload={"connection": books}, delay=600)
        uow.work.add(Work.MAIL, "7", partition="mail")
        mail = uow.work.find(Work.MAIL, "7")
        assert mail is not None
        uow.work.give_up(mail.item, f"The mail server does not know {'a' * 60}@mueller.example.")
    with firm.product.wiring.database.unit_of_work(firm.merchant_id) as uow:
        cause = f"Somebody took the line with the link off the invoice in {LONG}."
        taken = Found(What.LINK, "i2", "A-VERY-LONG-NUMBER-0000000000002", "The link stands on it", "No link", cause)
        uow.differences.open(books, taken)
        uow.differences.mended(xero, replace(taken, what=What.INVOICE, subject="x1"), "It was read again.")
        left = replace(taken, subject="i3", name="2026-i3")
        uow.differences.open(books, left)
        row = uow.differences.of(books, What.LINK, "i3")
        assert row is not None
        uow.differences.close(row.id, "ignored", "Left as it is.")
    firm.unreadable(books)
    schedule.record(firm.product.wiring.database, NOW, firm.product.wiring.systems)
    return {
        "differences": "/differences",
        "home": "/",
        "brand": "/settings/brand",
        "payments-settings": "/settings/payments",
        "connections": "/connections",
        "dry-run": f"/connections/{waiting}/review",
        "importing": f"/connections/{importing}",
        "quickbooks": f"/connections/{books}",
        "xero": f"/connections/{xero}",
        "connection-settings": f"/connections/{books}/review",
        "disconnect": f"/connections/{books}/disconnect",
        "invoices": "/invoices",
        "nothing-found": "/invoices?q=zzz",
        "invoice": f"/invoices/{invoice}",
        "refused": f"/invoices/{refused}",
        "draft": f"/invoices/{draft}",
        "regenerate": f"/invoices/{invoice}/regenerate",
        "customers": "/customers",
        "customer": f"/customers/{customer}",
        "payments": "/payments",
        "payment": f"/payments/{payment}",
        "refund": f"/payments/{payment}/refund?amount=1e3&reason=x",
        "refund-confirm": f"/payments/{payment}/refund?amount=1.50&reason=x",
        "work": "/work",
        "work-cancel": f"/work/{Work.SYNC}:{firm.merchant_id}:{books}/cancel",
    }


def signed_in(context: BrowserContext, office: Office) -> Page:
    """A browser window of the merchant."""
    cookie = office.firm.client.get_cookie("duebridge-staff")
    assert cookie
    context.add_cookies([{"name": "duebridge-staff", "value": cookie.value, "url": office.url}])
    return context.new_page()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_page_can_be_read_by_everybody(
    office: Office, browser: Browser, artefacts: Path, scheme: str, width: int
) -> None:
    folder = artefacts / "dashboard"
    folder.mkdir(exist_ok=True)
    dark = "dark" if scheme == "dark" else "light"
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=dark)  # type: ignore[arg-type]
    page = signed_in(context, office)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    faults: dict[str, object] = {}
    for name, path in office.paths.items():
        answer = page.goto(office.url + path)
        assert answer and answer.status == 200, name
        page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found = [(fault["id"], fault["impact"]) for fault in Axe().run(page).response["violations"]]
        if wider > 0 or found or complaints:
            faults[name] = (wider, found, list(complaints))
        complaints.clear()
    context.close()
    assert not faults


@pytest.mark.parametrize("width", [360, 1280])
def test_the_entrance_can_be_read_by_everybody(office: Office, browser: Browser, artefacts: Path, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    for path in ("/sign-in", "/sign-up"):
        page.goto(office.url + path)
        page.screenshot(path=artefacts / "dashboard" / f"{path[1:]}-{width}.png", full_page=True)
        assert Axe().run(page).response["violations"] == []
    context.close()


def test_the_work_can_be_done_without_javascript(office: Office, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{office.url}/invoices?state=open")
    page.get_by_label("E-mail address").fill(office.firm.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    assert page.url == f"{office.url}/invoices?state=open", "who was sent away comes back"
    page.goto(office.url + office.paths["customer"])
    page.get_by_role("button", name="Generate link").click()
    expect(page.get_by_label("Link", exact=True)).to_have_value(f"{office.url}/i/{link_of(page)}")
    page.get_by_role("link", name="Regenerate").click()
    before = page.url
    page.get_by_role("button", name="Regenerate").click()
    assert before.endswith("/regenerate") and page.url == office.url + office.paths["customer"]
    page.goto(f"{office.url}/settings/brand")
    page.get_by_label("Name customers know you by").fill("Neuer Name")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Nothing is saved yet.")).to_be_visible()
    page.goto(office.url + office.paths["importing"])
    assert page.locator("meta[http-equiv=refresh]").count() == 1
    context.close()


def link_of(page: Page) -> str:
    """The token of the link a page offers."""
    return page.get_by_label("Link", exact=True).input_value().rpartition("/")[2]


def test_an_address_is_copied_with_one_press(office: Office, browser: Browser) -> None:
    context = browser.new_context()
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=office.url)
    page = signed_in(context, office)
    page.goto(office.url + office.paths["invoice"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == f"{office.url}/i/{link_of(page)}"
    with context.expect_page() as opened:
        page.get_by_role("link", name="Open as preview").click()
    opened.value.wait_for_load_state()
    assert opened.value.url.endswith("?preview=1")
    assert opened.value.evaluate("window.opener") is None
    context.close()


def test_a_colour_is_previewed_as_soon_as_it_is_chosen(office: Office, browser: Browser) -> None:
    context = browser.new_context()
    page = signed_in(context, office)
    page.goto(f"{office.url}/settings/brand")
    hero = page.locator(".preview .hero")
    page.locator("input[name=colour]").evaluate(
        "field => { field.value = '#7a1f5c'; field.dispatchEvent(new Event('change')); }"
    )
    expect(hero).to_have_css("background-color", "rgb(122, 31, 92)")
    context.close()


def test_progress_moves_by_itself_and_the_page_says_when_it_is_done(office: Office, browser: Browser) -> None:
    firm = office.firm
    connection = firm.connection(name="Läuft")
    database = firm.product.wiring.database
    context = browser.new_context()
    page = signed_in(context, office)
    page.goto(f"{office.url}/connections/{connection}")
    expect(page.get_by_role("heading", name="Importing")).to_be_visible()
    with database.unit_of_work(firm.merchant_id) as uow:
        uow.connections.move_reading(connection, Reading(Kind.INVOICE, "c", False, 650, 1300))
    expect(page.locator("[data-kind=invoice] .num")).to_have_text("650 of 1,300", timeout=10_000)
    assert page.locator("[data-kind=invoice] progress").evaluate("bar => bar.value / bar.max") == 0.5
    firm.imported(connection)
    expect(page.get_by_role("heading", name="What is here")).to_be_visible(timeout=10_000)
    context.close()
