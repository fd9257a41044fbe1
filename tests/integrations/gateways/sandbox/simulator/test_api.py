"""The JSON API: opening and finding checkouts, idempotency, expiry, what is refused."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from integrations.gateways.sandbox.simulator.amounts import CURRENCIES, display_amount
from tests.integrations.gateways.sandbox.simulator.driving import CANCEL, DAY, SUCCESS, Page, Upstream, order


def test_a_checkout_carries_what_was_asked_for_and_an_unguessable_page(upstream: Upstream) -> None:
    first, second = upstream.checkout(), upstream.checkout()
    assert first["status"] == "open" and first["payable"] is True
    assert first["amount_minor"] == 12_345 and first["currency"] == "USD" and first["reference"] == "pay-1"
    assert first["success_url"] == SUCCESS and first["cancel_url"] == CANCEL
    assert first["payment"]["status"] == "open" and first["payment"]["settled_at"] is None
    assert first["url"] == f"{upstream.url}/checkout/{first['id']}"
    assert first["id"] != second["id"] and len(first["id"]) >= 43
    assert upstream.call("GET", f"/v1/checkouts/{first['id']}").json() == first


def test_the_same_key_and_body_replays_the_first_answer(upstream: Upstream) -> None:
    first = upstream.call("POST", "/v1/checkouts", body=order(), key="k1")
    Page(first.json()["url"]).press("approve")
    again = upstream.call("POST", "/v1/checkouts", body=dict(reversed(order().items())), key="k1")
    assert again.status_code == 201 and again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first.headers
    assert upstream.gateway.journal.counts()["checkout.create"] == 2
    listed = upstream.call("GET", "/v1/checkouts?reference=pay-1").json()["data"]
    assert [each["id"] for each in listed] == [first.json()["id"]]


def test_expires_in_may_shrink_between_two_tries(upstream: Upstream) -> None:
    first = upstream.checkout(key="k1", expires_in=1800)
    assert upstream.checkout(key="k1", expires_in=1790)["id"] == first["id"]


def test_the_same_key_with_another_body_is_refused(upstream: Upstream) -> None:
    upstream.checkout(key="k1")
    other = order(amount_minor=99, lines=[])
    answer = upstream.call("POST", "/v1/checkouts", body=other, key="k1")
    assert answer.status_code == 409 and answer.json()["error"]["code"] == "idempotency_key_reused"
    assert len(upstream.call("GET", "/v1/checkouts?reference=pay-1").json()["data"]) == 1


def test_a_checkout_key_cannot_be_used_for_a_refund(upstream: Upstream) -> None:
    checkout = upstream.checkout(key="k1")
    Page(checkout["url"]).press("approve")
    answer = upstream.refund(checkout, 100, key="k1")
    assert answer.status_code == 409 and answer.json()["error"]["code"] == "idempotency_key_reused"


def test_a_key_is_forgotten_after_a_day(upstream: Upstream) -> None:
    first = upstream.checkout(key="k1")
    upstream.forward(DAY + 1)
    assert upstream.checkout(key="k1")["id"] != first["id"]


def test_a_refused_request_uses_up_no_key(upstream: Upstream) -> None:
    assert upstream.call("POST", "/v1/checkouts", body=order(currency="XXX"), key="k1").status_code == 400
    assert upstream.checkout(key="k1")["status"] == "open"


def test_many_at_once_with_one_key_open_one_checkout(upstream: Upstream) -> None:
    def attempt(_: int) -> str:
        return str(upstream.checkout(key="k1")["id"])

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(attempt, range(16)))) == 1
    assert len(upstream.call("GET", "/v1/checkouts?reference=pay-1").json()["data"]) == 1


def test_checkouts_of_a_reference_are_listed_newest_first(upstream: Upstream) -> None:
    first, second = upstream.checkout(reference="a&b c"), upstream.checkout(reference="a&b c")
    upstream.checkout(reference="other")
    listed = requests.get(
        f"{upstream.url}/v1/checkouts",
        params={"reference": "a&b c"},
        headers={"Authorization": "Bearer test-key"},
        timeout=10,
    )
    assert [each["id"] for each in listed.json()["data"]] == [second["id"], first["id"]]
    assert upstream.call("GET", "/v1/checkouts?reference=nobody").json() == {"data": []}
    assert upstream.call("GET", "/v1/checkouts").status_code == 400


@pytest.mark.parametrize("bearer", [None, "", "wrong", "test-key2", "ключ"])
def test_a_wrong_api_key_is_refused_before_anything_else(upstream: Upstream, bearer: str | None) -> None:
    header = {} if bearer is None else {"Authorization": f"Bearer {bearer}".encode()}
    answer = requests.post(f"{upstream.url}/v1/checkouts", data=b"{}", headers=header, timeout=10)
    assert answer.status_code == 401 and answer.json()["error"]["code"] == "unauthorized"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount_minor": 0}, "amount_minor"),
        ({"amount_minor": -5}, "amount_minor"),
        ({"amount_minor": 12.5}, "amount_minor"),
        ({"amount_minor": "12345"}, "amount_minor"),
        ({"amount_minor": True}, "amount_minor"),
        ({"amount_minor": 10**12 + 1}, "amount_minor"),
        ({"currency": "usd"}, "currency"),
        ({"currency": "XYZ"}, "currency"),
        ({"currency": "EURO"}, "currency"),
        ({"reference": ""}, "reference"),
        ({"reference": None}, "reference"),
        ({"lines": [{"description": "one", "amount_minor": 1}]}, "lines"),
        ({"lines": [{"description": "one", "amount_minor": 12_345}, {"description": "two"}]}, "lines"),
        ({"lines": [{"description": "", "amount_minor": 12_345}]}, "lines[0].description"),
        ({"success_url": "javascript:alert(1)"}, "success_url"),
        ({"success_url": "/paid"}, "success_url"),
        ({"cancel_url": "https://user:pw@shop.example/"}, "cancel_url"),
        ({"cancel_url": "https://shop.example; script-src *"}, "cancel_url"),
        ({"expires_in": 5}, "expires_in"),
        ({"expires_in": 10**9}, "expires_in"),
        ({"card_number": "4242"}, "card_number"),
    ],
)
def test_a_bad_checkout_is_refused_with_its_field(upstream: Upstream, changes: dict[str, Any], field: str) -> None:
    answer = upstream.call("POST", "/v1/checkouts", body=order(**changes), key="k")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "invalid_request" and error["field"] == field and error["message"]
    assert upstream.call("GET", "/v1/checkouts?reference=pay-1").json() == {"data": []}


def test_a_missing_field_is_named(upstream: Upstream) -> None:
    body = order()
    del body["success_url"]
    error = upstream.call("POST", "/v1/checkouts", body=body, key="k").json()["error"]
    assert "success_url" in error["message"]


def test_what_is_no_json_is_refused(upstream: Upstream) -> None:
    headers = {"Authorization": "Bearer test-key", "Idempotency-Key": "k"}
    answer = requests.post(f"{upstream.url}/v1/checkouts", data=b"{amount", headers=headers, timeout=10)
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "invalid_json"


@pytest.mark.parametrize("key", [None, "x" * 256])
def test_an_idempotency_key_is_required(upstream: Upstream, key: str | None) -> None:
    answer = upstream.call("POST", "/v1/checkouts", body=order(), key=key)
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "idempotency_key_required"


@pytest.mark.parametrize("path", ["checkouts/cs_no", "payments/pay_no", "refunds/re_no", "events/evt_no"])
def test_what_does_not_exist_is_a_404_in_json(upstream: Upstream, path: str) -> None:
    answer = upstream.call("GET", f"/v1/{path}")
    assert answer.status_code == 404 and answer.json()["error"]["code"].endswith("_not_found")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/nothing", 404), ("DELETE", "/v1/checkouts/cs_1", 405)]
)
def test_an_unknown_path_or_method_is_answered_in_json(upstream: Upstream, method: str, path: str, status: int) -> None:
    answer = upstream.call(method, path)
    assert answer.status_code == status and answer.json()["error"]["code"] and answer.json()["error"]["message"]


def test_an_open_checkout_can_be_expired_and_then_never_paid(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    page = Page(checkout["url"])
    for _ in range(2):
        answer = upstream.call("POST", f"/v1/checkouts/{checkout['id']}/expire")
        assert answer.status_code == 200 and answer.json()["payable"] is False
        assert answer.json()["status"] == "expired" and answer.json()["payment"]["status"] == "expired"
    assert page.press("approve").headers["Location"] == f"/checkout/{checkout['id']}"
    assert "has expired" in Page(checkout["url"]).html and Page(checkout["url"]).buttons == []
    assert upstream.payment(checkout)["status"] == "expired"
    assert upstream.event_types() == ["checkout.expired"]


def test_a_checkout_under_authentication_can_still_be_expired(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("authenticate")
    page = Page(checkout["url"])
    assert upstream.call("POST", f"/v1/checkouts/{checkout['id']}/expire").json()["payable"] is False
    page.press("confirm")
    assert upstream.payment(checkout)["status"] == "expired"


@pytest.mark.parametrize("button", ["approve", "bank_settles"])
def test_a_paid_checkout_cannot_be_expired(upstream: Upstream, button: str) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press(button)
    answer = upstream.call("POST", f"/v1/checkouts/{checkout['id']}/expire")
    assert answer.status_code == 409
    error = answer.json()["error"]
    assert error["code"] == "checkout_paid" and error["checkout"]["payment"]["id"] == checkout["payment"]["id"]
    assert error["checkout"]["payment"]["status"] in ("settled", "processing")


@pytest.mark.parametrize("button", ["decline", "cancel"])
def test_expiring_what_ended_unpaid_says_how_it_ended(upstream: Upstream, button: str) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press(button)
    answer = upstream.call("POST", f"/v1/checkouts/{checkout['id']}/expire")
    assert answer.status_code == 200 and answer.json()["payable"] is False
    assert answer.json()["status"] == {"decline": "failed", "cancel": "cancelled"}[button]


def test_expire_and_pay_at_the_same_moment_agree_on_one_end(upstream: Upstream) -> None:
    for turn in range(12):
        checkout = upstream.checkout(reference=f"race-{turn}")
        page = Page(checkout["url"])
        path = f"/v1/checkouts/{checkout['id']}/expire"

        def pay(page: Page = page, late: float = turn % 3 * 0.002) -> requests.Response:
            time.sleep(late)
            return page.press("approve")

        with ThreadPoolExecutor(2) as pool:
            paying, expiring = pool.submit(pay), pool.submit(upstream.call, "POST", path)
        expired, status = expiring.result(), upstream.payment(checkout)["status"]
        sent_to = paying.result().headers["Location"]
        assert (expired.status_code, status, sent_to) in [
            (200, "expired", f"/checkout/{checkout['id']}"),
            (409, "settled", SUCCESS),
        ]
        types = [event["type"] for event in upstream.events() if event["data"]["checkout"] == checkout["id"]]
        assert types == [{"expired": "checkout.expired", "settled": "payment.settled"}[status]]


def test_events_are_listed_in_order_and_from_any_point(upstream: Upstream) -> None:
    for number in range(3):
        Page(upstream.checkout(reference=f"p{number}")["url"]).press("approve")
    everything = upstream.events()
    assert [event["data"]["reference"] for event in everything] == ["p0", "p1", "p2"]
    page = upstream.call("GET", "/v1/events?limit=2").json()
    assert page == {"data": everything[:2], "has_more": True}
    rest = upstream.call("GET", f"/v1/events?after={everything[1]['id']}").json()
    assert rest == {"data": everything[2:], "has_more": False}
    assert upstream.call("GET", f"/v1/events/{everything[0]['id']}").json() == everything[0]
    assert upstream.call("GET", "/v1/events?after=evt_no").status_code == 404
    assert upstream.call("GET", "/v1/events?limit=0").status_code == 400


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (123_450, "USD", "$1,234.50 USD"),
        (5, "EUR", "€0.05 EUR"),
        (1_234_567, "JPY", "¥1,234,567 JPY"),
        (1, "KWD", "0.001 KWD"),
        (1_234_567, "KWD", "1,234.567 KWD"),
        (12_345, "CLF", "1.2345 CLF"),
        (10**12, "CHF", "10,000,000,000.00 CHF"),
    ],
)
def test_amounts_show_the_decimals_of_their_currency(minor: int, currency: str, text: str) -> None:
    assert display_amount(minor, currency) == text
    assert currency in CURRENCIES
