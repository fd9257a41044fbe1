"""The hosted page: every button, one payment whatever is pressed twice, and what the page says afterwards."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from integrations.gateways.sandbox.simulator.application import EXTENSION, create_simulator
from integrations.gateways.sandbox.simulator.gateway import Gateway
from integrations.simulator.clock import Clock
from integrations.simulator.journal import Journal
from integrations.simulator.server import serve_at
from integrations.simulator.store import Store
from tests.integrations.gateways.sandbox.simulator.driving import CANCEL, DAY, SUCCESS, Page, Upstream, order

FIRST_PAGE = ["approve", "authenticate", "decline", "bank_settles", "bank_returns", "bank_returns_late", "cancel"]


def test_the_page_names_merchant_amount_and_lines_and_has_buttons_only(upstream: Upstream) -> None:
    page = Page(upstream.checkout(merchant_name="Ødegård & <Sons>")["url"])
    assert page.answer.status_code == 200 and page.buttons == FIRST_PAGE
    for text in ("Ødegård & <Sons>", "$123.45 USD", "Invoice 1001", "$120.00 USD", "$3.45 USD", "no real money moves"):
        assert text in page.html
    assert "<Sons>" not in page.answer.text
    assert re.findall(r"<input[^>]*type=\"(\w+)\"", page.html) == ["hidden"]
    assert "<script" not in page.html and "style=" not in page.html and "<style" not in page.html
    policy = page.answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert policy.endswith("form-action 'self' http://shop.example:8080")
    assert page.answer.headers["Cache-Control"] == "no-store"
    assert page.answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(("currency", "text"), [("JPY", "¥12,345 JPY"), ("KWD", "12.345 KWD"), ("EUR", "€123.45 EUR")])
def test_the_amount_has_its_currency_s_decimals(upstream: Upstream, currency: str, text: str) -> None:
    assert text in Page(upstream.checkout(currency=currency)["url"]).html


def test_lines_without_amounts_and_many_lines(upstream: Upstream) -> None:
    page = Page(upstream.checkout(lines=[{"description": f"Invoice {n}"} for n in range(40)])["url"])
    assert "Invoice 39" in page.html and "34 more" in page.html and "None" not in page.html


@pytest.mark.parametrize(
    ("button", "status", "method", "target", "event"),
    [
        ("approve", "settled", "card", SUCCESS, "payment.settled"),
        ("decline", "failed", "card", CANCEL, "payment.failed"),
        ("bank_settles", "processing", "bank_debit", SUCCESS, "payment.processing"),
        ("bank_returns", "processing", "bank_debit", SUCCESS, "payment.processing"),
        ("bank_returns_late", "processing", "bank_debit", SUCCESS, "payment.processing"),
        ("cancel", "cancelled", None, CANCEL, "payment.cancelled"),
    ],
)
def test_each_button(upstream: Upstream, button: str, status: str, method: str | None, target: str, event: str) -> None:
    checkout = upstream.checkout()
    answer = Page(checkout["url"]).press(button)
    assert (answer.status_code, answer.headers["Location"]) == (303, target)
    payment = upstream.payment(checkout)
    assert (payment["status"], payment["method"]) == (status, method)
    assert (payment["settled_at"] is not None) == (status == "settled")
    assert [(each["type"], each["data"]) for each in upstream.events()] == [
        (event, {"checkout": checkout["id"], "payment": payment["id"], "reference": "pay-1"})
    ]


def test_a_declined_payment_says_why(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("decline")
    assert upstream.payment(checkout)["failure"] == {
        "code": "card_declined",
        "message": "The bank declined the card.",
    }


@pytest.mark.parametrize(
    ("button", "status", "target", "event"),
    [
        ("confirm", "settled", SUCCESS, "payment.settled"),
        ("fail", "failed", CANCEL, "payment.failed"),
    ],
)
def test_authentication_is_a_second_page(upstream: Upstream, button: str, status: str, target: str, event: str) -> None:
    checkout = upstream.checkout()
    answer = Page(checkout["url"]).press("authenticate")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/checkout/{checkout['id']}")
    assert upstream.payment(checkout)["status"] == "requires_authentication"
    page = Page(checkout["url"])
    assert page.buttons == ["confirm", "fail"]
    answer = page.press(button)
    assert (answer.status_code, answer.headers["Location"]) == (303, target)
    assert upstream.payment(checkout)["status"] == status
    assert upstream.event_types() == ["payment.requires_authentication", event]


def test_looking_changes_nothing(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    before = upstream.gateway.journal.entries("commit")
    tokens = {Page(checkout["url"]).form_token for _ in range(3)}
    assert len(tokens) == 1
    assert upstream.gateway.journal.entries("commit") == before


@pytest.mark.parametrize("button", ["approve", "bank_settles", "decline", "cancel"])
def test_a_double_click_counts_once_and_leads_to_the_same_place(upstream: Upstream, button: str) -> None:
    checkout = upstream.checkout()
    page = Page(checkout["url"])
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: page.press(button), range(4)))
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert {answer.status_code for answer in answers} == {303}
    assert len(upstream.events()) == 1


def test_a_double_click_on_authentication_leads_to_the_second_page(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    page = Page(checkout["url"])
    first, second = page.press("authenticate"), page.press("authenticate")
    assert first.headers["Location"] == second.headers["Location"] == f"/checkout/{checkout['id']}"
    assert upstream.event_types() == ["payment.requires_authentication"]


def test_the_back_button_and_another_choice_do_not_pay_again(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    page = Page(checkout["url"])
    page.press("approve")
    answer = page.press("bank_settles")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/checkout/{checkout['id']}")
    after = Page(checkout["url"])
    assert "already been made" in after.html and after.buttons == [] and f'href="{SUCCESS}"' in after.html
    assert upstream.payment(checkout)["method"] == "card"
    assert upstream.event_types() == ["payment.settled"]


def test_two_tabs_make_one_payment(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    tabs = Page(checkout["url"]), Page(checkout["url"])
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda tab: tab.press("approve"), tabs))
    assert upstream.event_types() == ["payment.settled"]


def test_an_old_first_page_cannot_pay_during_authentication(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    old = Page(checkout["url"])
    old.press("authenticate")
    answer = old.press("approve")
    assert answer.status_code == 409 and "out of date" in answer.text
    assert upstream.payment(checkout)["status"] == "requires_authentication"


@pytest.mark.parametrize("token", ["", "forged", "ключ"])
def test_a_form_without_the_page_s_token_does_nothing(upstream: Upstream, token: str) -> None:
    checkout = upstream.checkout()
    answer = Page(checkout["url"]).press("approve", form_token=token)
    assert answer.status_code == 409 and "out of date" in answer.text
    assert upstream.payment(checkout)["status"] == "open"


def test_an_unknown_button_or_page(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    assert Page(checkout["url"]).press("settle_everything").status_code == 400
    assert Page(f"{upstream.url}/checkout/cs_guess").answer.status_code == 404
    assert requests.post(f"{upstream.url}/checkout/cs_guess", data={"action": "approve"}, timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("button", "words", "leads_to"),
    [
        ("approve", "already been made", SUCCESS),
        ("bank_settles", "on its way", SUCCESS),
        ("decline", "did not go through", CANCEL),
        ("cancel", "was cancelled", CANCEL),
    ],
)
def test_a_finished_page_says_so_kindly(upstream: Upstream, button: str, words: str, leads_to: str) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press(button)
    page = Page(checkout["url"])
    assert page.answer.status_code == 200 and words in page.html and page.buttons == []
    assert f'href="{leads_to}"' in page.html


def test_a_checkout_nobody_pays_expires_by_itself(upstream: Upstream) -> None:
    checkout = upstream.checkout(expires_in=600)
    page = Page(checkout["url"])
    upstream.forward(599 - 5)
    assert upstream.payment(checkout)["status"] == "open"
    upstream.forward(10)
    assert page.press("approve").headers["Location"] == f"/checkout/{checkout['id']}"
    assert upstream.payment(checkout)["status"] == "expired"
    assert "has expired" in Page(checkout["url"]).html
    assert upstream.event_types() == ["checkout.expired"]


def test_a_paid_checkout_does_not_expire_later(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("approve")
    upstream.forward(2 * DAY)
    assert upstream.payment(checkout)["status"] == "settled"
    assert upstream.event_types() == ["payment.settled"]


def test_every_ended_page_can_be_shown(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("bank_returns_late")
    upstream.forward(3 * DAY)
    upstream.refund(checkout, 45)
    upstream.forward(2 * DAY)
    assert "Part of it has been given back" in Page(checkout["url"]).html
    upstream.forward(30 * DAY)
    assert "returned by the bank" in Page(checkout["url"]).html
    other = upstream.checkout()
    Page(other["url"]).press("approve")
    upstream.refund(other, 12_345)
    assert "given back" in Page(other["url"]).html


def test_mounted_under_a_prefix_every_address_carries_it() -> None:
    def build(url: str) -> DispatcherMiddleware:
        app = create_simulator(Store(None), clock, Journal(None), public_url=f"{url}/sandbox")
        gateways.append(app.extensions[EXTENSION])
        return DispatcherMiddleware(Flask("nothing"), {"/sandbox": app})

    clock, gateways = Clock(), list[Gateway]()
    with serve_at(build) as server:
        headers = {"Authorization": "Bearer demo-key-sandbox", "Idempotency-Key": "k"}
        made = requests.post(f"{server.url}/sandbox/v1/checkouts", json=order(), headers=headers, timeout=10).json()
        assert made["url"] == f"{server.url}/sandbox/checkout/{made['id']}"
        page = Page(made["url"])
        assert 'href="/sandbox/static/sandbox.css"' in page.html
        assert requests.get(f"{server.url}/sandbox/static/sandbox.css", timeout=10).status_code == 200
        assert page.press("authenticate").headers["Location"] == f"/sandbox/checkout/{made['id']}"
        assert Page(made["url"]).press("confirm").headers["Location"] == SUCCESS
        assert gateways[0].journal.counts() == {"checkout.create": 1}
    gateways[0].close()
