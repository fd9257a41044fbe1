"""What a person sees and does: books, the invoice as sent, the controls."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.integrations.systems.quickbooks.simulator.driving import CLIENT, OTHER_REALM, REDIRECT, SCOPE, Running


def _get(run: Running, path: str) -> requests.Response:
    return requests.get(f"{run.url}{path}", timeout=10)


def test_every_page_is_strict(seeded: Running) -> None:
    for path in ("/", "/books", f"/books?realm={OTHER_REALM}", "/sent/1", "/_control/", "/_control/invoices/1"):
        page = _get(seeded, path)
        assert page.status_code == 200, path
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in page.headers
    for path in ("/sent/999999", "/_control/invoices/999999", "/books?realm=1", "/sent/999999.pdf"):
        assert _get(seeded, path).status_code == 404


def test_the_books_show_invoices_and_payments(seeded: Running) -> None:
    page = _get(seeded, "/books").text
    for text in (
        "株式会社さくら",
        "Müller &amp; Söhne GmbH",
        "O&#39;Brien Roofing",
        "Overdue",
        "Paid",
        "Voided",
        "1300",
    ):
        assert text in page
    yen = seeded.open_invoice("JPY")
    assert f"{yen['Balance']:,} JPY" in page


def test_the_invoice_as_sent_shows_the_link_to_click(run: Running) -> None:
    invoice = run.open_invoice()
    link = "https://pay.example.com/i/3fJk9aQ2?a=1&b=2"
    memo = {"value": f"<b>Hello</b>\nPay online: {link}"}
    run.post("invoice", {"Id": invoice["Id"], "SyncToken": "0", "sparse": True, "CustomerMemo": memo})
    page = _get(run, f"/sent/{invoice['Id']}").text
    assert '<a href="https://pay.example.com/i/3fJk9aQ2?a=1&amp;b=2" rel="noreferrer">' in page
    assert "&lt;b&gt;Hello" in page
    assert invoice["CustomerRef"]["name"].split("&")[0].split("'")[0] in page
    assert _get(run, f"/sent/{invoice['Id']}.pdf").content.startswith(b"%PDF")


def test_a_bookkeeper_issues_the_same_invoice_again(run: Running) -> None:
    invoice = run.open_invoice()
    address = f"{run.url}/_control/invoices/{invoice['Id']}/copy"
    new = run.read("Invoice", requests.post(address, json={}, timeout=5).json()["id"])
    assert new["Id"] != invoice["Id"] and new["DocNumber"] != invoice["DocNumber"]
    assert new["CustomerRef"] == invoice["CustomerRef"]
    assert (
        new["Balance"]
        == new["TotalAmt"]
        == sum(line["Amount"] for line in new["Line"][:-1]) + new["TxnTaxDetail"]["TotalTax"]
    )
    assert run.read("Invoice", invoice["Id"]) == invoice
    shown = requests.post(address, data={}, timeout=5).url.split("?")[0].rpartition("/")[2]
    assert shown not in (invoice["Id"], new["Id"])


def test_a_bookkeeper_edits_pays_voids_and_deletes_by_hand(run: Running) -> None:
    invoice = run.open_invoice()
    address = f"{run.url}/_control/invoices/{invoice['Id']}"
    assert requests.post(f"{address}/memo", data={"memo": "By hand"}, timeout=5).status_code == 200
    assert run.read("Invoice", invoice["Id"])["CustomerMemo"] == {"value": "By hand"}
    paid = requests.post(f"{address}/pay", json={"amount": "1.50", "reference": "cash"}, timeout=5)
    payment = paid.json()["id"]
    assert run.read("Invoice", invoice["Id"])["Balance"] == invoice["Balance"] - Decimal("1.50")
    assert "cash" in _get(run, f"/_control/invoices/{invoice['Id']}").text
    refused = requests.post(f"{address}/pay", data={"amount": "99999999"}, timeout=5)
    assert refused.status_code == 400
    assert "open balance" in refused.text
    assert requests.post(f"{address}/pay", data={"amount": "much"}, timeout=5).status_code == 400
    assert requests.post(f"{address}/explode", data={}, timeout=5).status_code == 404
    payments = f"{run.url}/_control/payments/{payment}"
    assert requests.post(f"{payments}/deposit", json={}, timeout=5).status_code == 200
    assert requests.post(f"{payments}/void", json={}, timeout=5).status_code == 400
    assert requests.post(f"{address}/void", data={}, timeout=5).status_code == 200
    assert run.read("Invoice", invoice["Id"])["PrivateNote"] == "Voided"
    assert requests.post(f"{address}/delete", data={}, timeout=5).url.split("?")[0].endswith("/books")
    assert _get(run, f"/sent/{invoice['Id']}").status_code == 404
    operations = {line["operation"] for line in run.parts.journal.entries("commit")}
    assert {"by-hand.invoice.memo", "by-hand.invoice.pay", "by-hand.invoice.delete"} <= operations


def test_the_control_surface_speaks_json(run: Running) -> None:
    control = f"{run.url}/_control"
    armed = requests.post(
        f"{control}/faults", json={"kind": "slow", "operation": "invoice.read", "seconds": 0.1}, timeout=5
    )
    assert armed.json()["armed"] == [{"kind": "slow", "operation": "invoice.read", "times": 1, "seconds": 0.1}]
    assert requests.post(f"{control}/faults", json={"kind": "explode"}, timeout=5).status_code == 400
    assert requests.post(f"{control}/faults", json={"kind": "slow", "times": "x"}, timeout=5).status_code == 400
    assert requests.post(f"{control}/faults/clear", json={}, timeout=5).json() == {"armed": []}
    assert requests.post(f"{control}/clock", json={"advance_seconds": -1}, timeout=5).status_code == 400
    before = run.parts.clock.time()
    requests.post(f"{control}/clock", json={"advance_seconds": 60}, timeout=5)
    assert run.parts.clock.time() - before >= 60
    run.get("invoice/1")
    state = requests.get(f"{control}/state", timeout=5).json()
    assert (state["invoices"], state["customers"]) == (300, 40)
    assert state["requests"]["invoice.read"] == 1
    journal = requests.get(f"{control}/journal?entry=request", timeout=5).json()
    assert journal[-1]["operation"] == "invoice.read"
    assert requests.post(f"{control}/closing-date", json={"date": "2026-13-01"}, timeout=5).status_code == 400
    closed = requests.post(f"{control}/closing-date", data={"date": "2026-01-31"}, timeout=5)
    assert "2026-01-31" in closed.text
    gone = requests.post(f"{control}/disconnect", json={}, timeout=5).json()
    assert gone == {"disconnected": 1}
    assert run.get("invoice/1").status_code == 401


@pytest.mark.browser
def test_a_person_connects_in_a_browser_and_axe_finds_nothing(browser: Browser, run: Running, artefacts: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.route(f"{REDIRECT}*", lambda route: route.fulfill(body="<title>Back</title>", content_type="text/html"))
    query = f"client_id={CLIENT[0]}&redirect_uri={REDIRECT}&response_type=code&scope={SCOPE}&state=s"
    pages = {
        "consent": f"/connect/oauth2?{query}",
        "books": "/books",
        "sent": "/sent/1",
        "controls": "/_control/",
        "invoice": "/_control/invoices/1",
    }
    axe = Axe()
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for name, path in pages.items():
            page.goto(f"{run.url}{path}")
            page.screenshot(path=str(artefacts / f"quickbooks-{name}-{scheme}.png"))
            found = [
                f"{violation['id']}: {violation['nodes'][0]['html'][:120]}"
                for violation in axe.run(page).response["violations"]
                if violation["impact"] in ("serious", "critical")
            ]
            assert found == [], f"{name} {scheme}"
    page.goto(f"{run.url}{pages['consent']}")
    page.get_by_label("Lakeside Studio").check()
    page.get_by_role("button", name="Connect").click()
    page.wait_for_url(f"{REDIRECT}*")
    assert f"realmId={OTHER_REALM}" in page.url
    assert "state=s" in page.url
    assert complaints == []
    page.close()
