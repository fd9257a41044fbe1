"""Payments in the books: once per key, found again, reversed; to the coin in every currency. Every system."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connector.contract import Answer, Gone, Refused, Stale, Unclear
from connector.domain.records import InvoiceState
from tests.contract.rigs import SystemRig, Taken, in_the_end, manifest_of

CURRENCIES = ("USD", "EUR", "JPY")


def new_key() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def books(rig: SystemRig) -> SystemRig:
    """A system payments are recorded in."""
    if manifest_of(rig).capabilities.payment == "none":
        pytest.skip(f"{manifest_of(rig).title} takes no payments (payment='none').")
    return rig


@pytest.mark.parametrize("currency", CURRENCIES)
def test_a_payment_lowers_what_is_due_to_the_coin(books: SystemRig, taken: Taken, currency: str) -> None:
    intent = taken.intent(new_key(), number=2, currency=currency)
    before = {remote_id: books.system.invoice(books.access, remote_id).balance for remote_id, _ in intent.allocations}
    made = books.system.record_payment(books.access, intent)
    assert (made.amount, made.currency, made.reversed) == (intent.amount, currency, False)
    assert sorted(made.allocations) == sorted(intent.allocations)
    for remote_id, share in intent.allocations:
        assert books.system.invoice(books.access, remote_id).balance == before[remote_id] - share
    assert taken.standing(intent.key) == [made.remote_id]


def test_the_rest_closes_the_invoice(books: SystemRig, taken: Taken) -> None:
    if not manifest_of(books).capabilities.partial:
        pytest.skip(f"{manifest_of(books).title} takes whole payments only (partial=False).")
    intent = taken.intent(new_key())
    ((remote_id, share),) = intent.allocations
    books.system.record_payment(books.access, intent)
    rest = books.system.invoice(books.access, remote_id).balance
    last = replace(intent, key=new_key(), amount=rest, allocations=((remote_id, rest),))
    books.system.record_payment(books.access, last)
    closed = books.system.invoice(books.access, remote_id)
    assert (closed.state, closed.balance) == (InvoiceState.PAID, 0) and rest + share == closed.total


def test_a_payment_is_found_by_its_key_and_by_nothing_else(books: SystemRig, taken: Taken) -> None:
    intent = taken.intent(new_key(), number=2)
    assert books.system.find_payment(books.access, intent) is None
    made = books.system.record_payment(books.access, intent)
    assert books.fresh().find_payment(books.access, intent) == made
    for other in (new_key(), intent.key[:-1] + ("0" if intent.key[-1] != "0" else "1"), intent.key[:21] + "0" * 11):
        assert books.system.find_payment(books.access, replace(intent, key=other)) is None
    elsewhere = taken.intent(intent.key)
    found = books.system.find_payment(books.access, replace(elsewhere, key=new_key()))
    assert found is None


def test_the_same_key_again_is_one_payment_upstream(books: SystemRig, taken: Taken) -> None:
    intent = taken.intent(new_key())
    made = books.system.record_payment(books.access, intent)
    if manifest_of(books).capabilities.idempotency == "native_key":
        for adapter in (books.system, books.fresh()):
            assert adapter.record_payment(books.access, intent).remote_id == made.remote_id
    else:
        assert books.system.find_payment(books.access, intent) == made
    assert taken.standing(intent.key) == [made.remote_id]


@pytest.mark.parametrize("fault", ["drop_after_commit", "error_after_commit", "truncated_json"])
def test_a_payment_whose_answer_was_lost_is_unclear_and_found_again(books: SystemRig, taken: Taken, fault: str) -> None:
    intent = taken.intent(new_key())
    books.fault(fault, books.operations["record"])
    with pytest.raises(Unclear):
        books.system.record_payment(books.access, intent)
    found = books.system.find_payment(books.access, intent)
    assert found is not None and (found.amount, found.reversed) == (intent.amount, False)
    assert taken.standing(intent.key) == [found.remote_id]


@pytest.mark.parametrize("fault", ["drop_before_commit", "error_before_commit", "html_503"])
def test_a_payment_that_may_have_been_made_is_unclear_though_it_was_not(
    books: SystemRig, taken: Taken, fault: str
) -> None:
    intent = taken.intent(new_key())
    books.fault(fault, books.operations["record"])
    with pytest.raises(Unclear):
        books.system.record_payment(books.access, intent)
    assert books.system.find_payment(books.access, intent) is None and taken.standing(intent.key) == []


def test_an_answer_that_takes_too_long_is_unclear(books: SystemRig, taken: Taken) -> None:
    intent = taken.intent(new_key())
    books.fault("slow", books.operations["record"], seconds=2.5)
    with pytest.raises(Unclear, match="in time"):
        books.fresh(seconds=1.0).record_payment(books.access, intent)
    found = in_the_end(lambda: books.system.find_payment(books.access, intent))
    assert found is not None and taken.standing(intent.key) == [found.remote_id], "it arrived after all"


def test_reversing_reopens_the_invoices_and_twice_is_once(books: SystemRig, taken: Taken) -> None:
    if manifest_of(books).capabilities.reversal == "none":
        pytest.skip(f"{manifest_of(books).title} takes nothing back (reversal='none').")
    intent = taken.intent(new_key(), number=2)
    before = {remote_id: books.system.invoice(books.access, remote_id) for remote_id, _ in intent.allocations}
    made = books.system.record_payment(books.access, intent)
    for adapter in (books.system, books.system, books.fresh()):
        adapter.reverse_payment(books.access, made)
    for remote_id, was in before.items():
        now = books.system.invoice(books.access, remote_id)
        assert (now.state, now.balance) == (was.state, was.balance)
    assert taken.standing(intent.key) == []
    found = books.system.find_payment(books.access, intent)
    assert found is None or found.reversed, "never called standing"


@pytest.mark.parametrize("fault", ["drop_after_commit", "error_after_commit", "html_503"])
def test_a_reversal_whose_answer_was_lost_may_be_repeated(books: SystemRig, taken: Taken, fault: str) -> None:
    if manifest_of(books).capabilities.reversal == "none":
        pytest.skip(f"{manifest_of(books).title} takes nothing back (reversal='none').")
    intent = taken.intent(new_key())
    made = books.system.record_payment(books.access, intent)
    books.fault(fault, books.operations["reverse"])
    with pytest.raises(Unclear):
        books.system.reverse_payment(books.access, made)
    books.system.reverse_payment(books.access, made)
    assert taken.standing(intent.key) == []


def test_a_payment_changed_meanwhile_is_reversed_all_the_same(books: SystemRig, taken: Taken) -> None:
    if manifest_of(books).capabilities.reversal == "none":
        pytest.skip(f"{manifest_of(books).title} takes nothing back (reversal='none').")
    made = books.system.record_payment(books.access, taken.intent(new_key()))
    books.system.reverse_payment(books.access, made._replace(version="0" if made.version != "0" else "7"))
    assert made.remote_id not in {remote_id for remote_id, _, _ in books.payments()}


def test_what_was_never_recorded_is_reversed_or_gone(books: SystemRig, taken: Taken) -> None:
    if manifest_of(books).capabilities.reversal == "none":
        pytest.skip(f"{manifest_of(books).title} takes nothing back (reversal='none').")
    made = books.system.record_payment(books.access, taken.intent(new_key()))
    try:
        books.system.reverse_payment(books.access, made._replace(remote_id="999999999"))
    except (Gone, Refused, Stale) as told:
        assert told.why
    assert made.remote_id in {remote_id for remote_id, _, _ in books.payments()}, "and never another payment instead"


def test_a_closed_period_is_refused_in_words(books: SystemRig, taken: Taken) -> None:
    today = datetime.now(UTC).date()
    intent = taken.intent(new_key())
    made = books.system.record_payment(books.access, taken.intent(new_key()))
    books.close_books(today + timedelta(days=1))
    try:
        with pytest.raises(Refused) as told:
            books.system.record_payment(books.access, intent)
        assert told.value.why.endswith(".") and len(told.value.why) > 30 and "period" in told.value.why
        try:
            books.system.reverse_payment(books.access, made)
        except Refused as refusal:
            assert refusal.why.endswith(".")
    finally:
        books.close_books(None)
    assert taken.standing(intent.key) == []
    again = replace(intent, key=new_key())
    assert books.system.record_payment(books.access, again).amount == intent.amount


def test_more_than_is_due_is_not_taken_silently(books: SystemRig, taken: Taken) -> None:
    intent = taken.intent(new_key())
    ((remote_id, _),) = intent.allocations
    due = books.system.invoice(books.access, remote_id).balance
    try:
        made = books.system.record_payment(
            books.access, replace(intent, amount=due + 1, allocations=((remote_id, due + 1),))
        )
    except Refused as told:
        assert told.why.endswith(".")
        assert taken.standing(intent.key) == []
    else:
        # QuickBooks books what is too much as the customer's credit.
        assert made.amount == due + 1 and books.system.invoice(books.access, remote_id).balance <= 0


def test_an_invoice_that_is_gone_is_refused(books: SystemRig, taken: Taken) -> None:
    intent = taken.intent(new_key())
    with pytest.raises((Refused, Gone)):
        books.system.record_payment(books.access, replace(intent, allocations=(("999999999", intent.amount),)))
    assert taken.standing(intent.key) == []


def test_without_an_account_the_manifest_keeps_its_word(books: SystemRig, taken: Taken) -> None:
    intent = replace(taken.intent(new_key()), deposit_account="")
    if manifest_of(books).capabilities.deposit_account_required:
        with pytest.raises(Refused):
            books.system.record_payment(books.access, intent)
        assert taken.standing(intent.key) == []
    else:
        assert books.system.record_payment(books.access, intent).amount == intent.amount


def test_an_account_that_does_not_exist_is_refused_in_words(books: SystemRig, taken: Taken) -> None:
    intent = replace(taken.intent(new_key()), deposit_account="00000000-0000-4000-8000-00000000dead")
    with pytest.raises(Answer) as told:
        books.system.record_payment(books.access, intent)
    assert not isinstance(told.value, Unclear) and told.value.why
    assert taken.standing(intent.key) == []


def test_a_long_note_and_reference_never_cost_the_key(books: SystemRig, taken: Taken) -> None:
    intent = replace(taken.intent(new_key()), reference="r" * 300, note="ノート 🌻 " * 3000)
    made = books.system.record_payment(books.access, intent)
    assert books.system.find_payment(books.access, intent) == made
