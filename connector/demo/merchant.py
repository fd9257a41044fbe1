"""What a merchant does in the dashboard, done through its pages and forms."""

from __future__ import annotations

import csv
import html
import io
import re
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

from connector.demo.browser import Browser, Page, PageFault
from connector.demo.surroundings import Surroundings
from connector.demo.upstreams import Upstream
from connector.domain.money import parse
from connector.domain.records import InvoiceState

_PATIENCE_SECONDS = 120.0
_BOOKS_SECONDS = 30.0
_PAUSE = 0.25


class Merchant:
    """A signed-in merchant."""

    def __init__(self, where: Surroundings, browser: Browser) -> None:
        self._where = where
        self._browser = browser

    def url(self, path: str) -> str:
        """A page of the product."""
        return self._where.public_url + path

    def sign_up(self) -> None:
        """A new account with a brand, paid through the sandbox gateway."""
        page = self._browser.get(self.url("/sign-up"))
        self._browser.submit(
            page,
            "/sign-up",
            company="Northwind IT & Design",
            name="Alex Check",
            email=f"check-{secrets.token_hex(4)}@duebridge.example",
            password=secrets.token_urlsafe(16),
        )
        page = self._browser.get(self.url("/settings/brand"))
        self._browser.submit(
            page, "/settings/brand", colour="#14532d", help_email="billing@northwind.example", help_phone="+1 555 0100"
        )
        page = self._browser.get(self.url("/settings/payments"))
        self._browser.submit(page, "/settings/payments", gateway="sandbox", allow_partial="on")

    def connect(self, upstream: Upstream) -> int:
        """Consent at the upstream, look at the dry run, confirm; the connection's number."""
        page = self._browser.get(self.url("/connections"))
        consent = self._browser.submit(page, f"/connections/{upstream.name}/begin")
        review = self._browser.submit(consent, upstream.consent_form, button=("decision", upstream.consent_word))
        found = re.search(r"/connections/([0-9]+)/review", review.url)
        if found is None:
            raise PageFault(f"After the consent the browser stood at {review.url}, not at the dry run.")
        form = review.form("/confirm")
        accounts = [value for value in form.options.get("deposit_account", []) if value]
        if not accounts:
            raise PageFault("The dry run offers no account to deposit payments to.")
        self._browser.submit(review, "/confirm", deposit_account=accounts[0], place_links="on")
        return int(found[1])

    def wait_until_imported(self, connection: int) -> dict[str, Any]:
        """Watch the progress as the page does, until the first import is done."""
        return self._wait(connection, "the first import", lambda seen: bool(seen["first_import_done"]))

    def wait_until_placed(self, connection: int) -> int:
        """Watch until no link is waiting to be placed; how many stand."""
        seen = self._wait(
            connection,
            "placing links",
            lambda now: bool(now["placements"].get("placed")) and not now["placements"].get("planned"),
        )
        return int(seen["placements"]["placed"])

    def open(self, url: str) -> Page:
        """Any page, also of the upstream's own settings, where the merchant is signed in as well."""
        return self._browser.get(url)

    def submit(self, page: Page, part: str, **values: str) -> Page:
        """Submit a form."""
        return self._browser.submit(page, part, None, **values)

    def address_to_paste(self, connection: int) -> str:
        """The address the dashboard asks the merchant to paste into the upstream's settings."""
        page = self._browser.get(self.url(f"/connections/{connection}"))
        found = re.search(r'value="([^"]+/x/[^"]+)"', page.html)
        if found is None:
            raise PageFault(f"{page.url} shows no address to paste.")
        return html.unescape(found[1])

    def confirm_themes(self, connection: int) -> None:
        """Say in the dashboard that each theme carries the link now."""
        self._wait(connection, "listing the themes", lambda now: bool(now["placements"].get("manual")))
        while True:
            page = self._browser.get(self.url(f"/connections/{connection}"))
            form = next((form for form in page.forms if "/themes/" in form.action), None)
            if form is None:
                return
            self._browser.submit(page, form.action)

    def books(self, upstreams: Sequence[Upstream]) -> dict[str, Any]:
        """The ledger's sum as the product states it, and how many open invoices differ from the upstreams' books, those
        the product itself has found included.

        What was paid a moment ago is read back by the product within seconds, so a difference must last to count.
        """
        until = time.monotonic() + _BOOKS_SECONDS
        while (found := self._books(upstreams))["open_differences"] and time.monotonic() < until:
            time.sleep(_PAUSE)
        return found

    def _books(self, upstreams: Sequence[Upstream]) -> dict[str, Any]:
        stated = self._browser.json(self.url("/books.json"))
        ours = {
            (row["system"], row["number"], row["currency"]): parse(row["balance"], row["currency"]).minor
            for row in self._export("/invoices.csv")
            if row["state"] == InvoiceState.OPEN
        }
        theirs = {
            (upstream.name, row["number"], row["currency"]): parse(row["balance"], row["currency"]).minor
            for upstream in upstreams
            for row in upstream.open_invoices(self._where, self._browser)
        }
        differences = set(ours.items()) ^ set(theirs.items())
        known = int(stated["open_differences"])
        return {"ledger_sum": stated["ledger_sum"], "open_differences": len(differences) + known}

    def _export(self, path: str) -> list[dict[str, str]]:
        page = self._browser.get(self.url(path))
        return list(csv.DictReader(io.StringIO(page.html)))

    def _wait(self, connection: int, what: str, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        until = time.monotonic() + _PATIENCE_SECONDS
        seen: dict[str, Any] = {}
        while time.monotonic() < until:
            seen = self._browser.json(self.url(f"/connections/{connection}/progress.json"))
            if done(seen):
                return seen
            time.sleep(_PAUSE)
        raise PageFault(f"{what} did not end within {_PATIENCE_SECONDS:.0f} seconds; it stood at {seen}.")
