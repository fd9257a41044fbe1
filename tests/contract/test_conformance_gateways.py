"""Gateways: one checkout per key, the gateway's own word, money given back once. Every gateway of the registry."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector.contract import Answer, CheckoutRequest, Disconnected, Gone, Refused, TryAgain, Unclear
from connector.domain.records import PaymentState
from tests.contract.rigs import GatewayRig, in_the_end

DAY = 86_400.0


def wanted(**changes: Any) -> CheckoutRequest:
    """A checkout of our own: a new key and reference each time."""
    key = uuid.uuid4().hex
    request = CheckoutRequest(
        key=key,
        reference=key,
        amount=12_345,
        currency="EUR",
        merchant="Müller & Söhne",
        description=("Invoice 1001", "Invoice 1002"),
        success_url="https://pay.example/r/x",
        cancel_url="https://pay.example/r/x?cancelled=1",
        expires_at=datetime.now(UTC) + timedelta(minutes=30),
    )
    return replace(request, **changes)


def paid(till: GatewayRig, **changes: Any) -> str:
    """A checkout that has been paid; its reference at the gateway."""
    checkout = till.gateway.start_checkout(wanted(**changes))
    till.press(checkout.url, "approve")
    return checkout.ref


def test_a_checkout_waits_for_the_customer(till: GatewayRig) -> None:
    request = wanted()
    checkout = till.gateway.start_checkout(request)
    assert checkout.ref and checkout.url.startswith("http") and request.key not in checkout.url
    word = till.gateway.fetch(checkout.ref)
    assert (word.ref, word.reference, word.amount, word.currency) == (checkout.ref, request.reference, 12_345, "EUR")
    assert (word.state, word.refunded, word.payable, word.settled_at) == (PaymentState.CHECKOUT, 0, True, None)


@pytest.mark.parametrize(("amount", "currency"), [(1, "EUR"), (1250, "JPY"), (1001, "KWD"), (99_999_999, "USD")])
def test_amounts_are_smallest_units_in_every_currency(till: GatewayRig, amount: int, currency: str) -> None:
    ref = paid(till, amount=amount, currency=currency)
    word = till.gateway.fetch(ref)
    assert (word.amount, word.currency, word.state) == (amount, currency, PaymentState.SETTLED)
    assert word.settled_at is not None and word.settled_at.tzinfo and not word.payable and word.method


def test_the_same_key_is_the_same_checkout(till: GatewayRig) -> None:
    request = wanted()
    first = till.gateway.start_checkout(request)
    for adapter in (till.gateway, till.fresh()):
        assert adapter.start_checkout(request) == first
        assert adapter.start_checkout(replace(request, expires_at=request.expires_at - timedelta(minutes=5))) == first
    assert till.checkouts(request.reference) == 1


def test_the_same_key_for_something_else_is_refused(till: GatewayRig) -> None:
    request = wanted()
    till.gateway.start_checkout(request)
    for changed in ({"amount": 12_346}, {"currency": "USD"}):
        with pytest.raises(Refused):
            till.gateway.start_checkout(replace(request, **changed))
    assert till.checkouts(request.reference) == 1


@pytest.mark.parametrize("fault", ["drop_after_commit", "error_after_commit", "truncated_json"])
def test_a_checkout_whose_answer_was_lost_is_unclear_and_found_by_reference(till: GatewayRig, fault: str) -> None:
    request = wanted()
    till.fault(fault, till.operations["start"])
    with pytest.raises(Unclear):
        till.gateway.start_checkout(request)
    found = till.fresh().find_checkout(request.reference)
    assert found is not None and till.gateway.start_checkout(request) == found
    assert till.checkouts(request.reference) == 1


@pytest.mark.parametrize("fault", ["drop_before_commit", "error_before_commit", "html_503"])
def test_a_checkout_that_may_have_been_made_is_unclear_though_it_was_not(till: GatewayRig, fault: str) -> None:
    request = wanted()
    till.fault(fault, till.operations["start"])
    with pytest.raises(Unclear):
        till.gateway.start_checkout(request)
    assert till.gateway.find_checkout(request.reference) is None
    assert till.gateway.start_checkout(request).ref


def test_nothing_is_found_for_a_reference_nobody_used(till: GatewayRig) -> None:
    for reference in (uuid.uuid4().hex, "&reference=", "é", "x" * 200):
        assert till.gateway.find_checkout(reference) is None


def test_the_paid_checkout_is_the_one_found(till: GatewayRig) -> None:
    """Two keys, one reference: whichever was paid counts."""
    request = wanted()
    first = till.gateway.start_checkout(request)
    till.press(first.url, "approve")
    till.gateway.start_checkout(replace(request, key=uuid.uuid4().hex))
    found = till.gateway.find_checkout(request.reference)
    assert found is not None and found.ref == first.ref


def test_what_does_not_exist_is_gone(till: GatewayRig) -> None:
    for ref in ("co_unknown", "../v1/payments", "x y", "é"):
        for ask in (till.gateway.fetch, till.gateway.cancel):
            with pytest.raises(Gone):
                ask(ref)


@pytest.mark.parametrize(
    ("buttons", "state"),
    [
        (["decline"], PaymentState.FAILED),
        (["authenticate"], PaymentState.REQUIRES_ACTION),
        (["authenticate", "confirm"], PaymentState.SETTLED),
        (["cancel"], PaymentState.CANCELLED),
        (["bank_settles"], PaymentState.PROCESSING),
    ],
)
def test_every_way_a_payment_goes_is_in_our_words(till: GatewayRig, buttons: list[str], state: PaymentState) -> None:
    checkout = till.gateway.start_checkout(wanted())
    for button in buttons:
        till.press(checkout.url, button)
    word = till.gateway.fetch(checkout.ref)
    assert word.state is state
    assert bool(word.failure) == (state is PaymentState.FAILED)
    assert word.payable == (state is PaymentState.REQUIRES_ACTION)


def test_a_debit_settles_or_comes_back_in_its_time(till: GatewayRig) -> None:
    refs = {}
    for button in ("bank_settles", "bank_returns"):
        checkout = till.gateway.start_checkout(wanted())
        till.press(checkout.url, button)
        refs[button] = checkout.ref
    till.advance(4 * DAY)
    assert till.gateway.fetch(refs["bank_settles"]).state is PaymentState.SETTLED
    returned = till.gateway.fetch(refs["bank_returns"])
    assert returned.state is PaymentState.RETURNED and returned.failure


def test_cancelling_ends_an_unpaid_checkout_and_is_repeatable(till: GatewayRig) -> None:
    checkout = till.gateway.start_checkout(wanted())
    for _ in range(3):
        word = till.gateway.cancel(checkout.ref)
        assert word.state is PaymentState.CANCELLED and not word.payable
    assert till.gateway.fetch(checkout.ref).state is PaymentState.CANCELLED


def test_cancelling_what_was_paid_answers_with_the_payment(till: GatewayRig) -> None:
    ref = paid(till)
    word = till.gateway.cancel(ref)
    assert word.state is PaymentState.SETTLED and not word.payable
    assert till.gateway.fetch(ref).state is PaymentState.SETTLED


@pytest.mark.parametrize("fault", ["drop_after_commit", "error_after_commit", "html_503"])
def test_a_cancellation_whose_answer_was_lost_may_be_repeated(till: GatewayRig, fault: str) -> None:
    checkout = till.gateway.start_checkout(wanted())
    till.fault(fault, till.operations["cancel"])
    with pytest.raises((Unclear, TryAgain)):
        till.gateway.cancel(checkout.ref)
    assert till.gateway.cancel(checkout.ref).state is PaymentState.CANCELLED


def test_refunds_are_given_once_per_key_and_add_up(till: GatewayRig) -> None:
    ref, first, second = paid(till), uuid.uuid4().hex, uuid.uuid4().hex
    for adapter in (till.gateway, till.gateway, till.fresh()):
        word = adapter.refund(ref, key=first, amount=345, reason="Returned")
        assert (word.refunded, word.state) == (345, PaymentState.PARTLY_REFUNDED)
    word = till.gateway.refund(ref, key=second, amount=12_000, reason="All of it")
    assert (word.refunded, word.state) == (12_345, PaymentState.REFUNDED)


def test_a_refund_key_is_remembered_long_after_the_gateway_forgot_it(till: GatewayRig) -> None:
    ref, key = paid(till), uuid.uuid4().hex
    till.gateway.refund(ref, key=key, amount=100, reason="x")
    till.advance(30 * DAY)
    assert till.fresh().refund(ref, key=key, amount=100, reason="x").refunded == 100


@pytest.mark.parametrize("fault", ["drop_after_commit", "error_after_commit", "truncated_json", "html_503"])
def test_a_refund_whose_answer_was_lost_is_unclear_and_given_once(till: GatewayRig, fault: str) -> None:
    ref, key = paid(till), uuid.uuid4().hex
    till.fault(fault, till.operations["refund"])
    with pytest.raises(Unclear):
        till.gateway.refund(ref, key=key, amount=500, reason="x")
    assert till.gateway.refund(ref, key=key, amount=500, reason="x").refunded == 500
    assert till.gateway.fetch(ref).refunded == 500


@pytest.mark.parametrize("amount", [12_346, 0, -1, 10**12])
def test_more_than_was_paid_or_nothing_is_never_given_back(till: GatewayRig, amount: int) -> None:
    ref = paid(till)
    with pytest.raises(Refused) as told:
        till.gateway.refund(ref, key=uuid.uuid4().hex, amount=amount, reason="x")
    assert told.value.why and till.gateway.fetch(ref).refunded == 0


def test_what_was_not_paid_is_not_given_back(till: GatewayRig) -> None:
    checkout = till.gateway.start_checkout(wanted())
    with pytest.raises(Refused):
        till.gateway.refund(checkout.ref, key=uuid.uuid4().hex, amount=1, reason="x")


def test_a_state_nobody_documented_is_unknown_and_never_guessed(till: GatewayRig) -> None:
    checkout = till.gateway.start_checkout(wanted())
    till.odd(checkout.ref)
    assert till.gateway.fetch(checkout.ref).state is PaymentState.UNKNOWN


READS = ("fetch", "find")


@pytest.mark.parametrize("ask", READS)
@pytest.mark.parametrize(
    "fault",
    ["drop_before_commit", "error_before_commit", "error_after_commit", "html_503", "truncated_json", "throttle"],
)
def test_a_reading_in_trouble_may_be_tried_again(till: GatewayRig, ask: str, fault: str) -> None:
    request = wanted()
    checkout = till.gateway.start_checkout(request)
    till.fault(fault, till.operations[ask])
    with pytest.raises(TryAgain) as told:
        till.gateway.fetch(checkout.ref) if ask == "fetch" else till.gateway.find_checkout(request.reference)
    assert told.value.after >= 1


@pytest.mark.parametrize("operation", ["start", "refund"])
def test_a_write_slowed_down_was_certainly_not_made(till: GatewayRig, operation: str) -> None:
    request, ref = wanted(), paid(till)
    till.fault("throttle", till.operations[operation])
    with pytest.raises(TryAgain):
        if operation == "start":
            till.gateway.start_checkout(request)
        else:
            till.gateway.refund(ref, key=uuid.uuid4().hex, amount=1, reason="x")
    assert till.checkouts(request.reference) == 0 and till.gateway.fetch(ref).refunded == 0


def test_an_answer_that_takes_too_long_is_what_it_may_be(till: GatewayRig) -> None:
    request = wanted()
    till.fault("slow", till.operations["start"], seconds=2.5)
    with pytest.raises(Unclear):
        till.fresh(seconds=1.0).start_checkout(request)
    till.fault("slow", till.operations["fetch"], seconds=2.5)
    with pytest.raises(TryAgain):
        till.fresh(seconds=1.0).fetch("co_1")
    assert in_the_end(lambda: till.gateway.find_checkout(request.reference)), "it was opened after all"


def test_a_wrong_key_is_told_without_showing_it(till: GatewayRig) -> None:
    wrong = till.fresh(key="sk_wrong_and_secret")
    for ask in (lambda: wrong.start_checkout(wanted()), lambda: wrong.fetch("co_1")):
        with pytest.raises(Answer) as told:
            ask()
        assert isinstance(told.value, Disconnected | Refused) and "sk_wrong" not in told.value.why


@pytest.mark.parametrize(
    "changes", [{"amount": 0}, {"amount": -5}, {"currency": "XXXX"}, {"success_url": "javascript:alert(1)"}]
)
def test_an_order_that_cannot_be_is_refused(till: GatewayRig, changes: dict[str, Any]) -> None:
    with pytest.raises(Refused) as told:
        till.gateway.start_checkout(wanted(**changes))
    assert told.value.why


def test_long_and_odd_texts_are_no_reason_to_refuse_money(till: GatewayRig) -> None:
    request = wanted(merchant="ü" * 500, description=tuple(f"Invoice {n} 🌻 " + "x" * 900 for n in range(100)))
    assert till.gateway.start_checkout(request).ref
