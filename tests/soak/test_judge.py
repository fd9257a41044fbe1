"""The judge of a soak sees what it is there to see: made-up books with one thing wrong at a time."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from connector.domain.postings import PostingState, posting_key
from integrations.gateways.sandbox.simulator.records import Payment, Refund
from tests.soak.judge import Ours, Theirs, judge

_ID = "ab" * 16
_KEY = posting_key(1, _ID, "all", 1)
_TAKEN = Payment("pay_1", "cs_1", _ID, 5000, "USD", created=1, status="settled", method="card", settled_at=2)


def _ours(**changed: Any) -> Ours:
    posting = SimpleNamespace(
        key=_KEY,
        payment_id=_ID,
        connection_id=1,
        part="all",
        generation=1,
        currency="USD",
        state=PostingState.POSTED,
        problem="",
    )
    values: dict[str, Any] = {
        "payments": {_ID: SimpleNamespace(id=_ID, state="settled")},
        "allocations": {},
        "postings": [posting],
        "connections": {1: "quickbooks"},
        "locks": [],
        "ledger": {_ID: 5000},
        "sums": {"USD": 0},
    }
    return Ours(**values | changed)


def _record(number: str, amount: str, key: str = _KEY) -> dict[str, Any]:
    return {"id": number, "amount": amount, "note": f"Paid online\nDuebridge {key}", "invoices": ["7"]}


def _theirs(records: list[dict[str, Any]], *payments: Payment, refunds: list[Refund] | None = None) -> Theirs:
    invoices = [{"id": "7", "number": "1007", "currency": "USD", "balance": "0.00"}]
    books = {"quickbooks": {"invoices": invoices, "payments": records}}
    return Theirs(list(payments), refunds or [], books)


def test_books_that_agree_are_found_good() -> None:
    found = judge(_ours(), _theirs([_record("1", "50.00")], _TAKEN), [{"http://gateway/checkout/cs_1"}])
    assert (found.payments, found.lost, found.doubled, found.broken) == (1, set(), set(), [])
    assert not found.ledger_sum


def test_a_payment_that_stands_nowhere_is_lost() -> None:
    found = judge(_ours(), _theirs([], _TAKEN), [])
    assert found.lost == {_ID} and not found.doubled


def test_a_payment_recorded_under_two_keys_or_twice_under_one_is_doubled() -> None:
    second = posting_key(1, _ID, "all", 2)
    ours = _ours()
    two_keys = [*ours.postings, SimpleNamespace(**vars(ours.postings[0]) | {"key": second, "generation": 2})]
    records = [_record("1", "50.00"), _record("2", "50.00", second)]
    assert judge(_ours(postings=two_keys), _theirs(records, _TAKEN), []).doubled == {_ID}
    assert judge(ours, _theirs([_record("1", "50.00"), _record("2", "50.00")], _TAKEN), []).doubled == {_ID}


def test_a_record_with_a_key_of_nobody_is_doubled() -> None:
    records = [_record("1", "50.00"), _record("2", "50.00", "0" * 32)]
    assert judge(_ours(), _theirs(records, _TAKEN), []).doubled == {"0" * 32}


def test_money_that_never_reached_the_ledger_is_lost_and_what_was_booked_twice_is_doubled() -> None:
    records = [_record("1", "50.00")]
    assert judge(_ours(ledger={}), _theirs(records, _TAKEN), []).lost == {_ID}
    assert judge(_ours(ledger={_ID: 10000}), _theirs(records, _TAKEN), []).doubled == {_ID}
    assert judge(_ours(payments={}), _theirs(records, _TAKEN), []).lost == {_ID}


def test_a_refund_must_have_left_the_books() -> None:
    refund = Refund("re_1", "pay_1", _ID, 5000, "USD", created=3, status="succeeded")
    theirs = _theirs([_record("1", "50.00")], replace(_TAKEN, status="refunded"), refunds=[refund])
    assert judge(_ours(ledger={_ID: 0}), theirs, []).doubled == {_ID}
    taken_back = _theirs([_record("1", "0")], replace(_TAKEN, status="refunded"), refunds=[refund])
    assert judge(_ours(ledger={_ID: 0}), taken_back, []).broken == []


def test_one_form_that_took_money_twice_is_doubled() -> None:
    again = replace(_TAKEN, id="pay_2", checkout="cs_2")
    forms = [{"http://gateway/checkout/cs_1", "http://gateway/checkout/cs_2"}]
    assert judge(_ours(), _theirs([_record("1", "50.00")], _TAKEN, again), forms).doubled == {_ID}


def test_what_waits_for_a_person_is_told_with_its_cause_and_a_lock_left_behind_with_its_payment() -> None:
    waiting = SimpleNamespace(
        **vars(_ours().postings[0]) | {"state": PostingState.NEEDS_REVIEW, "problem": "The invoice was voided."}
    )
    ours = _ours(postings=[waiting], locks=[SimpleNamespace(invoice_id=7, payment_id=_ID)])
    found = judge(ours, _theirs([], _TAKEN), [])
    assert found.needs_review == 1 and "The invoice was voided." in found.reviews[0]
    assert not found.lost and _ID in found.broken[0]
