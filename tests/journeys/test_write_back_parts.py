"""One payment over three invoices where a record settles one: each part is looked up, sent and adopted alone."""

from __future__ import annotations

from contextlib import suppress
from itertools import count

import pytest

from connector.db.rows import InvoiceRow
from connector.domain.postings import PostingState
from connector.domain.records import PaymentState
from connector.journeys import review
from tests.walks.crashes import Died, steps
from tests.weakbooks.place import AFTER_A_LOST_CALL, WeakPlace
from tests.weakbooks.weaknesses import ALL, Weakness
from tests.weakbooks.wiring import control

PARTS = [weakness for weakness in ALL if not weakness.multi_invoice]
NONE = next(weakness for weakness in PARTS if weakness.kind == "none")
every = pytest.mark.parametrize("weakness", PARTS, ids=lambda one: one.kind)


def by_invoice(weak: WeakPlace, payment_id: str) -> dict[str, PostingState]:
    """How the newest posting of each part stands, by the invoice it settles."""
    return {row.allocations[0][0]: row.state for row in weak.newest(payment_id)}


def each_stands_once(weak: WeakPlace, payment_id: str, invoices: list[InvoiceRow]) -> None:
    assert set(by_invoice(weak, payment_id).values()) == {PostingState.POSTED}
    standing = sorted(tuple(line["allocations"][0]) for line in weak.standing(payment_id))
    assert standing == sorted((row.remote_id, row.balance) for row in invoices)
    assert not any(weak.holder(row) for row in invoices)
    assert weak.ledger_is_zero()


def person_settles(weak: WeakPlace, payment_id: str) -> None:
    """Somebody says of every part in doubt what the upstream's books show."""
    here = (weak.wiring, weak.shop.merchant_id)
    for posting in weak.newest(payment_id):
        if posting.state is not PostingState.NEEDS_REVIEW:
            continue
        assert "cannot be searched by our reference" in posting.problem
        found = [line for line in weak.standing(payment_id) if line["allocations"][0][0] == posting.allocations[0][0]]
        if found:
            review.stands_there(*here, posting.key, number=str(found[0]["id"]), user_id=1)
        else:
            review.not_there(*here, posting.key, user_id=1)
    weak.finish(payment_id)


@every
def test_three_parts_are_three_records(weak: WeakPlace, weakness: Weakness) -> None:
    invoices = weak.invoices(weakness, 3)
    payment_id = weak.settle(invoices)
    weak.finish(payment_id)
    each_stands_once(weak, payment_id, invoices)


@every
def test_the_second_part_refused_does_not_keep_the_others(weak: WeakPlace, weakness: Weakness) -> None:
    invoices = weak.invoices(weakness, 3)
    second = invoices[1]
    weak.books(weakness).refuse(second.remote_id, 1, "This invoice is locked.")
    payment_id = weak.settle(invoices)
    weak.work()
    posted = {row.remote_id: PostingState.POSTED for row in invoices}
    assert by_invoice(weak, payment_id) == posted | {second.remote_id: PostingState.NEEDS_REVIEW}
    (posting,) = (row for row in weak.newest(payment_id) if row.state is PostingState.NEEDS_REVIEW)
    assert "This invoice is locked." in posting.problem
    assert {weak.holder(row) for row in invoices} == {payment_id}, "the payment is posted when all its parts are"
    review.retry(weak.wiring, weak.shop.merchant_id, posting.key, user_id=1)
    weak.advance(AFTER_A_LOST_CALL)
    weak.finish(payment_id)
    each_stands_once(weak, payment_id, invoices)


@every
@pytest.mark.parametrize("fault", ["drop_before_commit", "error_after_commit"])
def test_no_clear_answer_for_one_part_does_not_keep_the_others(weak: WeakPlace, weakness: Weakness, fault: str) -> None:
    invoices = weak.invoices(weakness, 3)
    weak.fault(weakness, fault, "payment.create")
    payment_id = weak.settle(invoices)
    weak.work()
    states = list(by_invoice(weak, payment_id).values())
    assert sorted(states) == sorted([PostingState.SENDING, PostingState.POSTED, PostingState.POSTED])
    weak.finish(payment_id)
    if weakness is NONE:
        person_settles(weak, payment_id)
    each_stands_once(weak, payment_id, invoices)


@every
def test_no_part_is_sent_twice_when_all_answers_are_lost(weak: WeakPlace, weakness: Weakness) -> None:
    invoices = weak.invoices(weakness, 5)
    weak.fault(weakness, "drop_after_commit", "payment.create", times=5)
    payment_id = weak.settle(invoices)
    weak.finish(payment_id, rounds=20)
    if weakness is NONE:
        person_settles(weak, payment_id)
    each_stands_once(weak, payment_id, invoices)


@every
def test_a_system_that_says_slow_down_is_not_asked_for_every_part(weak: WeakPlace, weakness: Weakness) -> None:
    invoices = weak.invoices(weakness, 8)
    payment_id = weak.settle(invoices)
    before = weak.upstreams.journal.counts().get("payment.create", 0)
    weak.fault(weakness, "throttle", "payment.create", times=100)
    weak.work()
    assert weak.upstreams.journal.counts()["payment.create"] - before <= 3
    control(weak.url, weakness, "faults/clear")
    weak.finish(payment_id)
    each_stands_once(weak, payment_id, invoices)


@every
def test_a_crash_at_every_step(weak_on_sqlite: WeakPlace, weakness: Weakness) -> None:
    weak = weak_on_sqlite
    """Among them the one after the second of three parts was recorded and before that is written down."""
    after_the_second = 0
    for fatal in count():
        assert fatal < 100
        invoices = weak.invoices(weakness, 3)
        payment_id = weak.settle(invoices)
        with steps(fatal) as counter, suppress(Died):
            weak.work()
        if counter.dead and len(weak.standing(payment_id)) == 2:
            after_the_second += {PostingState.SENDING} <= set(by_invoice(weak, payment_id).values())
        weak.advance(AFTER_A_LOST_CALL)
        weak.finish(payment_id)
        if weakness is NONE:
            person_settles(weak, payment_id)
        each_stands_once(weak, payment_id, invoices)
        if not counter.dead:
            break
    assert fatal > 20 and after_the_second


@every
def test_money_that_went_back_takes_every_part_back(weak: WeakPlace, weakness: Weakness) -> None:
    invoices = weak.invoices(weakness, 3)
    payment_id = weak.settle(invoices)
    weak.finish(payment_id)
    weak.fault(weakness, "drop_after_commit", "payment.void", times=2)
    weak.word(payment_id, PaymentState.RETURNED)
    weak.finish(payment_id)
    assert set(by_invoice(weak, payment_id).values()) == {PostingState.REVERSED}
    assert weak.standing(payment_id) == [] and not any(weak.holder(row) for row in invoices)
