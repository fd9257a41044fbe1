"""Coming back from the gateway: the page believes the gateway's word alone."""

from __future__ import annotations

import pytest

from connector.db import tables as t
from connector.domain.links import Scope
from tests.portal.pages import Page
from tests.portal.shop import NOW, Shop


def start(shop: Shop) -> tuple[str, str]:
    """A payment of 100 EUR at the gateway: (link token, path of its receipt)."""
    token, client = shop.link(shop.invoice(100_00, number="A-1"), Scope.INVOICE), shop.client
    page = Page(client.get(f"/i/{token}"))
    path = page.html.split('action="')[1].split('"')[0]
    client.post(path, data={"form_key": page.value("form_key"), "amount": "100"})
    return token, shop.till.asked[-1].success_url.removeprefix("http://pay.test")


def test_coming_back_proves_nothing(shop: Shop) -> None:
    token, path = start(shop)
    page = Page(shop.client.get(path))
    assert page.status == 200 and "waiting for the payment provider" in page.words and "Receipt" not in page.words
    assert path in page.links, "a Refresh link, as there may be no JavaScript"
    assert token not in page.html
    assert shop.row(t.payments).state == "checkout"


def test_turning_back_offers_both_ways(shop: Shop) -> None:
    token, path = start(shop)
    page = Page(shop.client.get(f"{path}?cancelled=1"))
    assert "Payment not finished" in page.words and "Nothing has been charged" in page.words
    assert f"/i/{token}" in page.links
    assert any(link.startswith("https://pay.gateway.example/checkout/") for link in page.links)


def test_a_settled_payment_has_a_receipt_that_does_not_lead_into_the_account(shop: Shop) -> None:
    token, path = start(shop)
    shop.change(t.payments, state="settled", settled_at=NOW, method="Card")
    page = Page(shop.client.get(f"{path}?cancelled=1"))
    for words in ("Receipt", "€100.00", "Card", "Invoice A-1", "22 Nov 2026, 16:30 UTC", "Northwind Gardens"):
        assert words in page.words, words
    assert token not in page.html and not [link for link in page.links if link.startswith(("/i/", "/portal/"))]
    assert path in Page(shop.client.get(f"/i/{token}")).links, "the invoice's page leads to it"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("processing", "Your payment is being processed"),
        ("failed", "did not go through"),
        ("cancelled", "was cancelled"),
        ("returned", "took the money back"),
        ("unknown", "waiting for the payment provider"),
    ],
)
def test_every_state_in_honest_words(small_shop: Shop, state: str, words: str) -> None:
    _, path = start(small_shop)
    small_shop.change(t.payments, state=state)
    page = Page(small_shop.client.get(path))
    assert words in page.words and "Receipt" not in page.words.replace("Receipt –", "")


def test_a_refund_stands_on_the_receipt(small_shop: Shop) -> None:
    _, path = start(small_shop)
    small_shop.change(t.payments, state="partly_refunded", refunded=30_00, settled_at=NOW)
    page = Page(small_shop.client.get(path))
    assert "Partly refunded" in page.words and "−€30.00" in page.words


def test_a_processing_payment_shows_on_the_invoice_and_leaves_nothing_to_press(shop: Shop) -> None:
    token, _ = start(shop)
    shop.change(t.payments, state="processing")
    page = Page(shop.client.get(f"/i/{token}"))
    assert "Your payment is being processed" in page.words and not page.buttons


def test_a_returned_payment_is_told_on_the_invoice(shop: Shop) -> None:
    token, _ = start(shop)
    shop.change(t.payments, state="returned")
    (payment,) = shop.rows(t.payments)
    with shop.wiring.database.unit_of_work(shop.merchant_id) as uow:
        uow.payments.release(payment.id)
    page = Page(shop.client.get(f"/i/{token}"))
    assert "returned by the bank, so the invoice is due again" in page.words and page.buttons


def test_unknown_receipts_are_not_found(small_shop: Shop) -> None:
    for token in ("A" * 22, "x", "A" * 200):
        assert small_shop.client.get(f"/r/{token}").status_code == 404


def test_a_receipt_after_the_link_was_replaced_leads_to_the_portal(shop: Shop) -> None:
    _, path = start(shop)
    with shop.wiring.database.unit_of_work(shop.merchant_id) as uow:
        uow.links.revoke_all(shop.connection_id)
    assert "/portal/northwind" in Page(shop.client.get(f"{path}?cancelled=1")).links
