"""A payment in a system of every kind of weakness, whatever happens to the call: it stands once by the system's own
log, or a person is asked in words and settles it."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from connector.db.rows import InvoiceRow
from connector.domain.postings import PostingState
from connector.domain.records import PaymentState
from connector.errors import Invalid, Unavailable
from connector.journeys import review
from tests.weakbooks.adapter import WeakBooks
from tests.weakbooks.place import AFTER_A_LOST_CALL, WeakPlace
from tests.weakbooks.weaknesses import Weakness
from tests.weakbooks.wiring import control, with_weak

KINDS = [Weakness("native_key"), Weakness("unique_field"), Weakness("natural"), Weakness("search"), Weakness("none")]
ASKABLE = KINDS[:-1]
NONE = KINDS[-1]
# An adapter's patience where an answer is to come too late, in seconds.
_PATIENCE = 0.4
every = pytest.mark.parametrize("weakness", KINDS, ids=lambda one: one.kind)
askable = pytest.mark.parametrize("weakness", ASKABLE, ids=lambda one: one.kind)
BEFORE = ("drop_before_commit", "error_before_commit", "html_503")
AFTER = ("drop_after_commit", "error_after_commit", "truncated_json")


def stands_once(weak: WeakPlace, payment_id: str, *invoices: InvoiceRow) -> None:
    """By the upstream's own log; and here nothing is locked, nothing out of balance."""
    assert {row.state for row in weak.newest(payment_id)} == {PostingState.POSTED}
    assert [line["amount"] for line in weak.standing(payment_id)] == [sum(row.balance for row in invoices)]
    assert not any(weak.holder(row) for row in invoices)
    assert weak.ledger_is_zero()


def person_settles(weak: WeakPlace, payment_id: str) -> None:
    """Somebody looks into the upstream's books and says what stands there."""
    (posting,) = weak.newest(payment_id)
    assert posting.state is PostingState.NEEDS_REVIEW
    assert "cannot be searched by our reference" in posting.problem and "due there now" in posting.problem
    if found := weak.standing(payment_id):
        here = (weak.wiring, weak.shop.merchant_id, posting.key)
        review.stands_there(*here, number=str(found[0]["id"]), user_id=1)
    else:
        review.not_there(weak.wiring, weak.shop.merchant_id, posting.key, user_id=1)
    weak.finish(payment_id)


@every
def test_a_payment_over_three_invoices_is_one_record(weak: WeakPlace, weakness: Weakness) -> None:
    invoices = weak.invoices(weakness, 3)
    payment_id = weak.settle(invoices)
    weak.finish(payment_id)
    stands_once(weak, payment_id, *invoices)


@every
@pytest.mark.parametrize("fault", [*BEFORE, *AFTER])
def test_a_call_without_a_clear_answer(weak: WeakPlace, weakness: Weakness, fault: str) -> None:
    (invoice,) = weak.invoices(weakness)
    weak.fault(weakness, fault, "payment.create")
    payment_id = weak.settle([invoice])
    weak.work()
    assert [row.state for row in weak.postings(payment_id)] == [PostingState.SENDING]
    assert any("No clear answer" in line for line in weak.story(payment_id))
    weak.finish(payment_id)
    if weakness is NONE:
        assert len(weak.standing(payment_id)) == (1 if fault in AFTER else 0), "never sent again by ourselves"
        assert weak.holder(invoice) == payment_id, "nobody pays it twice meanwhile"
        person_settles(weak, payment_id)
    stands_once(weak, payment_id, invoice)


@every
def test_an_answer_that_comes_too_late(weak: WeakPlace, weakness: Weakness) -> None:
    """The system records it after we have given up waiting."""
    (invoice,) = weak.invoices(weakness)
    weak.fault(weakness, "slow", "payment.create", seconds=_PATIENCE * 2)
    payment_id = weak.settle([invoice])
    # On a slow machine other calls may take as long, and come again.
    for _ in range(20):
        weak.work_impatiently(weakness, _PATIENCE)
        if any("No clear answer" in line for line in weak.story(payment_id)):
            break
        weak.advance(AFTER_A_LOST_CALL)
    # No call lasts until the look-up: by then it has arrived.
    end = time.monotonic() + 60
    while not weak.standing(payment_id) and time.monotonic() < end:
        time.sleep(0.02)
    assert len(weak.standing(payment_id)) == 1, weak.story(payment_id)
    weak.finish(payment_id, rounds=30)
    if weakness is NONE:
        person_settles(weak, payment_id)
    stands_once(weak, payment_id, invoice)


@every
def test_a_call_that_certainly_never_arrived_is_sent_again(weak: WeakPlace, weakness: Weakness) -> None:
    (invoice,) = weak.invoices(weakness)
    weak.fault(weakness, "throttle", "payment.create", times=2)
    payment_id = weak.settle([invoice])
    weak.finish(payment_id)
    stands_once(weak, payment_id, invoice)


@every
def test_a_system_nobody_listens_at(weak: WeakPlace, weakness: Weakness, free_port: int) -> None:
    (invoice,) = weak.invoices(weakness)
    payment_id = weak.settle([invoice])
    there, weak.wiring = weak.wiring, with_weak(weak.wiring, weakness, f"http://127.0.0.1:{free_port}")
    try:
        for _ in range(3):
            weak.work()
            weak.advance(120)
    finally:
        weak.wiring = there
    assert [row.state for row in weak.postings(payment_id)] == [PostingState.QUEUED]
    weak.finish(payment_id)
    stands_once(weak, payment_id, invoice)


def test_the_number_a_person_names_is_looked_at_where_the_system_can_be_asked(weak: WeakPlace) -> None:
    ours, other = weak.invoices(NONE)[0], weak.invoices(NONE, total=700)[0]
    weak.fault(NONE, "drop_after_commit", "payment.create", times=2)
    payment_id, another = weak.settle([ours]), weak.settle([other])
    for one in (payment_id, another):
        weak.finish(one)
    (posting,) = weak.newest(payment_id)
    (number,), (wrong,) = ([str(line["id"]) for line in weak.standing(one)] for one in (payment_id, another))

    def there(named: str) -> None:
        review.stands_there(weak.wiring, weak.shop.merchant_id, posting.key, number=named, user_id=1)

    with pytest.raises(Invalid, match="has no payment with the number p999"):
        there("p999")
    with pytest.raises(Invalid, match=f"Payment {wrong} in .* is one of 7.00 USD; this one is of 10.00 USD"):
        there(wrong)
    weak.fault(NONE, "drop_before_commit", "payment.read", times=3)
    with pytest.raises(Unavailable, match="could not be asked"):
        there(number)
    weak.upstreams.faults[NONE.name].clear()
    assert [row.state for row in weak.newest(payment_id)] == [PostingState.NEEDS_REVIEW]
    there(f" {number} ")
    weak.finish(payment_id)
    stands_once(weak, payment_id, ours)
    person_settles(weak, another)


def test_a_payment_voided_there_is_none(weak: WeakPlace) -> None:
    (invoice,) = weak.invoices(NONE)
    weak.fault(NONE, "drop_after_commit", "payment.create")
    payment_id = weak.settle([invoice])
    weak.finish(payment_id)
    (posting,) = weak.newest(payment_id)
    number = str(weak.standing(payment_id)[0]["id"])
    control(weak.url, NONE, f"payments/{number}/void")
    with pytest.raises(Invalid, match="was voided or deleted"):
        review.stands_there(weak.wiring, weak.shop.merchant_id, posting.key, number=number, user_id=1)
    person_settles(weak, payment_id)
    stands_once(weak, payment_id, invoice)


class _Mute(WeakBooks):
    payment = None  # type: ignore[assignment]


def test_a_system_that_cannot_be_asked_is_taken_at_the_persons_word(
    weak: WeakPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weak.wiring.system(NONE.name), "__class__", _Mute)
    (invoice,) = weak.invoices(NONE)
    weak.fault(NONE, "drop_after_commit", "payment.create")
    payment_id = weak.settle([invoice])
    weak.finish(payment_id)
    (posting,) = weak.newest(payment_id)
    review.stands_there(weak.wiring, weak.shop.merchant_id, posting.key, number="whatever they say", user_id=1)
    assert [(row.state, row.remote_id) for row in weak.newest(payment_id)] == [
        (PostingState.POSTED, "whatever they say")
    ]


@askable
@pytest.mark.parametrize(
    "fault", ["drop_before_commit", "error_before_commit", "html_503", "truncated_json", "throttle"]
)
@pytest.mark.parametrize("arrived", [True, False])
def test_the_look_up_fails_as_well(weak: WeakPlace, weakness: Weakness, fault: str, arrived: bool) -> None:
    (invoice,) = weak.invoices(weakness)
    weak.fault(weakness, "drop_after_commit" if arrived else "drop_before_commit", "payment.create")
    weak.fault(weakness, fault, "payment.find", times=3)
    payment_id = weak.settle([invoice])
    weak.finish(payment_id, rounds=20)
    stands_once(weak, payment_id, invoice)


@askable
def test_long_after_the_system_forgot_the_key(weak: WeakPlace, weakness: Weakness) -> None:
    for fault in ("drop_after_commit", "drop_before_commit"):
        (invoice,) = weak.invoices(weakness)
        weak.fault(weakness, fault, "payment.create")
        payment_id = weak.settle([invoice])
        weak.work()
        weak.advance(7 * 86_400)
        weak.finish(payment_id)
        stands_once(weak, payment_id, invoice)
        generations = [row.generation for row in weak.postings(payment_id)]
        anew = weakness.kind == "native_key" and fault == "drop_before_commit"
        assert generations == ([1, 2] if anew else [1]), "a new key only after proof that the old one does not stand"


@every
def test_a_worker_that_died_before_it_sent_anything(weak: WeakPlace, weakness: Weakness) -> None:
    """ "sending" was committed, and that was the last it did."""
    (invoice,) = weak.invoices(weakness)
    payment_id = weak.settle([invoice])
    (posting,) = weak.postings(payment_id)
    with weak.wiring.database.unit_of_work(weak.shop.merchant_id) as uow:
        uow.postings.change(posting.key, state=PostingState.SENDING, sent_at=uow.now)
    weak.work()
    assert weak.standing(payment_id) == [], "it waits until an earlier call could have arrived"
    weak.finish(payment_id)
    if weakness is NONE:
        person_settles(weak, payment_id)
    stands_once(weak, payment_id, invoice)


@every
@pytest.mark.parametrize("cause", ["refused", "closed", "void", "paid"])
def test_a_refusal_is_shown_and_retried_when_put_right(weak: WeakPlace, weakness: Weakness, cause: str) -> None:
    (invoice,) = weak.invoices(weakness)
    books = weak.books(weakness)
    payment_id = weak.settle([invoice])
    if cause == "refused":
        books.refuse(invoice.remote_id, 1, "The month is not open yet.")
    elif cause == "closed":
        books.closed_until = "2099-01-01"
    elif cause == "void":
        books.change_invoice(invoice.remote_id, state="void")
    else:
        stranger = books.pay_by_hand(invoice.remote_id)
    (posting,) = weak.finish(payment_id)
    assert posting.state is PostingState.NEEDS_REVIEW
    words = {"refused": "not open yet", "closed": "closed until", "void": "voided or deleted", "paid": "paid twice"}
    assert words[cause] in posting.problem
    assert weak.standing(payment_id) == [] and weak.holder(invoice) == payment_id
    books.closed_until = ""
    if cause == "void":
        books.change_invoice(invoice.remote_id, state="open")
    elif cause == "paid":
        books.void(stranger["id"], by="hand")
    review.retry(weak.wiring, weak.shop.merchant_id, posting.key, user_id=1)
    weak.advance(AFTER_A_LOST_CALL)
    weak.finish(payment_id)
    stands_once(weak, payment_id, invoice)


def test_a_reference_that_is_taken_is_our_own_and_adopted(weak: WeakPlace) -> None:
    """The look-up does not show it yet, the repetition is refused: it had arrived after all."""
    weakness = Weakness("unique_field")
    (invoice,) = weak.invoices(weakness)
    weak.fault(weakness, "drop_after_commit", "payment.create")
    payment_id = weak.settle([invoice])
    weak.work()
    weak.books(weakness).lag = AFTER_A_LOST_CALL * 2.5
    weak.finish(payment_id)
    assert any("does not show that payment yet" in line for line in weak.story(payment_id))
    stands_once(weak, payment_id, invoice)


def test_a_system_that_shows_late_is_asked_late(weak: WeakPlace) -> None:
    """Where what was recorded shows up after a while only, the manifest says so and the look-up waits for it."""
    weakness = Weakness("search")
    (invoice,) = weak.invoices(weakness)
    weak.fault(weakness, "drop_after_commit", "payment.create")
    weak.books(weakness).lag = 100.0
    payment_id = weak.settle([invoice])
    system = weak.wiring.systems[weakness.name]
    assert isinstance(system, WeakBooks)
    honest = system.manifest
    system.manifest = replace(honest, capabilities=replace(honest.capabilities, lookup_lag=120.0))
    try:
        weak.finish(payment_id)
    finally:
        system.manifest = honest
    stands_once(weak, payment_id, invoice)


def test_two_records_of_one_key_are_for_a_person(weak: WeakPlace) -> None:
    weakness = Weakness("search")
    (invoice,) = weak.invoices(weakness)
    weak.fault(weakness, "drop_after_commit", "payment.create")
    payment_id = weak.settle([invoice])
    weak.work()
    (posting,) = weak.postings(payment_id)
    weak.books(weakness).change_invoice(invoice.remote_id, balance=invoice.balance, state="open")
    body = {"customer": "c1", "currency": "USD", "paid_on": "2026-11-22", "reference": posting.key, "note": payment_id}
    weak.books(weakness).create("t1", {**body, "allocations": [[invoice.remote_id, invoice.balance]]}, "")
    (posting,) = weak.finish(payment_id)
    assert posting.state is PostingState.NEEDS_REVIEW and "2 payments carry our reference" in posting.problem
    weak.books(weakness).void(str(weak.standing(payment_id)[1]["id"]), by="hand")
    review.retry(weak.wiring, weak.shop.merchant_id, posting.key, user_id=1)
    weak.finish(payment_id)
    stands_once(weak, payment_id, invoice)


@askable
def test_recorded_and_deleted_by_hand_before_we_heard(weak: WeakPlace, weakness: Weakness) -> None:
    """Not even a system that writes the same record once more brings it back by itself."""
    (invoice,) = weak.invoices(weakness)
    weak.fault(weakness, "drop_after_commit", "payment.create")
    payment_id = weak.settle([invoice])
    weak.work()
    weak.books(weakness).void(str(weak.standing(payment_id)[0]["id"]), by="hand")
    (posting,) = weak.finish(payment_id)
    assert posting.state is PostingState.NEEDS_REVIEW and "voided there by hand" in posting.problem
    assert weak.standing(payment_id) == []
    review.retry(weak.wiring, weak.shop.merchant_id, posting.key, user_id=1)
    weak.finish(payment_id)
    stands_once(weak, payment_id, invoice)


@every
@pytest.mark.parametrize("fault", ["", *BEFORE, *AFTER])
def test_money_that_went_back_leaves_nothing_standing(weak: WeakPlace, weakness: Weakness, fault: str) -> None:
    (invoice,) = weak.invoices(weakness)
    payment_id = weak.settle([invoice])
    weak.finish(payment_id)
    if fault:
        weak.fault(weakness, fault, "payment.void")
    weak.word(payment_id, PaymentState.RETURNED)
    (posting,) = weak.finish(payment_id)
    assert posting.state is PostingState.REVERSED
    assert weak.standing(payment_id) == []
    assert weak.books(weakness).invoice(invoice.remote_id)["balance"] == invoice.balance
    assert weak.holder(invoice) is None and weak.ledger_is_zero()


@every
@pytest.mark.parametrize("fault", [*BEFORE, *AFTER])
def test_money_that_went_back_before_we_knew_whether_it_stands(weak: WeakPlace, weakness: Weakness, fault: str) -> None:
    (invoice,) = weak.invoices(weakness)
    weak.fault(weakness, fault, "payment.create")
    payment_id = weak.settle([invoice])
    weak.work()
    weak.word(payment_id, PaymentState.RETURNED)
    (posting,) = weak.finish(payment_id)
    if weakness is NONE:
        assert posting.state is PostingState.NEEDS_REVIEW and "cannot be searched by our reference" in posting.problem
        if found := weak.standing(payment_id):
            here = (weak.wiring, weak.shop.merchant_id, posting.key)
            review.stands_there(*here, number=str(found[0]["id"]), user_id=1)
        else:
            review.not_there(weak.wiring, weak.shop.merchant_id, posting.key, user_id=1)
        (posting,) = weak.finish(payment_id)
    assert posting.state is PostingState.REVERSED
    assert weak.standing(payment_id) == [] and weak.holder(invoice) is None


@askable
def test_a_fault_that_never_ends_is_shown_to_a_person_in_the_end(weak_on_sqlite: WeakPlace, weakness: Weakness) -> None:
    weak = weak_on_sqlite
    (invoice,) = weak.invoices(weakness)
    weak.fault(weakness, "error_before_commit", "payment.create", times=1000)
    payment_id = weak.settle([invoice])
    for _ in range(45):
        weak.work()
        weak.ahead += timedelta(hours=2)
    (posting,) = weak.newest(payment_id)
    assert posting.state is PostingState.NEEDS_REVIEW and "It was tried 35 times" in posting.problem
    control(weak.url, weakness, "faults/clear")
    review.retry(weak.wiring, weak.shop.merchant_id, posting.key, user_id=1)
    weak.finish(payment_id)
    stands_once(weak, payment_id, invoice)
