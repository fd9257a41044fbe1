"""Booking the gateway's word: once, whole, in the order things happened; what does not fit is for a person."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
import sqlalchemy as sa

from connector.contract import PaymentGateway, Refused, TryAgain
from connector.db import tables as t
from connector.db.rows import PaymentRow
from connector.domain.records import PaymentState
from connector.domain.work import Work
from connector.journeys import reconcile, release
from connector.wiring import Wiring
from tests.journeys.standing import Speaking, Standing


def _with(standing: Standing, gateway: Speaking) -> Wiring:
    return replace(standing.wiring, gateways={"sandbox": cast(PaymentGateway, gateway)})


def _run(standing: Standing, payment: PaymentRow, gateway: Speaking) -> None:
    item = standing.item(Work.RECONCILE, payment.id, payment=payment.id)
    reconcile.run(_with(standing, gateway), item)


def _entries(standing: Standing) -> int:
    with standing.wiring.database.engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(t.ledger_entries)).scalar_one())


def test_the_same_word_many_times_is_booked_once(standing: Standing) -> None:
    invoice = standing.invoice()
    payment = standing.begin(invoice)
    for _ in range(4):
        _run(standing, payment, Speaking(standing.word(payment, PaymentState.SETTLED)))
    assert _entries(standing) == 1
    assert standing.ledger(payment) == {
        "clearing:sandbox": 10_000,
        f"receivable:{standing.shop.connection_id}:{invoice.id}": -10_000,
    }
    assert standing.holder(invoice) == payment.id, "until it stands in the books"


@pytest.mark.parametrize("wrong", [{"amount": 9_999}, {"amount": 10_001}, {"currency": "USD"}, {"refunded": 10_001}])
def test_a_word_on_other_money_books_nothing_and_asks_for_a_person(standing: Standing, wrong: dict[str, Any]) -> None:
    invoice = standing.invoice()
    payment = standing.begin(invoice)
    word = standing.word(payment, PaymentState.SETTLED, **wrong)
    with pytest.raises(Refused, match="Nothing was booked"):
        _run(standing, payment, Speaking(word))
    assert standing.payment().state is PaymentState.CHECKOUT and _entries(standing) == 0
    assert standing.holder(invoice) == payment.id
    with pytest.raises(Refused):
        release.give_up(_with(standing, Speaking(word)), standing.shop.merchant_id, payment.id)
    story = [row.what for row in standing.shop.rows(t.payment_events)]
    assert "Speaks of another payment than ours" in story


def test_a_word_another_has_overtaken_is_asked_for_again(standing: Standing) -> None:
    """One worker is told 'settled' and falls asleep; meanwhile the debit comes back and is booked."""
    payment = standing.begin(standing.invoice())
    settled, returned = (standing.word(payment, state) for state in (PaymentState.SETTLED, PaymentState.RETURNED))
    _run(standing, payment, Speaking(settled))

    def meanwhile() -> None:
        _run(standing, payment, Speaking(returned))

    with pytest.raises(TryAgain) as told:
        _run(standing, payment, Speaking(settled, between=meanwhile))
    assert told.value.after == 0.0
    assert standing.payment().state is PaymentState.RETURNED and standing.ledger(payment) == {}
    _run(standing, payment, Speaking(returned))
    assert _entries(standing) == 2


def test_money_that_comes_and_goes_and_comes_again_is_booked_each_time(standing: Standing) -> None:
    """A returned debit that is made good, a refund that comes back: each is an entry of its own."""
    payment = standing.begin(standing.invoice())
    way = [
        (standing.word(payment, PaymentState.SETTLED), 10_000),
        (standing.word(payment, PaymentState.RETURNED), 0),
        (standing.word(payment, PaymentState.SETTLED), 10_000),
        (standing.word(payment, PaymentState.PARTLY_REFUNDED, refunded=4_000), 6_000),
        (standing.word(payment, PaymentState.SETTLED), 10_000),
        (standing.word(payment, PaymentState.REFUNDED, refunded=10_000), 0),
    ]
    for number, (word, held) in enumerate(way, 1):
        _run(standing, payment, Speaking(word))
        assert standing.payment().booked == held
        assert standing.ledger(payment).get("clearing:sandbox", 0) == held
        assert _entries(standing) == number
    with standing.wiring.database.view(standing.shop.merchant_id) as view:
        assert view.ledger.sums() == {"EUR": 0}


def test_parts_given_back_never_raise_an_invoices_share(standing: Standing) -> None:
    invoices = [standing.invoice(total) for total in (38, 7, 21)]
    payment = standing.begin(*invoices)
    accounts = [f"receivable:{standing.shop.connection_id}:{row.id}" for row in invoices]
    before = {account: -66 for account in accounts}
    for refunded in range(67):
        state = PaymentState.PARTLY_REFUNDED if 0 < refunded < 66 else PaymentState.SETTLED
        _run(standing, payment, Speaking(standing.word(payment, state, refunded=refunded)))
        ledger = standing.ledger(payment)
        assert ledger.get("clearing:sandbox", 0) == 66 - refunded == -sum(ledger.get(each, 0) for each in accounts)
        assert all(ledger.get(each, 0) >= before[each] for each in accounts)
        before = {each: ledger.get(each, 0) for each in accounts}


def test_an_unknown_word_changes_nothing_and_is_asked_again_later(standing: Standing) -> None:
    payment = standing.begin(standing.invoice())
    with pytest.raises(TryAgain) as told:
        _run(standing, payment, Speaking(standing.word(payment, PaymentState.UNKNOWN)))
    assert told.value.after >= 60
    assert standing.payment().state is PaymentState.CHECKOUT


def test_a_checkout_still_open_is_not_released(standing: Standing) -> None:
    invoice = standing.invoice()
    payment = standing.begin(invoice)
    still = Speaking(standing.word(payment, PaymentState.CHECKOUT, payable=True))
    with pytest.raises(TryAgain, match="still open"):
        release.give_up(_with(standing, still), standing.shop.merchant_id, payment.id)
    assert standing.holder(invoice) == payment.id


def test_a_payment_that_settles_while_we_give_up_is_kept(standing: Standing) -> None:
    invoice = standing.invoice()
    payment = standing.begin(invoice)
    paid = Speaking(standing.word(payment, PaymentState.SETTLED))
    state = release.give_up(_with(standing, paid), standing.shop.merchant_id, payment.id)
    assert state is PaymentState.SETTLED and standing.holder(invoice) == payment.id
    assert standing.payment().booked == 10_000


def test_a_payment_already_over_is_not_asked_about(standing: Standing) -> None:
    payment = standing.begin(standing.invoice())
    _run(standing, payment, Speaking(standing.word(payment, PaymentState.FAILED)))
    silent = Speaking(standing.word(payment, PaymentState.SETTLED))
    assert release.give_up(_with(standing, silent), standing.shop.merchant_id, payment.id) is PaymentState.FAILED
    assert silent.asked == 0
