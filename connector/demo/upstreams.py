"""What differs between the two upstreams for the check: consent, where links stand, and how books are read back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from connector.demo.browser import Browser, Page, PageFault
from connector.demo.surroundings import Surroundings
from connector.domain.money import minor_to_text, parse

if TYPE_CHECKING:
    from connector.demo.merchant import Merchant

_PATIENCE_SECONDS = 90.0
# A template's link makes the product ask the upstream at every visit, and the upstream limits how often; so this many
# are followed to the end, and of the others the address alone is compared with the invoice.
_FOLLOWED = 8


@dataclass(frozen=True, slots=True)
class Payable:
    """An open invoice with the address its customer pays at."""

    invoice: dict[str, Any]
    link: str


@dataclass(frozen=True, slots=True)
class Upstream:
    """One upstream. `consent_form` is part of the consent form's address, `consent_word` its yes."""

    name: str
    title: str
    consent_form: str
    consent_word: str
    by_theme: bool

    def books(self, where: Surroundings, browser: Browser) -> dict[str, list[dict[str, Any]]]:
        """Every invoice and payment as they stand upstream."""
        return browser.json(f"{where.upstream_url}/{self.name}/_control/books.json")

    def open_invoices(self, where: Surroundings, browser: Browser) -> list[dict[str, Any]]:
        """Invoices with something due, by the upstream's own books."""
        return [invoice for invoice in self.books(where, browser)["invoices"] if invoice["open"]]

    def place_links(self, where: Surroundings, merchant: Merchant, connection: int) -> int:
        """How many invoices carry a link: placed by API, or by the merchant's own step in the upstream's settings."""
        if not self.by_theme:
            return merchant.wait_until_placed(connection)
        themes = _set_up_themes(where, merchant, connection)
        return sum(1 for invoice in self.open_invoices(where, Browser()) if invoice["theme"] in themes)

    def verify_links(self, where: Surroundings, customer: Browser) -> tuple[int, list[Payable]]:
        """Open each open invoice as its customer receives it and see that its one link leads to that very invoice.

        Raises PageFault when a followed link leads elsewhere.
        """
        payable: list[Payable] = []
        for invoice in self.open_invoices(where, customer):
            page = customer.get(f"{where.upstream_url}{invoice['sent']}")
            ours = sorted({link for link in page.links if link.startswith(f"{where.public_url}/")})
            if len(ours) == 1 and (not self.by_theme or _names(ours[0], invoice)):
                payable.append(Payable(invoice, ours[0]))
        step = max(1, len(payable) // _FOLLOWED) if self.by_theme else 1
        for each in payable[::step]:
            if not _leads_to(customer.get(each.link), each.invoice):
                raise PageFault(f"{self.title}: the link on invoice {each.invoice['number']} leads elsewhere.")
        return len(payable), payable

    def pay(self, where: Surroundings, customer: Browser, payable: list[Payable]) -> dict[str, Any]:
        """Pay an invoice in full through the gateway's page, then read the upstream's books back."""
        if not payable:
            raise PageFault(f"{self.title}: no invoice carries a link that leads to it.")
        chosen = payable[len(payable) // 2]
        known = {payment["id"] for payment in self.books(where, customer)["payments"]}
        before = self._balance(where, customer, chosen)
        checkout = customer.submit(customer.get(chosen.link), "/pay")
        receipt = customer.submit(checkout, "/checkout/", button=("action", "approve"))
        state = _wait_for_receipt(customer, receipt.url)
        after = self._wait_for_change(where, customer, chosen, before)
        made = [
            payment
            for payment in self.books(where, customer)["payments"]
            if payment["id"] not in known and chosen.invoice["id"] in payment["invoices"]
        ]
        if len(made) != 1:
            raise PageFault(f"{self.title}: {len(made)} new payments stand on the invoice, not one.")
        currency = chosen.invoice["currency"]
        return {
            "invoice": chosen.invoice["number"],
            "amount": minor_to_text(before, currency),
            "currency": currency,
            "gateway_state": state,
            "upstream_balance_before": minor_to_text(before, currency),
            "upstream_balance_after": minor_to_text(after, currency),
            "upstream_payment_id": made[0]["id"],
        }

    def _balance(self, where: Surroundings, browser: Browser, chosen: Payable) -> int:
        for invoice in self.books(where, browser)["invoices"]:
            if invoice["id"] == chosen.invoice["id"]:
                return parse(invoice["balance"], invoice["currency"]).minor
        raise PageFault(f"{self.title}: invoice {chosen.invoice['number']} is gone.")

    def _wait_for_change(self, where: Surroundings, browser: Browser, chosen: Payable, before: int) -> int:
        until = time.monotonic() + _PATIENCE_SECONDS
        while (now := self._balance(where, browser, chosen)) == before and time.monotonic() < until:
            time.sleep(0.2)
        return now


QUICKBOOKS = Upstream("quickbooks", "QuickBooks Online", "/connect/oauth2", "connect", by_theme=False)
XERO = Upstream("xero", "Xero", "/identity/connect/authorize", "allow", by_theme=True)


def _set_up_themes(where: Surroundings, merchant: Merchant, connection: int) -> set[str]:
    """The merchant's own step in Xero's settings, then confirmed in the dashboard; the themes that carry the link."""
    address = merchant.address_to_paste(connection)
    settings = f"{where.upstream_url}/xero/settings"
    services = merchant.open(f"{settings}/payment-services")
    merchant.submit(services, "/payment-services", name="Duebridge", url=address, pay_now_text="Pay now")
    themes = merchant.open(f"{settings}/themes")
    form = themes.form("/settings/themes")
    chosen = {}
    for name, options in form.options.items():
        service = next((value for value in options if value), None)
        if name.startswith("theme_") and service is not None:
            chosen[name] = service
    merchant.submit(themes, "/settings/themes", **chosen)
    merchant.confirm_themes(connection)
    return {name.removeprefix("theme_") for name in chosen}


def _names(link: str, invoice: dict[str, Any]) -> bool:
    """Whether a template's link carries this invoice's number, currency and present due."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    currency = str(invoice["currency"])
    return (
        query.get("invoiceNo") == invoice["number"]
        and query.get("currency") == currency
        and parse(query.get("amount", "").replace(",", ""), currency) == parse(str(invoice["balance"]), currency)
    )


def _leads_to(landed: Page, invoice: dict[str, Any]) -> bool:
    """Whether a page of the portal offers to pay this very invoice, all that is due of it."""
    due = parse(str(invoice["balance"]), str(invoice["currency"])).minor
    fields = landed.form("/pay").fields
    if "minor" in fields:
        return fields["minor"] == str(due) and fields.get("invoiceNo") == invoice["number"]
    typed = parse(fields.get("amount", ""), str(invoice["currency"])).minor
    return typed == due and f"Invoice {invoice['number']} " in landed.html.replace("<", " <")


def _wait_for_receipt(customer: Browser, url: str) -> str:
    """Reload the receipt as a person would until the gateway's word has arrived; the state it names."""
    until = time.monotonic() + _PATIENCE_SECONDS
    state = ""
    while time.monotonic() < until:
        state = customer.get(url).data.get("payment-state", "")
        if state not in ("", "intended", "checkout", "requires_action", "processing"):
            break
        time.sleep(0.2)
    return state
