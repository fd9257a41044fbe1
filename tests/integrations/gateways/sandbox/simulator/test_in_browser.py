"""The hosted page in a real browser: the policy lets the way back through, and axe finds nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from integrations.simulator.server import RunningServer, serve
from tests.integrations.gateways.sandbox.simulator.driving import Upstream

pytestmark = pytest.mark.browser


@pytest.fixture
def shop() -> Iterator[RunningServer]:
    app = Flask("shop")

    @app.get("/<outcome>")
    def back(outcome: str) -> str:
        return f"<!doctype html><html lang=en><title>Shop</title><h1>{outcome}</h1></html>"

    with serve(app) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 360, "height": 740})
    yield context.new_page()
    context.close()


def address(upstream: Upstream, shop: RunningServer) -> str:
    lines = [{"description": f"Invoice {number}"} for number in range(9)]
    checkout = upstream.checkout(lines=lines, success_url=f"{shop.url}/paid", cancel_url=f"{shop.url}/unpaid")
    return str(checkout["url"])


def faults_of(page: Page) -> list[str]:
    return [fault["id"] for fault in Axe().run(page).response["violations"]]


def test_a_customer_confirms_comes_back_and_cannot_pay_again(
    upstream: Upstream, shop: RunningServer, page: Page
) -> None:
    page.goto(address(upstream, shop))
    assert faults_of(page) == []
    page.get_by_role("button", name="Needs authentication").click()
    expect(page.get_by_role("heading", name="Confirm with your bank")).to_be_visible()
    assert faults_of(page) == []
    page.get_by_role("button", name="I confirm").click()
    expect(page.get_by_role("heading", name="paid", exact=True)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="This payment has already been made")).to_be_visible()
    assert page.get_by_role("button").count() == 0 and faults_of(page) == []
    page.get_by_role("link", name="Go back to").click()
    expect(page).to_have_url(f"{shop.url}/paid")
    assert upstream.event_types() == ["payment.requires_authentication", "payment.settled"]


def test_a_double_click_pays_once(upstream: Upstream, shop: RunningServer, page: Page) -> None:
    page.goto(address(upstream, shop))
    page.get_by_role("button", name="Approve").dblclick()
    expect(page).to_have_url(f"{shop.url}/paid")
    assert upstream.event_types() == ["payment.settled"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_read_well_in_both_schemes_and_fit_a_phone(
    upstream: Upstream, shop: RunningServer, browser: Browser, scheme: str
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 320, "height": 640})  # type: ignore[arg-type]
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    for place in (address(upstream, shop), f"{upstream.url}/_control/"):
        page.goto(place)
        assert faults_of(page) == []
        assert complaints == []
    page.goto(address(upstream, shop))
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    context.close()
