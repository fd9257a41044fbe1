"""What happens beside the main walk: a customer's whole account, links replaced, money given back, ways that end."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from connector.demo.surroundings import Surroundings
from tests.browser import steps
from tests.browser.camera import WIDE, Camera
from tests.browser.conftest import OpenWindow

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
EMAIL = "sam@lakeside.example"


def test_beside_the_main_walk(product: Surroundings, merchant: Camera, customer: Camera, window: OpenWindow) -> None:
    page = merchant.page
    connection = _set_up(product, page)
    account = _link_of_a_customer(product, merchant)
    _pay_selected(customer, account)
    _sign_in_by_mail(product, merchant, window("signed-in", WIDE))
    _refund(product, merchant)
    old = _regenerate(product, merchant)
    customer.page.goto(old)
    expect(customer.page.get_by_role("heading", name="This link no longer works")).to_be_visible()
    customer.look("ended-link")
    customer.page.goto(f"{product.public_url}/i/nothing")
    customer.look("unknown-link")
    _disconnect(product, merchant, connection)
    steps.follow(page.get_by_role("button", name="Sign out"))
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    merchant.look("sign-in")


def _set_up(product: Surroundings, page: Page) -> int:
    """A company with its newer invoices imported and their links placed."""
    steps.sign_up(page, product, "Lakeside Studio", EMAIL)
    steps.set_brand(page, product, colour="#7c3aed", email="hello@lakeside.example")
    steps.choose_sandbox(page, product)
    page.goto(f"{product.public_url}/connections")
    steps.follow(page.get_by_role("button", name="Connect QuickBooks Online"))
    steps.follow(page.get_by_role("button", name="Connect", exact=True))
    steps.count_from(page, days=75)
    connection = steps.confirm_dry_run(page)
    steps.wait_for_import(page, product, connection)
    steps.wait_for_links(page, product, connection)
    return connection


def _link_of_a_customer(product: Surroundings, merchant: Camera) -> str:
    """The customer with most open invoices in one currency; the link to all of it."""
    page = merchant.page
    page.goto(f"{product.public_url}/customers")
    merchant.look("customers")
    export = page.request.get(f"{product.public_url}/invoices.csv").text()
    owing = Counter(
        (row["customer"], row["currency"]) for row in csv.DictReader(io.StringIO(export)) if row["state"] == "open"
    )
    (name, _), number = owing.most_common(1)[0]
    assert number > 1, "No customer of the little company has several open invoices in one currency."
    page.get_by_label("Name, e-mail address or number").fill(name)
    steps.follow(page.get_by_role("button", name="Show"))
    steps.follow(page.get_by_role("rowheader").get_by_role("link", name=name))
    steps.follow(page.get_by_role("button", name="Generate link"))
    expect(page.get_by_text("The link is ready.")).to_be_visible()
    merchant.look("customer")
    return page.get_by_label("Link", exact=True).input_value()


def _pay_selected(customer: Camera, link: str) -> None:
    """Nothing chosen, then a part of one invoice, then turning back at the gateway."""
    page = customer.page
    page.goto(link)
    expect(page.get_by_role("heading", name="Balance due")).to_be_visible()
    customer.look("account")
    pay = page.get_by_role("button", name="Pay selected")
    pay.click()
    expect(page.get_by_text("Tick at least one invoice")).to_be_visible()
    customer.look("nothing-chosen")
    page.get_by_role("textbox", name="Amount for invoice").first.fill("1")
    expect(page.get_by_role("checkbox", name="Pay invoice").first).to_be_checked()
    pay.click()
    steps.pay_at_sandbox(customer, "sandbox")
    customer.look("receipt")
    page.goto(link)
    steps.follow(page.get_by_role("link", name="All invoices"))
    customer.look("history")
    page.goto(link)
    page.get_by_role("button", name="Pay all").first.click()
    page.get_by_role("button", name="Cancel and go back").click()
    expect(page.get_by_role("heading", name="Payment not finished")).to_be_visible()
    customer.look("turned-back")


def _sign_in_by_mail(product: Surroundings, merchant: Camera, visitor: Camera) -> None:
    """The front page of the portal, a code from the mail, and the account."""
    merchant.page.goto(f"{product.public_url}/invoices")
    front = merchant.page.get_by_label("Your billing link").input_value()
    page = visitor.page
    page.goto(front)
    visitor.look("front-page")
    address = _address_on_file(product, merchant.page)
    page.get_by_label("E-mail address").fill(address)
    steps.follow(page.get_by_role("button", name="Send me a code"))
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    found = re.search(r"\b[0-9]{6}\b", steps.newest_mail(product, address))
    assert found
    page.get_by_label("Code, six digits").fill(found[0])
    steps.follow(page.get_by_role("button", name="Sign in"))
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    visitor.look("account")
    steps.follow(page.get_by_role("button", name="Sign out"))
    expect(page.get_by_role("heading", name="Your account with Lakeside Studio")).to_be_visible()


def _address_on_file(product: Surroundings, page: Page) -> str:
    """A customer's e-mail address as the merchant sees it."""
    page.goto(f"{product.public_url}/customers")
    addresses = [str(link.get_attribute("href")) for link in page.get_by_role("rowheader").get_by_role("link").all()]
    for address in addresses:
        page.goto(product.public_url + address)
        found = re.search(r"[\w.+-]+@[\w-]+\.example\b", page.locator("main").inner_text())
        if found:
            return found[0]
    raise AssertionError("No customer has an e-mail address on file.")


def _refund(product: Surroundings, merchant: Camera) -> None:
    """All of the payment given back, and the entry in the books reversed."""
    page = merchant.page
    page.goto(f"{product.public_url}/payments")
    steps.follow(page.get_by_role("row").filter(has_text="Paid").get_by_role("link").first)
    steps.reload_until(page, "recorded the payment")
    steps.follow(page.get_by_role("link", name="Refund"))
    merchant.look("refund")
    page.get_by_label("Reason").fill("Delivered twice")
    steps.follow(page.get_by_role("button", name="Continue"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Give back")
    merchant.look("refund-confirm")
    steps.follow(page.get_by_role("button", name="Refund "))
    steps.reload_until(page, "QuickBooks Online reversed the payment")
    expect(page.get_by_text("Refunded", exact=True).first).to_be_visible()
    merchant.look("refunded")


def _regenerate(product: Surroundings, merchant: Camera) -> str:
    """A new link in place of an old one; the old one."""
    page = merchant.page
    page.goto(f"{product.public_url}/invoices?state=open")
    steps.follow(page.get_by_role("rowheader").get_by_role("link").first)
    link: Callable[[], str] = page.get_by_label("Link", exact=True).input_value
    old = link()
    steps.follow(page.get_by_role("link", name="Regenerate"))
    merchant.look("regenerate")
    steps.follow(page.get_by_role("button", name="Regenerate"))
    expect(page.get_by_text("The old link has stopped working")).to_be_visible()
    assert link() != old
    return old


def _disconnect(product: Surroundings, merchant: Camera, connection: int) -> None:
    """Links withdrawn from every invoice upstream, then the access given up."""
    page = merchant.page
    page.goto(f"{product.public_url}/connections/{connection}")
    steps.follow(page.get_by_role("link", name="Disconnect"))
    merchant.look("disconnect")
    steps.follow(page.get_by_role("button", name="Disconnect"))
    expect(page.get_by_text("The connection is being ended.")).to_be_visible()
    steps.reload_until(page, "Disconnected")
    merchant.look("disconnected")
    for invoice in steps.upstream_invoices(product, "quickbooks"):
        if invoice["open"]:
            sent = page.request.get(product.upstream_url + invoice["sent"]).text()
            assert f"{product.public_url}/i/" not in sent, f"Invoice {invoice['number']} still carries a link."
