"""The main walk in Chromium: from signing up to the invoice paid in the books, every page looked at."""

from __future__ import annotations

import csv
import io
from typing import Any
from urllib.parse import urljoin

import pytest
from playwright.sync_api import expect

from connector.demo.surroundings import Surroundings
from tests.browser import steps
from tests.browser.camera import Camera

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def test_quickbooks_walk(product: Surroundings, merchant: Camera, customer: Camera) -> None:
    _set_up(product, merchant)
    _connect_quickbooks(product, merchant)
    invoice = _open_one(product, merchant, "quickbooks")
    link = _see_invoice(product, merchant, invoice)
    _pay_by_link(customer, invoice, link)
    _see_payment(product, merchant, invoice, "QuickBooks Online")
    page = merchant.page
    page.goto(f"{product.upstream_url}/quickbooks/books")
    row = page.get_by_role("row").filter(has=page.get_by_role("cell", name=invoice["number"], exact=True))
    expect(row.get_by_text("Paid", exact=True)).to_be_visible()
    _pay_again(customer, link)


def test_xero_walk(product: Surroundings, merchant: Camera, customer: Camera) -> None:
    page = merchant.page
    steps.sign_up(page, product, "Harbour Consulting", "kim@harbour.example")
    steps.set_brand(page, product, colour="#b45309", email="billing@harbour.example")
    steps.choose_sandbox(page, product)
    page.goto(f"{product.public_url}/connections")
    steps.follow(page.get_by_role("button", name="Connect Xero"))
    steps.follow(page.get_by_role("button", name="Allow access"))
    expect(page.get_by_role("heading", name="What would happen")).to_be_visible()
    merchant.look("dry-run")
    connection = steps.confirm_dry_run(page)
    steps.wait_for_import(page, product, connection)
    _place_on_themes(product, merchant, connection)
    invoice = _open_one(product, merchant, "xero")
    page.goto(f"{product.upstream_url}{invoice['sent']}")
    link = str(page.get_by_role("link", name="Pay now").get_attribute("href"))
    assert link.startswith(f"{product.public_url}/x/")
    _pay_from_xero(product, customer, invoice)
    _see_payment(product, merchant, invoice, "Xero")
    assert _balance(product, "xero", invoice) == 0
    page.goto(f"{product.public_url}/connections/{connection}")
    expect(page.get_by_text("Proven")).to_be_visible()
    merchant.look("connection-proven")
    _guess(product, customer, link)


def _set_up(product: Surroundings, merchant: Camera) -> None:
    page = merchant.page
    page.goto(f"{product.public_url}/sign-up")
    merchant.look("sign-up")
    steps.sign_up(page, product, "Northwind IT & Design", "alex@northwind.example")
    merchant.look("checklist")
    steps.set_brand(page, product, colour="#14532d", email="billing@northwind.example")
    merchant.look("brand")
    steps.choose_sandbox(page, product)
    merchant.look("payments-settings")


def _connect_quickbooks(product: Surroundings, merchant: Camera) -> None:
    """With a history start, so that the links are placed within the real one's rate limit in a few seconds."""
    page = merchant.page
    page.goto(f"{product.public_url}/connections")
    merchant.look("connections")
    steps.follow(page.get_by_role("button", name="Connect QuickBooks Online"))
    merchant.look("consent")
    steps.follow(page.get_by_role("button", name="Connect", exact=True))
    expect(page.get_by_role("heading", name="What would happen")).to_be_visible()
    steps.count_from(page, days=45)
    merchant.look("dry-run")
    connection = steps.confirm_dry_run(page)
    merchant.look("import")
    steps.wait_for_import(page, product, connection)
    steps.wait_for_links(page, product, connection)
    page.reload()
    merchant.look("connection")
    page.goto(f"{product.public_url}/")
    merchant.look("home")
    page.goto(f"{product.public_url}/invoices")
    merchant.look("invoices")


def _open_one(product: Surroundings, merchant: Camera, system: str) -> dict[str, Any]:
    """An open invoice in dollars, nothing of it paid, by the merchant's own list; as the upstream knows it."""
    export = merchant.page.request.get(f"{product.public_url}/invoices.csv").text()
    numbers = [
        row["number"]
        for row in csv.DictReader(io.StringIO(export))
        if (row["state"], row["currency"], row["balance"]) == ("open", "USD", row["total"])
    ]
    number = numbers[len(numbers) // 2]
    (invoice,) = (one for one in steps.upstream_invoices(product, system) if one["number"] == number)
    return invoice


def _balance(product: Surroundings, system: str, invoice: dict[str, Any]) -> float:
    (now,) = (one for one in steps.upstream_invoices(product, system) if one["id"] == invoice["id"])
    return float(now["balance"])


def _see_invoice(product: Surroundings, merchant: Camera, invoice: dict[str, Any]) -> str:
    """The merchant's page of it, the link copied, and the same link on what its customer receives."""
    page = merchant.page
    steps.open_invoice_page(page, product, invoice["number"])
    steps.follow(page.get_by_role("button", name="Check link"))
    expect(page.get_by_text("We have read the invoice back")).to_be_visible()
    merchant.look("invoice")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = str(page.evaluate("navigator.clipboard.readText()"))
    assert copied == page.get_by_label("Link", exact=True).input_value()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open as preview").click()
    expect(opened.value.get_by_text("Nothing can be paid here")).to_be_visible()
    assert opened.value.get_by_role("button", name="Pay").count() == 0
    opened.value.close()
    page.goto(f"{product.upstream_url}{invoice['sent']}")
    merchant.look("as-sent")
    assert page.locator("#memo").get_by_role("link").get_attribute("href") == copied
    return copied


def _pay_by_link(customer: Camera, invoice: dict[str, Any], link: str) -> None:
    page = customer.page
    page.goto(link)
    expect(page.get_by_role("heading", name=f"Invoice {invoice['number']}")).to_be_visible()
    customer.look("invoice")
    path = page.get_by_role("link", name="Open the PDF").get_attribute("href")
    pdf = page.request.get(urljoin(link, str(path)))
    assert pdf.ok and pdf.body().startswith(b"%PDF")
    amount = page.get_by_label("You pay")
    whole = amount.input_value()
    amount.fill("12.345")
    page.get_by_role("button", name="Pay").click()
    expect(amount).to_have_attribute("aria-invalid", "true")
    customer.look("wrong-amount")
    amount.fill(whole)
    page.get_by_role("button", name="Pay").click()
    steps.pay_at_sandbox(customer, "sandbox")
    customer.look("receipt")


def _pay_again(customer: Camera, link: str) -> None:
    """What is paid cannot be paid twice, and says so."""
    page = customer.page
    page.goto(link)
    expect(page.get_by_text("This invoice is paid. Thank you.")).to_be_visible()
    assert page.get_by_role("button", name="Pay").count() == 0
    customer.look("paid-invoice")


def _see_payment(product: Surroundings, merchant: Camera, invoice: dict[str, Any], title: str) -> None:
    """The payments' list, and the timeline down to the upstream's answer."""
    page = merchant.page
    page.goto(f"{product.public_url}/payments")
    merchant.look("payments")
    steps.follow(page.get_by_role("rowheader").get_by_role("link").first)
    steps.reload_until(page, f"{title} recorded the payment")
    expect(page.get_by_text(f"Sent the payment to {title}")).to_be_visible()
    expect(page.get_by_role("link", name=f"Invoice {invoice['number']}")).to_be_visible()
    merchant.look("payment")


def _place_on_themes(product: Surroundings, merchant: Camera, connection: int) -> None:
    """The merchant's own step: copy the address, add it in Xero, choose it for each theme, confirm here."""
    page = merchant.page
    steps.wait_for(
        "listing the themes", lambda: bool(steps.progress(page, product, connection)["placements"]["manual"])
    )
    page.goto(f"{product.public_url}/connections/{connection}")
    merchant.look("themes")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    address = str(page.evaluate("navigator.clipboard.readText()"))
    page.goto(f"{product.upstream_url}/xero/settings/payment-services")
    page.get_by_label("Name").fill("Pay online")
    page.get_by_label("URL", exact=True).fill(address)
    page.get_by_label("Pay now text").fill("Pay now")
    steps.follow(page.get_by_role("button", name="Add"))
    page.goto(f"{product.upstream_url}/xero/settings/themes")
    for chooser in page.get_by_role("combobox").all():
        if "Pay online" in chooser.inner_text():
            chooser.select_option(label="Pay online")
    steps.follow(page.get_by_role("button", name="Save"))
    page.goto(f"{product.public_url}/connections/{connection}")
    done = page.get_by_role("button", name="I have done this")
    for _ in range(done.count()):
        steps.follow(done.first)
        expect(page.get_by_text("The first customer who opens the link from an invoice proves it.")).to_be_visible()
    expect(done).to_have_count(0)
    merchant.look("themes-confirmed")


def _pay_from_xero(product: Surroundings, customer: Camera, invoice: dict[str, Any]) -> None:
    page = customer.page
    page.goto(f"{product.upstream_url}{invoice['sent']}")
    customer.look("as-sent")
    steps.follow(page.get_by_role("link", name="Pay now"))
    expect(page.get_by_role("heading", name="Amount due")).to_be_visible()
    customer.look("landing")
    page.get_by_role("button", name="Pay ", exact=False).first.click()
    steps.pay_at_sandbox(customer, "sandbox")
    customer.look("receipt")


def _guess(product: Surroundings, customer: Camera, link: str) -> None:
    """Whoever changes the address learns nothing, and is offered a code that goes to somebody else."""
    page = customer.page
    page.goto(link.replace("amount=", "amount=9"))
    expect(page.get_by_role("heading", name="See your invoice")).to_be_visible()
    customer.look("landing-unproven")
    steps.follow(page.get_by_role("button", name="Send me a code"))
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    customer.look("code")
    page.get_by_label("Code, six digits").fill("000000")
    steps.follow(page.get_by_role("button", name="See the invoice"))
    expect(page.get_by_text("This code is not right")).to_be_visible()
    customer.look("wrong-code")
