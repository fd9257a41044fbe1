"""A person clicks through: consent, the payment service, the invoice's button. No page has a serious fault."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.integrations.systems.xero.simulator.conftest import Start
from tests.integrations.systems.xero.simulator.driving import BACK, App, Running

pytestmark = pytest.mark.browser
URL = "https://pay.example.com/x/key?invoiceNo=[INVOICENUMBER]&amount=[AMOUNTDUE]"


@pytest.fixture(params=[("light", 1280), ("dark", 390)], ids=["light and wide", "dark and narrow"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Page:
    """A fresh window; what leads away from this machine stays unanswered."""
    scheme, width = request.param
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    request.addfinalizer(context.close)
    opened = context.new_page()
    opened.add_init_script(f"window.look = '{scheme}'")
    opened.route("https://**", lambda route: route.abort())
    return opened


def _sound(page: Page, pictures: Path, name: str) -> None:
    """No serious fault, nothing wider than the window; and a picture for whoever looks."""
    look = page.evaluate("window.look")
    page.screenshot(path=pictures / f"xero-simulator-{name}-{look}.png", full_page=True)
    found = Axe().run(page).response["violations"]
    assert [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_consent(xero: Running, page: Page, artefacts: Path) -> None:
    page.goto(xero.authorize().url)
    expect(page.get_by_role("heading", name="Duebridge wants access")).to_be_visible()
    _sound(page, artefacts, "consent")
    with page.expect_request(lambda request: request.url.startswith(BACK)) as back:
        page.get_by_role("button", name="Allow access").click()
    query = parse_qs(urlsplit(back.value.url).query)
    assert query["state"] == ["st-1"]
    assert xero.exchange(query["code"][0]).status_code == 200


def test_the_merchants_step(app: App, page: Page, artefacts: Path) -> None:
    invoice = app.open_invoice()
    page.goto(f"{app.xero.url}/settings/payment-services")
    page.get_by_label("Name").fill("Duebridge")
    page.get_by_label("URL", exact=True).fill(URL)
    page.get_by_label("Pay now text").fill("Pay this invoice")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", name="Duebridge")).to_be_visible()
    _sound(page, artefacts, "payment-services")
    page.goto(f"{app.xero.url}/settings/themes")
    for name in ("Standard", "Projects", "Japan"):
        page.get_by_label(name).select_option(label="Duebridge")
    page.get_by_role("button", name="Save").click()
    _sound(page, artefacts, "themes")
    page.goto(f"{app.xero.url}/sent/{invoice['InvoiceID']}")
    link = page.get_by_role("link", name="Pay this invoice").get_attribute("href")
    assert link == f"https://pay.example.com/x/key?invoiceNo={invoice['InvoiceNumber']}&amount={invoice['AmountDue']}"
    _sound(page, artefacts, "sent")


@pytest.mark.parametrize(
    "path", ["/", "/books", "/_control/", "/settings/connected-apps", "/identity/connect/authorize"]
)
def test_every_other_page(start: Start, page: Page, artefacts: Path, path: str) -> None:
    app = start(invoices=60).connect()
    page.goto(f"{app.xero.url}{path}")
    _sound(page, artefacts, path.strip("/_").replace("/", "-") or "start")


def test_changing_an_invoice_by_hand(app: App, page: Page, artefacts: Path) -> None:
    invoice = app.open_invoice()
    page.goto(f"{app.xero.url}/_control/invoices/{invoice['InvoiceID']}")
    _sound(page, artefacts, "control-invoice")
    page.get_by_role("button", name="Record payment").click()
    expect(page.get_by_text("Paid", exact=True)).to_be_visible()
    assert app.read(f"Invoices/{invoice['InvoiceID']}")["Invoices"][0]["Status"] == "PAID"
