"""The adapter against the running sandbox gateway, over real HTTP."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from connector.contract import CheckoutRequest, Disconnected, Gone, Refused, TryAgain, Unclear
from connector.domain.records import PaymentState
from connector.manifest import AdapterConfig
from integrations.gateways.sandbox.adapter import Sandbox
from tests.integrations.gateways.sandbox.simulator.driving import API_KEY, CANCEL, DAY, SUCCESS, Page, Upstream
from tests.integrations.limiters import MemoryLimiter


def adapter(upstream: Upstream, key: str = API_KEY) -> Sandbox:
    return Sandbox(AdapterConfig({"api": upstream.url}, {"api_key": key}, (), {}), MemoryLimiter())


@pytest.fixture
def sandbox(upstream: Upstream) -> Sandbox:
    return adapter(upstream)


def wanted(**changes: object) -> CheckoutRequest:
    request = CheckoutRequest(
        key="pay:1:1",
        reference="1",
        amount=12_345,
        currency="EUR",
        merchant="Müller & Söhne GmbH",
        description=("Invoice 1001", "Invoice 1002"),
        success_url=SUCCESS,
        cancel_url=CANCEL,
        expires_at=datetime.now(UTC) + timedelta(minutes=30),
    )
    return replace(request, **changes)  # type: ignore[arg-type]


def test_a_checkout_leads_to_a_page_that_says_what_is_paid(sandbox: Sandbox) -> None:
    checkout = sandbox.start_checkout(wanted())
    page = Page(checkout.url)
    for text in ("Müller & Söhne GmbH", "€123.45 EUR", "Invoice 1001", "Invoice 1002"):
        assert text in page.html
    word = sandbox.fetch(checkout.ref)
    assert (word.ref, word.reference, word.amount, word.currency) == (checkout.ref, "1", 12_345, "EUR")
    assert word.state is PaymentState.CHECKOUT and word.payable and word.refunded == 0 and word.settled_at is None


def test_the_same_key_is_the_same_checkout_however_much_time_is_left(sandbox: Sandbox) -> None:
    first = sandbox.start_checkout(wanted())
    again = sandbox.start_checkout(wanted(expires_at=datetime.now(UTC) + timedelta(minutes=12)))
    assert again == first


def test_the_checkout_ends_when_it_was_asked_to(upstream: Upstream, sandbox: Sandbox) -> None:
    checkout = sandbox.start_checkout(wanted())
    upstream.forward(29 * 60)
    assert sandbox.fetch(checkout.ref).payable
    upstream.forward(61)
    word = sandbox.fetch(checkout.ref)
    assert word.state is PaymentState.CANCELLED and not word.payable


def test_a_checkout_opened_while_the_sandbox_s_clock_is_ahead_lives_as_long(upstream: Upstream) -> None:
    upstream.forward(10 * DAY)
    sandbox = adapter(upstream)
    assert sandbox.fetch(sandbox.start_checkout(wanted()).ref).payable


@pytest.mark.parametrize(
    ("buttons", "state", "method", "failure"),
    [
        (["approve"], PaymentState.SETTLED, "Card", ""),
        (["decline"], PaymentState.FAILED, "Card", "The bank declined the card. (card_declined)"),
        (["authenticate"], PaymentState.REQUIRES_ACTION, "Card", ""),
        (["authenticate", "confirm"], PaymentState.SETTLED, "Card", ""),
        (["bank_settles"], PaymentState.PROCESSING, "Bank debit", ""),
        (["cancel"], PaymentState.CANCELLED, "", ""),
    ],
)
def test_each_end_of_the_page_is_told_in_our_words(
    sandbox: Sandbox, buttons: list[str], state: PaymentState, method: str, failure: str
) -> None:
    checkout = sandbox.start_checkout(wanted())
    for button in buttons:
        Page(checkout.url).press(button)
    word = sandbox.fetch(checkout.ref)
    assert (word.state, word.method, word.failure) == (state, method, failure)
    assert word.payable == (state is PaymentState.REQUIRES_ACTION)
    assert (word.settled_at is not None) == (state is PaymentState.SETTLED)


def test_a_bank_debit_settles_and_another_comes_back(upstream: Upstream, sandbox: Sandbox) -> None:
    good, bad = sandbox.start_checkout(wanted()), sandbox.start_checkout(wanted(key="pay:2:1", reference="2"))
    Page(good.url).press("bank_settles")
    Page(bad.url).press("bank_returns")
    upstream.forward(3 * DAY)
    settled, returned = sandbox.fetch(good.ref), sandbox.fetch(bad.ref)
    assert settled.state is PaymentState.SETTLED
    assert settled.settled_at is not None and settled.settled_at.tzinfo is not None
    assert returned.state is PaymentState.RETURNED and returned.settled_at is None
    assert returned.failure == "Insufficient funds. (R01)"


def test_a_lost_answer_is_unclear_and_the_checkout_is_found_by_our_reference(
    upstream: Upstream, sandbox: Sandbox
) -> None:
    assert sandbox.find_checkout("1") is None
    upstream.faults.arm("drop_after_commit", "checkout.create")
    with pytest.raises(Unclear):
        sandbox.start_checkout(wanted())
    found = sandbox.find_checkout("1")
    assert found is not None and found == sandbox.start_checkout(wanted())


def test_of_several_checkouts_the_paid_one_is_found(sandbox: Sandbox) -> None:
    paid = sandbox.start_checkout(wanted())
    Page(paid.url).press("approve")
    sandbox.start_checkout(wanted(key="pay:1:2"))
    assert sandbox.find_checkout("1") == paid


@pytest.mark.parametrize(
    ("fault", "on_write", "on_read"),
    [
        ("drop_before_commit", Unclear, TryAgain),
        ("drop_after_commit", Unclear, TryAgain),
        ("error_before_commit", Unclear, TryAgain),
        ("error_after_commit", Unclear, TryAgain),
        ("html_503", Unclear, TryAgain),
        ("truncated_json", Unclear, TryAgain),
        ("throttle", TryAgain, TryAgain),
    ],
)
def test_every_fault_is_one_of_the_contract_s_answers(
    upstream: Upstream, sandbox: Sandbox, fault: str, on_write: type[Exception], on_read: type[Exception]
) -> None:
    upstream.faults.arm(fault, "checkout.create")
    with pytest.raises(on_write):
        sandbox.start_checkout(wanted())
    checkout = sandbox.start_checkout(wanted())
    upstream.faults.arm(fault, "checkout.get")
    with pytest.raises(on_read):
        sandbox.fetch(checkout.ref)
    assert sandbox.fetch(checkout.ref).payable
    assert len(upstream.call("GET", "/v1/checkouts?reference=1").json()["data"]) == 1


def test_a_gateway_that_is_not_there_means_try_again(upstream: Upstream) -> None:
    sandbox = Sandbox(AdapterConfig({"api": "http://127.0.0.1:9"}, {"api_key": API_KEY}, (), {}), MemoryLimiter())
    with pytest.raises(TryAgain):
        sandbox.start_checkout(wanted())


def test_a_wrong_api_key_is_disconnected_and_nothing_secret_is_logged(upstream: Upstream) -> None:
    with structlog.testing.capture_logs() as lines, pytest.raises(Disconnected) as caught:
        adapter(upstream, key="sk-very-secret").start_checkout(wanted())
    assert lines and "sk-very-secret" not in str(lines) and "sk-very-secret" not in caught.value.why


def test_what_the_gateway_refuses_is_refused_with_its_words(sandbox: Sandbox) -> None:
    with pytest.raises(Refused, match="ISO 4217") as caught:
        sandbox.start_checkout(wanted(currency="XYZ"))
    assert caught.value.code == "invalid_request"
    sandbox.start_checkout(wanted())
    with pytest.raises(Refused) as caught:
        sandbox.start_checkout(wanted(amount=1))
    assert caught.value.code == "idempotency_key_reused"


def test_a_checkout_that_does_not_exist_is_gone(sandbox: Sandbox) -> None:
    for call in (sandbox.fetch, sandbox.cancel):
        with pytest.raises(Gone):
            call("cs_/../../etc?x=1")


def test_cancel_ends_an_unpaid_checkout_and_may_be_repeated(sandbox: Sandbox) -> None:
    checkout = sandbox.start_checkout(wanted())
    for _ in range(2):
        word = sandbox.cancel(checkout.ref)
        assert word.state is PaymentState.CANCELLED and not word.payable
    Page(checkout.url)
    assert sandbox.fetch(checkout.ref).state is PaymentState.CANCELLED


@pytest.mark.parametrize(("button", "state"), [("approve", PaymentState.SETTLED), ("decline", PaymentState.FAILED)])
def test_cancel_comes_too_late_for_what_has_ended(sandbox: Sandbox, button: str, state: PaymentState) -> None:
    checkout = sandbox.start_checkout(wanted())
    Page(checkout.url).press(button)
    word = sandbox.cancel(checkout.ref)
    assert word.state is state and not word.payable


def test_refunds_in_parts_once_per_key(sandbox: Sandbox) -> None:
    checkout = sandbox.start_checkout(wanted())
    Page(checkout.url).press("approve")
    for _ in range(2):
        word = sandbox.refund(checkout.ref, key="refund:1", amount=345, reason="Wrong hours")
        assert word.state is PaymentState.PARTLY_REFUNDED and word.refunded == 345
    word = sandbox.refund(checkout.ref, key="refund:2", amount=12_000, reason="")
    assert word.state is PaymentState.REFUNDED and word.refunded == 12_345
    with pytest.raises(Refused):
        sandbox.refund(checkout.ref, key="refund:3", amount=1, reason="")


def test_a_refund_is_not_repeated_when_its_key_has_aged_out(upstream: Upstream, sandbox: Sandbox) -> None:
    checkout = sandbox.start_checkout(wanted())
    Page(checkout.url).press("approve")
    sandbox.refund(checkout.ref, key="refund:1", amount=345, reason="")
    upstream.forward(2 * DAY)
    assert sandbox.refund(checkout.ref, key="refund:1", amount=345, reason="").refunded == 345


def test_a_refund_of_a_bank_debit_counts_when_it_has_settled(upstream: Upstream, sandbox: Sandbox) -> None:
    checkout = sandbox.start_checkout(wanted())
    Page(checkout.url).press("bank_settles")
    upstream.forward(3 * DAY)
    word = sandbox.refund(checkout.ref, key="refund:1", amount=345, reason="")
    assert word.state is PaymentState.SETTLED and word.refunded == 0
    upstream.forward(2 * DAY)
    word = sandbox.fetch(checkout.ref)
    assert word.state is PaymentState.PARTLY_REFUNDED and word.refunded == 345


def test_a_refund_with_a_lost_answer_is_unclear_and_made_once(upstream: Upstream, sandbox: Sandbox) -> None:
    checkout = sandbox.start_checkout(wanted())
    Page(checkout.url).press("approve")
    upstream.faults.arm("drop_after_commit", "refund.create")
    with pytest.raises(Unclear):
        sandbox.refund(checkout.ref, key="refund:1", amount=345, reason="")
    assert sandbox.refund(checkout.ref, key="refund:1", amount=345, reason="").refunded == 345


def test_a_failed_look_after_a_refund_does_not_say_that_nothing_happened(upstream: Upstream, sandbox: Sandbox) -> None:
    checkout = sandbox.start_checkout(wanted())
    Page(checkout.url).press("approve")
    looked = []
    take = upstream.faults.take

    def fail_second_look(kind: str, operation: str = "*") -> object:
        if (kind, operation) == ("error_before_commit", "checkout.get"):
            looked.append(operation)
            if len(looked) == 2:
                upstream.faults.arm(kind, operation)
        return take(kind, operation)

    upstream.faults.take = fail_second_look  # type: ignore[method-assign, assignment]
    with pytest.raises(Unclear):
        sandbox.refund(checkout.ref, key="refund:1", amount=345, reason="")
    assert sandbox.fetch(checkout.ref).refunded == 345


def test_a_long_description_is_cut_rather_than_refused(sandbox: Sandbox) -> None:
    checkout = sandbox.start_checkout(wanted(merchant="M" * 300, description=("x" * 900, "", *["more"] * 1200)))
    assert Page(checkout.url).answer.status_code == 200
