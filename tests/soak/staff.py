"""The merchant's own people: they connect, make links, give money back and correct invoices in their own software."""

from __future__ import annotations

import random
import re
from collections import Counter

import requests
import sqlalchemy as sa

from connector.db import tables as t
from connector.db.engine import bind_to_merchant, make_engine
from connector.demo.browser import Browser, PageFault
from connector.demo.merchant import Merchant
from connector.demo.upstreams import QUICKBOOKS, XERO, Upstream
from tests.soak.customers import Customer
from tests.soak.people import Person
from tests.soak.processes import Place

_LINK = re.compile(r'value="(http[^"]*/i/[^"]+)"')
_PAYMENT = re.compile(r'href="/payments/([0-9a-f]{32})"')
_FORM_KEY = re.compile(r'name="form_key" value="([^"]+)"')


class Staff:
    """One signed-in merchant with a QuickBooks company and a Xero organisation."""

    def __init__(self, place: Place, chance: random.Random) -> None:
        self._place = place
        self._chance = chance
        self._browser = Browser()
        self._merchant = Merchant(place, self._browser)
        self.counts: Counter[str] = Counter()
        self._by_hand: list[tuple[str, str]] = []
        self._memos: list[tuple[str, str]] = []
        self._numbers: dict[str, int] = {}
        self._connections: list[tuple[Upstream, int]] = []

    def set_up(self) -> list[Customer]:
        """Sign up, connect both, wait for the import and the links; the customers with their links.

        Every seventh customer's invoices are left to the bookkeepers, who void, delete and pay them by hand: what
        they do to an invoice a customer is just paying is for a person to decide, and is tested elsewhere.
        """
        self._merchant.sign_up()
        customers: list[Customer] = []
        for upstream in (QUICKBOOKS, XERO):
            connection = self._merchant.connect(upstream)
            self._merchant.wait_until_imported(connection)
            upstream.place_links(self._place, self._merchant, connection)
            self._connections.append((upstream, connection))
            customers += self._customers_of(upstream, connection)
        return customers

    def fresh_link(self, customer: Customer) -> None:
        """End a customer's link and give them the new one."""
        address = self._merchant.url(f"/customers/{self._numbers[_who(customer)]}/regenerate")
        self._browser.submit(self._browser.get(address), "/regenerate")
        customer.link = self._link_of(self._numbers[_who(customer)])
        self.counts["links regenerated"] += 1

    def refund_something(self) -> None:
        """Give back a payment that has settled, in full or in part."""
        listed = self._browser.get(self._merchant.url("/payments?state=settled")).html
        found = sorted(set(_PAYMENT.findall(listed)))
        if not found:
            return
        payment = self._chance.choice(found)
        address = self._merchant.url(f"/payments/{payment}/refund")
        page = self._browser.get(address)
        form = next((form for form in page.forms if "/refund" in form.action), None)
        if form is None:
            return
        amount = form.fields.get("amount", "")
        if self._chance.random() < 0.6:
            amount = _half(amount)
        confirm = self._browser.get(f"{address}?amount={amount}&reason=Soak")
        for _ in range(2 if self._chance.random() < 0.2 else 1):
            try:
                self._browser.submit(confirm, "/refund")
            except (PageFault, requests.RequestException):
                # Sent again: the same form is the same refund.
                self._browser.submit(confirm, "/refund")
        self.counts["refunds asked"] += 1

    def connect_again(self) -> None:
        """Look at the connections, and consent anew where the dashboard says that access has ended."""
        for upstream, connection in self._connections:
            page = self._browser.get(self._merchant.url(f"/connections/{connection}"))
            # Only an active one can be read now.
            if any(form.action.endswith("/sync") for form in page.forms):
                continue
            consent = self._browser.submit(page, "/reconnect")
            self._browser.submit(consent, upstream.consent_form, button=("decision", upstream.consent_word))
            self.counts["connected again"] += 1

    def issue_again(self, customer: Customer) -> None:
        """A new invoice for a customer, as an earlier one was: without new ones there is soon nothing left to pay."""
        address = (
            f"{self._place.upstream_url}/{customer.system}/_control/invoices/{self._chance.choice(customer.invoices)}"
        )
        if customer.system == "quickbooks":
            answer = requests.post(f"{address}/copy", json={}, timeout=20)
        else:
            answer = requests.post(address, json={"action": "copy"}, timeout=20)
        answer.raise_for_status()
        customer.invoices.append(answer.json()["id"])
        self.counts["new invoices"] += 1

    def change_by_hand(self) -> None:
        """A bookkeeper's change upstream."""
        if self._by_hand and self._chance.random() < 0.3:
            system, invoice = self._by_hand.pop(self._chance.randrange(len(self._by_hand)))
            action = self._chance.choice(("void", "pay", "delete" if system == "quickbooks" else "void"))
        else:
            system, invoice = self._chance.choice(self._memos)
            action = "memo" if system == "quickbooks" else "edit"
        body = {"memo": f"Changed {self._chance.random()}", "reference": f"Changed {self._chance.randrange(10**6)}"}
        address = f"{self._place.upstream_url}/{system}/_control/invoices/{invoice}"
        if system == "quickbooks":
            answer = requests.post(f"{address}/{action}", json=body if action == "memo" else {}, timeout=20)
        else:
            sent = {"action": action, **({"reference": body["reference"]} if action == "edit" else {})}
            answer = requests.post(address, json=sent, timeout=20)
        self.counts[f"{action} by hand" if answer.ok else f"{action} by hand, refused upstream"] += 1

    def _customers_of(self, upstream: Upstream, connection: int) -> list[Customer]:
        engine = make_engine(self._place.database_url)
        c, i = t.customers.c, t.invoices.c
        with engine.connect() as reading, reading.begin():
            bind_to_merchant(reading, None)
            rows = reading.execute(
                sa.select(c.id, c.remote_id, c.name).where(c.connection_id == connection).order_by(c.id)
            ).all()
            owed: dict[str, list[tuple[str, str]]] = {}
            for row in reading.execute(
                sa.select(i.customer, i.remote_id, i.currency).where(
                    i.connection_id == connection, i.kind == "invoice", i.state == "open", i.balance > 0
                )
            ):
                owed.setdefault(row.customer, []).append((row.remote_id, row.currency))
        engine.dispose()
        made = []
        for position, row in enumerate(row for row in rows if row.remote_id in owed):
            invoices = [invoice for invoice, _ in owed[row.remote_id]]
            currency = owed[row.remote_id][0][1]
            if position % 7 == 6:
                self._by_hand += [(upstream.name, invoice) for invoice in invoices]
                continue
            if upstream.name == "xero" and currency != "USD":
                # A Xero bank account keeps one currency; payments in others are refused for a person to decide.
                continue
            self._memos += [(upstream.name, invoice) for invoice in invoices]
            customer = Customer(row.name, upstream.name, currency, "", Person(len(self._numbers) + 10), invoices)
            self._numbers[_who(customer)] = row.id
            page = self._browser.get(self._merchant.url(f"/customers/{row.id}"))
            self._browser.submit(page, f"/customers/{row.id}/link")
            customer.link = self._link_of(row.id)
            made.append(customer)
        return made

    def _link_of(self, number: int) -> str:
        page = self._browser.get(self._merchant.url(f"/customers/{number}"))
        found = _LINK.search(page.html)
        if found is None:
            raise PageFault(f"{page.url} shows no link.")
        return found[1]


def _who(customer: Customer) -> str:
    return f"{customer.system}:{customer.name}"


def _half(amount: str) -> str:
    """About half of an amount as it is typed, never nothing."""
    whole, point, decimals = amount.partition(".")
    half = int(whole + decimals) // 2 or 1
    digits = str(half).rjust(len(decimals) + 1, "0")
    return f"{digits[: len(digits) - len(decimals)]}{point}{digits[len(digits) - len(decimals) :]}" if point else digits
