"""Fault switches: a lost answer is found again by reference, and every fault comes over real HTTP."""

from __future__ import annotations

import pytest
import requests

from tests.integrations.gateways.sandbox.simulator.driving import Page, Upstream, order


def test_an_answer_lost_after_the_commit_is_found_by_reference(upstream: Upstream) -> None:
    upstream.faults.arm("drop_after_commit", "checkout.create")
    with pytest.raises(requests.ConnectionError):
        upstream.call("POST", "/v1/checkouts", body=order(), key="k1")
    (found,) = upstream.call("GET", "/v1/checkouts?reference=pay-1").json()["data"]
    assert found["status"] == "open"
    assert upstream.checkout(key="k1")["id"] == found["id"]
    assert Page(found["url"]).answer.status_code == 200


def test_an_answer_lost_before_the_commit_left_nothing(upstream: Upstream) -> None:
    upstream.faults.arm("drop_before_commit", "checkout.create")
    with pytest.raises(requests.ConnectionError):
        upstream.call("POST", "/v1/checkouts", body=order(), key="k1")
    assert upstream.call("GET", "/v1/checkouts?reference=pay-1").json() == {"data": []}


def test_a_refund_with_a_lost_answer_is_made_once(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("approve")
    upstream.faults.arm("drop_after_commit", "refund.create")
    with pytest.raises(requests.ConnectionError):
        upstream.refund(checkout, 100, key="r")
    assert upstream.refund(checkout, 100, key="r").headers["Idempotent-Replayed"] == "true"
    assert upstream.payment(checkout)["amount_refunded_minor"] == 100


@pytest.mark.parametrize(("kind", "made"), [("error_before_commit", 0), ("error_after_commit", 1)])
def test_a_500_before_or_after_the_commit(upstream: Upstream, kind: str, made: int) -> None:
    upstream.faults.arm(kind, "checkout.create")
    assert upstream.call("POST", "/v1/checkouts", body=order(), key="k1").status_code == 500
    assert len(upstream.call("GET", "/v1/checkouts?reference=pay-1").json()["data"]) == made


def test_a_storm_of_429_says_when_to_come_back(upstream: Upstream) -> None:
    upstream.faults.arm("throttle", "checkout.*", times=2, seconds=7)
    for _ in range(2):
        answer = upstream.call("GET", "/v1/checkouts?reference=x")
        assert answer.status_code == 429 and answer.headers["Retry-After"] == "7"
        assert answer.json()["error"]["code"] == "rate_limited"
    assert upstream.call("GET", "/v1/checkouts?reference=x").status_code == 200


def test_faults_are_switched_by_json_and_by_form(upstream: Upstream) -> None:
    control = f"{upstream.url}/_control"
    body = {"kind": "html_503", "operation": "checkout.list", "times": 3}
    armed = requests.post(f"{control}/faults", json=body, timeout=10).json()["armed"]
    assert armed == [{"kind": "html_503", "operation": "checkout.list", "times": 3}]
    answer = upstream.call("GET", "/v1/checkouts?reference=x")
    assert answer.status_code == 503 and "text/html" in answer.headers["Content-Type"]
    form = {"kind": "slow", "operation": "*", "times": "1", "seconds": "0.1"}
    answer = requests.post(f"{control}/faults", data=form, timeout=10, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/_control/")
    page = requests.get(f"{control}/", timeout=10).text
    assert "html_503 on checkout.list, 2 more" in page and "slow on *, 1 more" in page
    assert requests.post(f"{control}/faults/clear", json={}, timeout=10).json() == {"armed": []}
    assert requests.post(f"{control}/faults", json={"kind": "earthquake"}, timeout=10).status_code == 400
    assert requests.post(f"{control}/faults", json={"kind": "slow", "times": "many"}, timeout=10).status_code == 400


def test_faults_do_not_touch_pages_and_controls(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    upstream.faults.arm("error_before_commit", "*", times=5)
    assert Page(checkout["url"]).answer.status_code == 200
    assert requests.get(f"{upstream.url}/_control/state", timeout=10).status_code == 200


def test_state_and_journal_tell_what_happened(upstream: Upstream) -> None:
    checkout = upstream.checkout(key="k1")
    Page(checkout["url"]).press("bank_settles")
    state = requests.get(f"{upstream.url}/_control/state", timeout=10).json()
    assert state["payments"] == {"processing": 1} and state["checkouts"] == 1 and state["due"] == 1
    assert state["requests"] == {"checkout.create": 1}
    journal = requests.get(f"{upstream.url}/_control/journal", timeout=10).json()
    assert [(line["operation"], line["status"], line["key"]) for line in journal if line["entry"] == "request"] == [
        ("checkout.create", 201, "k1")
    ]
    commits = [(line["operation"], line["id"]) for line in journal if line["entry"] == "commit"]
    assert ("checkout.create", checkout["id"]) in commits
    assert ("hosted.bank_settles", checkout["payment"]["id"]) in commits


def test_the_control_page_lists_payments_and_what_is_due(upstream: Upstream) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("bank_returns_late")
    answer = requests.get(upstream.url, timeout=10)
    assert answer.url == f"{upstream.url}/_control/"
    for text in (checkout["payment"]["id"], "$123.45 USD", "processing", "return (R10)", "Forward 3 days"):
        assert text in answer.text
