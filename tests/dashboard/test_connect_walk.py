"""A merchant's way through the pages against the real adapters and the simulated upstreams, over real HTTP."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

import pytest
import requests

from connector.demo.browser import Browser, Page, PageFault
from tests.walks.world import World, world

CONSENT = {
    "quickbooks": ("/connect/oauth2", "connect"),
    "xero": ("/identity/connect/authorize", "allow"),
}


@dataclass
class Walk:
    """The world's merchant with a browser."""

    world: World
    browser: Browser
    system: str

    def page(self, path: str, expect: int = 200) -> Page:
        """A page of the product."""
        return self.browser.get(self.world.public_url + path, expect=expect)

    def press(self, path: str, part: str, **values: str) -> Page:
        """A form of a page of the product."""
        return self.browser.submit(self.page(path), part, None, **values)

    def consent(self, page: Page, part: str, decision: str | None = None) -> Page:
        """From a Connect button through the vendor's screen and back."""
        screen = self.browser.submit(page, part)
        form, word = CONSENT[self.system]
        return self.browser.submit(screen, form, ("decision", decision or word))

    def connect(self) -> int:
        """Consent and confirm; the connection's id."""
        review = self.consent(self.page("/connections"), f"/connections/{self.system}/begin")
        connection = int(re.findall(r"/connections/(\d+)/review$", review.url)[0])
        account = next(value for value in review.form("/confirm").options["deposit_account"] if value)
        self.browser.submit(review, "/confirm", deposit_account=account, place_links="1")
        return connection

    def open_links(self) -> dict[str, str]:
        """Number -> our link, of the invoices as their customers receive them."""
        found = {}
        for invoice in self.world.books(self.system)["invoices"]:
            sent = html.unescape(self.world.memo(invoice["sent"])) if invoice["open"] else ""
            link = re.search(re.escape(self.world.public_url) + r"/i/([A-Za-z0-9_-]{22})", sent)
            if link:
                found[str(invoice["number"])] = link[1]
        return found


def walking(here: World, system: str) -> Walk:
    """Sign the world's merchant in."""
    browser = Browser()
    page = browser.get(f"{here.public_url}/sign-in")
    browser.submit(page, "/sign-in", email="alex@northwind.example", password="a long password")
    return Walk(here, browser, system)


@pytest.mark.parametrize("system", ["quickbooks", "xero"])
def test_nothing_leaves_before_the_merchant_confirms(schema_url: str, system: str) -> None:
    with world(schema_url) as here:
        walk = walking(here, system)
        before = here.books(system)
        review = walk.consent(walk.page("/connections"), f"/connections/{system}/begin")
        path = review.url.removeprefix(here.public_url).removesuffix("/review")
        everything = int(re.findall(r"Invoices</th><td[^>]*>([\d,]+)", review.html)[0].replace(",", ""))
        # Xero sends deleted invoices to nobody, so at most what stands in the books is counted.
        assert 0 < everything <= len(before["invoices"])
        counted = walk.browser.submit(review, "/survey", None, since=here.now().date().replace(day=1).isoformat())
        fewer = int(re.findall(r"Invoices</th><td[^>]*>([\d,]+)", counted.html)[0].replace(",", ""))
        assert fewer < everything and "Counted again" in counted.html
        here.work()
        progress = walk.browser.json(f"{here.public_url}{path}/progress.json")
        assert (progress["state"], progress["invoices"], progress["customers"]) == ("pending", 0, 0)
        assert here.books(system) == before and walk.open_links() == {}


def test_quickbooks_from_connect_to_disconnect(schema_url: str) -> None:
    with world(schema_url) as here:
        walk = walking(here, "quickbooks")
        connection = walk.connect()
        here.work()
        progress = walk.browser.json(f"{here.public_url}/connections/{connection}/progress.json")
        open_now = {str(one["number"]): one for one in here.books("quickbooks")["invoices"] if one["open"]}
        assert progress["first_import_done"] and progress["placements"]["placed"] == len(open_now)
        assert set(walk.open_links()) == set(open_now)

        number = sorted(open_now)[0]
        found = walk.page(f"/invoices?q={number}")
        invoice = re.findall(rf'href="(/invoices/\d+)">{number}<', found.html)[0]
        page = walk.press(invoice, "/check-link")
        assert "We have read the invoice back" in page.html and "not yet" not in page.html
        page = walk.press(invoice, "/sync")
        assert "Read again just now" in page.html

        old = walk.open_links()[number]
        walk.press(f"{invoice}/regenerate", "/regenerate")
        here.work()
        new = walk.open_links()[number]
        assert new != old
        assert walk.page(f"/i/{old}", expect=410).status == 410
        assert number in walk.page(f"/i/{new}?preview=1").html

        walk.press(f"/connections/{connection}/disconnect", "/disconnect", withdraw_links="1")
        here.work()
        assert walk.open_links() == {}, "our line is gone from every invoice"
        assert "Disconnected" in walk.page(f"/connections/{connection}").html
        assert walk.page(f"/i/{new}", expect=410).status == 410

        page = walk.consent(walk.page(f"/connections/{connection}"), "/reconnect")
        here.work()
        state = walk.browser.json(f"{here.public_url}/connections/{connection}/progress.json")["state"]
        assert state == "active" and "connected again" in page.html


def test_a_lost_connection_says_so_everywhere_and_comes_back(sqlite_schema_url: str) -> None:
    with world(sqlite_schema_url) as here:
        walk = walking(here, "quickbooks")
        connection = walk.connect()
        here.work()
        assert requests.post(f"{here.upstream_url}/quickbooks/_control/disconnect", json={}, timeout=10).ok
        here.advance(7200)
        walk.press(f"/connections/{connection}", f"/connections/{connection}/sync")
        here.work()
        for path in ("/", "/invoices", "/payments", f"/connections/{connection}"):
            page = walk.page(path)
            assert "was lost" in page.html, path
            assert page.form(f"/connections/{connection}/reconnect")
        walk.consent(walk.page("/"), f"/connections/{connection}/reconnect")
        assert "was lost" not in walk.page("/").html


def test_xero_gives_the_merchant_the_steps_and_believes_a_visit(schema_url: str) -> None:
    with world(schema_url) as here:
        walk = walking(here, "xero")
        connection = walk.connect()
        here.work()
        page = walk.page(f"/connections/{connection}")
        pasted = html.unescape(re.findall(r'value="([^"]+/x/[^"]+)"', page.html)[0])
        assert pasted.endswith("&shortCode=[SHORTCODE]") and pasted.count("?") == 1
        themes = [form for form in page.forms if "/themes/" in form.action]
        assert len(themes) >= 2 and "No real visit yet" in page.html
        for form in themes:
            page = walk.browser.submit(walk.page(f"/connections/{connection}"), form.action)
        assert page.html.count("Confirmed by merchant") == len(themes)
        progress = walk.browser.json(f"{here.public_url}/connections/{connection}/progress.json")
        assert progress["placements"]["confirmed"] == len(themes) and progress["placements"]["manual"] == 0
        invoice = next(one for one in here.books("xero")["invoices"] if one["open"])
        landing = pasted.replace("[INVOICENUMBER]", invoice["number"]).replace("[CURRENCY]", invoice["currency"])
        with here.wiring.database.view(here.merchant_id) as view:
            code = view.connections.get(connection).extra.get("short_code", "")
        landing = landing.replace("[AMOUNTDUE]", str(invoice["balance"])).replace("[SHORTCODE]", code)
        Browser().get(landing)
        assert "First real visit" in walk.page(f"/connections/{connection}").html


@pytest.mark.parametrize("system", ["quickbooks", "xero"])
def test_a_refusal_at_the_vendor_is_told_in_words(sqlite_schema_url: str, system: str) -> None:
    with world(sqlite_schema_url) as here:
        walk = walking(here, system)
        screen = walk.browser.submit(walk.page("/connections"), f"/connections/{system}/begin")
        form = screen.form(CONSENT[system][0])
        refused = requests.post(
            form.action, data={**form.fields, "decision": "cancel"}, allow_redirects=False, timeout=10
        )
        page = walk.browser.get(refused.headers["Location"], expect=400)
        assert page.html.count('class="alert bad"') == 1 and page.form(f"/connections/{system}/begin")
        assert walk.page("/connections").html.count("<tr>") == 0


def test_a_callback_counts_once_and_only_in_its_own_session(sqlite_schema_url: str) -> None:
    with world(sqlite_schema_url) as here:
        walk = walking(here, "quickbooks")
        screen = walk.browser.submit(walk.page("/connections"), "/connections/quickbooks/begin")
        form = screen.form(CONSENT["quickbooks"][0])
        answer = requests.post(
            form.action, data={**form.fields, "decision": "connect"}, allow_redirects=False, timeout=10
        )
        back = answer.headers["Location"]
        stranger = walking(here, "quickbooks")
        assert "not started from your session" in stranger.browser.get(back, expect=403).html
        assert walk.browser.get(back).url.endswith("/review")
        assert "used already" in walk.browser.get(back, expect=410).html
        with here.wiring.database.view(here.merchant_id) as view:
            assert len(view.connections.all()) == 1


def test_an_upstream_that_does_not_answer_costs_nothing(sqlite_schema_url: str) -> None:
    with world(sqlite_schema_url) as here:
        walk = walking(here, "quickbooks")
        here.fault("quickbooks", "html_503", "*", times=200)
        with pytest.raises(PageFault, match=r"answered 503: .*Start the connection again"):
            walk.consent(walk.page("/connections"), "/connections/quickbooks/begin")
        assert walk.page("/connections").html.count("<tr>") == 0
        assert requests.post(f"{here.upstream_url}/quickbooks/_control/faults/clear", json={}, timeout=10).ok
        here.fault("quickbooks", "html_503", "invoice.query", times=200)
        review = walk.consent(walk.page("/connections"), "/connections/quickbooks/begin")
        assert review.url.endswith("/review") and "could not count yet" in review.html
        assert [form for form in review.forms if "/confirm" in form.action] == []
        assert requests.post(f"{here.upstream_url}/quickbooks/_control/faults/clear", json={}, timeout=10).ok
        counted = walk.browser.submit(review, "/survey", None, since="")
        assert "what we counted" in counted.html and "open invoices" in counted.html
