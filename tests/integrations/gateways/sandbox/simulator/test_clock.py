"""What the virtual clock brings about: debits that settle and come back, refunds that arrive."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
import requests

from tests.integrations.gateways.sandbox.simulator.driving import DAY, Page, Upstream


def instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def test_a_bank_debit_settles_after_three_days(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("bank_settles")
    upstream.forward(3 * DAY - 10)
    assert upstream.payment(checkout)["status"] == "processing"
    upstream.forward(20)
    payment = upstream.payment(checkout)
    assert payment["status"] == "settled"
    assert 3 * DAY <= (instant(payment["settled_at"]) - instant(payment["created"])).total_seconds() <= 3 * DAY + 5
    assert upstream.event_types() == ["payment.processing", "payment.settled"]


def test_a_returned_bank_debit_never_settled(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("bank_returns")
    upstream.forward(3 * DAY)
    payment = upstream.payment(checkout)
    assert payment["status"] == "returned" and payment["settled_at"] is None and payment["returned_at"]
    assert payment["failure"] == {"code": "R01", "message": "Insufficient funds."}
    assert upstream.event_types() == ["payment.processing", "payment.returned"]


def test_a_late_return_takes_back_what_had_settled(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("bank_returns_late")
    upstream.forward(3 * DAY)
    assert upstream.payment(checkout)["status"] == "settled"
    upstream.forward(30 * DAY)
    payment = upstream.payment(checkout)
    assert payment["status"] == "returned" and payment["settled_at"] and payment["failure"]["code"] == "R10"
    assert upstream.event_types() == ["payment.processing", "payment.settled", "payment.returned"]


def test_one_long_jump_makes_every_step_in_order_and_dates_it_right(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("bank_returns_late")
    upstream.forward(100 * DAY)
    events = upstream.events()
    assert [event["type"] for event in events] == ["payment.processing", "payment.settled", "payment.returned"]
    started, settled, returned = (instant(event["created"]) for event in events)
    assert (settled - started).days == 3 and (returned - settled).days == 30


def test_the_background_ticker_notices_without_any_request(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("bank_settles")
    upstream.clock.advance(3 * DAY + 1)
    waiting_until = time.monotonic() + 5
    commits: list[str] = []
    while "clock.settle" not in commits and time.monotonic() < waiting_until:
        time.sleep(0.02)
        commits = [line["operation"] for line in upstream.journal.entries("commit")]
    assert "clock.settle" in commits


def test_the_clock_cannot_go_back(upstream: Upstream) -> None:
    answer = requests.post(f"{upstream.url}/_control/clock", json={"advance_seconds": -1}, timeout=10)
    assert answer.status_code == 400


def test_a_card_refund_in_parts_adds_up(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("approve")
    first = upstream.refund(checkout, 345)
    assert first.status_code == 201 and first.json()["status"] == "succeeded"
    payment = upstream.payment(checkout)
    assert (payment["status"], payment["amount_refunded_minor"]) == ("partly_refunded", 345)
    upstream.refund(checkout, 2_000)
    assert upstream.payment(checkout)["status"] == "partly_refunded"
    too_much = upstream.refund(checkout, 10_001)
    assert too_much.status_code == 400 and too_much.json()["error"]["code"] == "refund_too_large"
    assert upstream.refund(checkout, 10_000).status_code == 201
    payment = upstream.payment(checkout)
    assert (payment["status"], payment["amount_refunded_minor"]) == ("refunded", 12_345)
    assert [refund["amount_minor"] for refund in payment["refunds"]] == [345, 2_000, 10_000]
    assert upstream.refund(checkout, 1).status_code == 409
    assert upstream.event_types() == ["payment.settled", *["refund.settled"] * 3]
    assert upstream.events()[1]["data"]["refund"] == first.json()["id"]


def test_a_refund_is_made_once_per_key(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("approve")
    first, second = upstream.refund(checkout, 100, key="r"), upstream.refund(checkout, 100, key="r")
    assert second.content == first.content and second.headers["Idempotent-Replayed"] == "true"
    assert upstream.refund(checkout, 101, key="r").status_code == 409
    assert upstream.payment(checkout)["amount_refunded_minor"] == 100
    found = upstream.call("GET", f"/v1/refunds/{first.json()['id']}").json()
    assert found == first.json() and found["reference"] == "r-1"


@pytest.mark.parametrize("amount", [0, -1, "5", 1.5, 10**13])
def test_a_bad_refund_amount_is_refused(upstream: Upstream, amount: int) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("approve")
    answer = upstream.refund(checkout, amount)
    assert answer.status_code == 400 and answer.json()["error"]["field"] == "amount_minor"
    assert upstream.payment(checkout)["refunds"] == []


@pytest.mark.parametrize("button", ["decline", "bank_settles", "cancel"])
def test_what_holds_no_money_cannot_be_refunded(upstream: Upstream, button: str) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press(button)
    answer = upstream.refund(checkout, 1)
    assert answer.status_code == 409 and answer.json()["error"]["code"] == "payment_not_refundable"


def test_a_bank_debit_s_refund_is_pending_for_two_days(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("bank_settles")
    upstream.forward(3 * DAY)
    refund = upstream.refund(checkout, 345).json()
    assert refund["status"] == "pending" and refund["settled_at"] is None
    payment = upstream.payment(checkout)
    assert payment["status"] == "settled" and payment["amount_refunded_minor"] == 0
    assert payment["amount_refund_pending_minor"] == 345
    assert upstream.refund(checkout, 12_001).status_code == 400
    upstream.forward(2 * DAY)
    payment = upstream.payment(checkout)
    assert payment["status"] == "partly_refunded" and payment["amount_refunded_minor"] == 345
    assert payment["refunds"][0]["status"] == "succeeded"
    assert upstream.event_types() == ["payment.processing", "payment.settled", "refund.settled"]


def test_a_pending_refund_fails_when_the_debit_comes_back_first(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("bank_returns_late")
    upstream.forward(32 * DAY)
    refund = upstream.refund(checkout, 100).json()
    upstream.forward(1 * DAY)
    found = upstream.call("GET", f"/v1/refunds/{refund['id']}").json()
    assert found["status"] == "failed" and found["failure"]["code"] == "debit_returned"
    upstream.forward(5 * DAY)
    payment = upstream.payment(checkout)
    assert payment["status"] == "returned" and payment["amount_refunded_minor"] == 0
    assert upstream.event_types()[-2:] == ["payment.returned", "refund.failed"]


def test_what_was_refunded_in_full_is_not_taken_back_as_well(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("bank_returns_late")
    upstream.forward(3 * DAY)
    upstream.refund(checkout, 12_345)
    upstream.forward(40 * DAY)
    assert upstream.payment(checkout)["status"] == "refunded"
    assert "payment.returned" not in upstream.event_types()
