"""The customer's pages in a real browser: phone and desk, light and dark, with and without JavaScript."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from connector.db import tables as t
from connector.domain.links import Scope
from connector.domain.records import InvoiceState, Kind, Line
from tests.portal.shop import NOW, Shop, open_shop

pytestmark = pytest.mark.browser
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
# What Chromium says of every page that is not answered 200.
NOT_A_COMPLAINT = "Failed to load resource: the server responded with a status of"


@dataclass(frozen=True)
class Site:
    """A shop that answers over HTTP, and the addresses of its pages by name."""

    shop: Shop
    url: str
    pages: dict[str, str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A shop with something on every page, served to the browser."""
    shop = open_shop(f"sqlite:///{tmp_path_factory.mktemp('shop') / 'shop.db'}")
    lines = tuple(Line(words, "2.5", "48.00", 120_00, 24_00) for words in ("Hedge", "緑のごみ", "نفايات خضراء"))
    overdue = shop.invoice(360_00, tax=72_00, due_in=-12, number="INV-1", lines=lines, reference="PO 77")
    shop.invoice(1_250_00, due_in=-2, balance=750_00, number="INV-2")
    shop.invoice(89_90, due_in=5, number="INV-3")
    paid = shop.invoice(100_00, state=InvoiceState.PAID, balance=0, number="INV-4")
    shop.invoice(200_000, currency="JPY", customer="c2", number="JP-1")
    shop.invoice(55_00, customer="c2", number="E-1")
    for number in range(30):
        shop.invoice(1_00 + number, customer="c5", number=f"M-{number}")
    shop.invoice(30_00, kind=Kind.CREDIT_NOTE, customer="c4")
    ended = shop.link("c9")
    with shop.wiring.database.unit_of_work(shop.merchant_id) as uow:
        uow.links.revoke(uow.links.live(shop.connection_id, Scope.CUSTOMER, "c9")[0])  # type: ignore[index]
    account = shop.link()
    processing = shop.link(shop.invoice(44_00, customer="c6", number="P-1"), Scope.INVOICE)
    client = shop.client
    form = client.get(f"/i/{processing}").get_data(as_text=True)
    action, key = form.split('action="')[1].split('"')[0], form.split('name="form_key" value="')[1].split('"')[0]
    client.post(action, data={"form_key": key, "amount": "44"})
    receipt = shop.till.asked[-1].success_url.removeprefix("http://pay.test")
    server = make_server("127.0.0.1", 0, shop.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    query = "invoiceNo=INV-1&currency=EUR&shortCode="
    yield Site(
        shop,
        f"http://127.0.0.1:{server.server_port}",
        {
            "account": f"/i/{account}",
            "preview": f"/i/{account}?preview=1",
            "history": f"/i/{account}/history",
            "several currencies": f"/i/{shop.link('c2')}",
            "many": f"/i/{shop.link('c5')}?page=2",
            "nothing due": f"/i/{shop.link('c7')}",
            "credit": f"/i/{shop.link('c4')}",
            "invoice": f"/i/{shop.link(overdue, Scope.INVOICE)}",
            "paid invoice": f"/i/{shop.link(paid, Scope.INVOICE)}",
            "started": f"/i/{processing}",
            "waiting": receipt,
            "turned back": f"{receipt}?cancelled=1",
            "landing": f"/x/install-key-1?{query}&amount=360.00",
            "landing without proof": f"/x/install-key-1?{query}&amount=1.00",
            "sign in": "/portal/northwind",
            "code": f"/portal/northwind/code/{'0' * 32}",
            "ended": f"/i/{ended}",
            "unknown": f"/i/{'A' * 22}",
        },
    )
    server.shutdown()
    thread.join()
    server.server_close()
    shop.wiring.database.engine.dispose()


def examine(page: Page, name: str, complaints: list[str]) -> None:
    """Nothing sticks out sideways, axe has no fault to name, and the browser had nothing to complain about."""
    violations = Axe().run(page, options=AXE).response["violations"]
    faults = [(fault["id"], [node["html"][:120] for node in fault["nodes"]]) for fault in violations]
    assert not faults, (name, faults)
    viewport = page.viewport_size
    assert viewport is not None
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], name
    assert not complaints, (name, complaints)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_page_can_be_read_and_used(
    site: Site, browser: Browser, artefacts: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: None if NOT_A_COMPLAINT in message.text else complaints.append(message.text))
    page.on("pageerror", lambda fault: complaints.append(str(fault)))
    pictures = artefacts / "portal"
    pictures.mkdir(exist_ok=True)

    def look(name: str) -> None:
        page.screenshot(path=pictures / f"{name.replace(' ', '-')}-{width}-{scheme}.png", full_page=True)
        examine(page, name, complaints)

    for name, path in site.pages.items():
        page.goto(site.url + path)
        look(name)
    page.goto(site.url + site.pages["account"])
    page.get_by_text("Recent charges").click()
    look("recent charges")
    page.get_by_label("Amount for invoice INV-2").fill("12,50")
    assert page.get_by_label("Pay invoice INV-2", exact=True).is_checked(), "typing an amount ticks its invoice"
    page.get_by_role("button", name="Pay selected").click()
    page.get_by_text("Invoice INV-2: Enter the amount as plain digits").wait_for()
    look("wrong amount")
    context.close()


def test_paying_needs_no_javascript(site: Site, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.route("https://pay.gateway.example/**", lambda route: route.fulfill(body="the gateway's own page"))
    page.goto(site.url + site.pages["account"])
    page.get_by_label("Pay invoice INV-3", exact=True).check()
    page.get_by_label("Amount for invoice INV-3").fill("20.00")
    page.get_by_role("button", name="Pay selected").click()
    page.get_by_text("the gateway's own page").wait_for()
    request = site.shop.till.asked[-1]
    assert page.url == f"https://pay.gateway.example/checkout/{request.key}"
    assert (request.amount, request.currency) == (20_00, "EUR")
    page.go_back()
    assert "INV-3" in page.inner_text("main")
    page.goto(request.success_url.replace("http://pay.test", site.url))
    assert "waiting for the payment provider" in page.inner_text("main")
    site.shop.change(t.payments, state="settled", settled_at=NOW, method="Card")
    page.get_by_role("link", name="Refresh").click()
    assert "Receipt" in page.inner_text("main") and "€20.00" in page.inner_text("main")
    context.close()


def test_the_waiting_page_looks_again_by_itself(site: Site, browser: Browser) -> None:
    site.shop.change(t.payments, state="checkout", settled_at=None)
    context = browser.new_context()
    page = context.new_page()
    page.goto(site.url + site.pages["waiting"])
    page.get_by_text("waiting for the payment provider").wait_for()
    site.shop.change(t.payments, state="settled", settled_at=NOW, method="Card")
    page.get_by_role("heading", name="Receipt").wait_for(timeout=15_000)
    context.close()


def test_a_printed_receipt_has_the_receipt_and_nothing_to_press(site: Site, browser: Browser) -> None:
    site.shop.change(t.payments, state="settled", settled_at=NOW, method="Card")
    context = browser.new_context()
    page = context.new_page()
    page.goto(site.url + site.pages["waiting"])
    page.emulate_media(media="print")
    words = page.inner_text("body")
    assert "Receipt" in words and "€44.00" in words and "Northwind Gardens" in words
    assert "Payments by Duebridge" not in words and "Print this page" not in words
    context.close()
