"""Money given back: at the gateway once, in the ledger to the cent, and the books show what is left, exactly once."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from connector.db import tables as t
from connector.db.rows import InvoiceRow
from connector.domain.money import minor_to_text
from connector.domain.postings import PostingState
from connector.domain.records import PaymentState
from connector.domain.work import Work
from connector.errors import Conflict, Invalid
from connector.journeys import refund, sync
from integrations.gateways.sandbox.simulator.application import EXTENSION
from integrations.gateways.sandbox.simulator.payments import take_back
from integrations.gateways.sandbox.simulator.records import Payment
from tests.walks.standing import Place, new_form

systems = pytest.mark.parametrize("system", ["quickbooks", "xero"])


def _paid(place: Place, system: str, most: int = 1) -> tuple[str, list[InvoiceRow]]:
    invoices = place.invoices(system, most=most)
    payment_id = place.pay(invoices)
    place.posted(payment_id)
    return payment_id, invoices


def _ask(place: Place, payment_id: str, minor: int, form_key: str = "") -> str:
    return refund.ask(
        place.here.wiring,
        place.here.merchant_id,
        payment_id,
        amount_text=minor_to_text(minor, place.payment(payment_id).currency),
        reason="Returned goods",
        user_id=1,
        form_key=form_key or new_form(),
    )


def _state(place: Place, refund_id: str) -> str:
    with place.here.wiring.database.view(place.here.merchant_id) as view:
        return view.payments.refund(refund_id).state


def _arrived(place: Place, payment_id: str, refund_id: str, left: int) -> None:
    place.here.settle(lambda: place.payment(payment_id).booked == left)
    place.here.settle(lambda: _state(place, refund_id) == "settled")
    wanted = PostingState.POSTED if left else PostingState.REVERSED
    place.here.settle(lambda: {row.state for row in place.newest(payment_id)} <= {wanted, PostingState.REVERSED})


def _given_back_at_the_gateway(place: Place, payment_id: str) -> int:
    payment = place.payment(payment_id)
    return place.here.wiring.gateway("sandbox").fetch(str(payment.gateway_ref)).refunded


@systems
def test_a_payment_refunded_in_full_leaves_nothing_in_the_books(place: Place, system: str) -> None:
    payment_id, invoices = _paid(place, system, most=2)
    whole = sum(invoice.balance for invoice in invoices)
    refund_id = _ask(place, payment_id, whole)
    _arrived(place, payment_id, refund_id, 0)
    assert place.payment(payment_id).state is PaymentState.REFUNDED
    assert place.upstream(system, payment_id) == [] and place.ledger(payment_id) == {}
    assert [place.due(system, invoice) for invoice in invoices] == [invoice.balance for invoice in invoices]
    assert all(place.holder(invoice) is None for invoice in invoices), "it may be paid again"
    assert _given_back_at_the_gateway(place, payment_id) == whole


@systems
def test_a_part_refunded_leaves_the_rest_in_the_books_exactly_once(place: Place, system: str) -> None:
    payment_id, invoices = _paid(place, system, most=2)
    whole, back = sum(invoice.balance for invoice in invoices), 333
    refund_id = _ask(place, payment_id, back)
    _arrived(place, payment_id, refund_id, whole - back)
    assert place.payment(payment_id).state is PaymentState.PARTLY_REFUNDED
    standing = place.upstream(system, payment_id)
    assert sum(standing) == whole - back and len(standing) == (1 if system == "quickbooks" else 2)
    assert sum(place.due(system, invoice) for invoice in invoices) == back
    ledger = place.ledger(payment_id)
    assert ledger.pop("clearing:sandbox") == whole - back and -sum(ledger.values()) == whole - back


@systems
def test_many_small_refunds_add_up_to_the_cent(place: Place, system: str) -> None:
    """Each is shared out over three invoices; no step may raise what stands for one of them."""
    payment_id, invoices = _paid(place, system, most=3)
    left = sum(invoice.balance for invoice in invoices)
    for back in (1, 1, 5, 1):
        left -= back
        before = {invoice.id: place.due(system, invoice) for invoice in invoices}
        refund_id = _ask(place, payment_id, back)
        _arrived(place, payment_id, refund_id, left)
        assert sum(place.upstream(system, payment_id)) == left
        assert all(place.due(system, invoice) >= before[invoice.id] for invoice in invoices)
        assert place.ledger(payment_id)["clearing:sandbox"] == left
        assert sum(place.ledger(payment_id).values()) == 0
    refund_id = _ask(place, payment_id, left)
    _arrived(place, payment_id, refund_id, 0)
    assert place.ledger(payment_id) == {} and place.upstream(system, payment_id) == []


@systems
def test_what_could_not_be_read_back_when_access_ended_is_read_as_soon_as_it_is_there_again(
    place: Place, system: str
) -> None:
    """Everything stands as it shall; only the look at the invoices afterwards, which frees them, was refused."""
    payment_id, (invoice,) = _paid(place, system)
    place.here.fault(system, "revoke_tokens", "invoice.read")
    _ask(place, payment_id, invoice.balance)
    connection_id = place.connections[system]
    place.here.settle(lambda: _connection_state(place, connection_id) == "broken")
    assert {row.state for row in place.newest(payment_id)} == {PostingState.REVERSED}
    assert _write_back_state(place, payment_id, connection_id) == "pending"
    place.here.reconnect(connection_id, system)
    place.here.work()
    assert _write_back_state(place, payment_id, connection_id) == "done", "not an hour later"
    assert place.mirrored(invoice).balance == invoice.balance


def _connection_state(place: Place, connection_id: int) -> str:
    with place.here.wiring.database.view(place.here.merchant_id) as view:
        return view.connections.get(connection_id).state


def _write_back_state(place: Place, payment_id: str, connection_id: int) -> str:
    with place.here.wiring.database.view(place.here.merchant_id) as view:
        found = view.work.find(Work.WRITE_BACK, f"{payment_id}:{connection_id}")
    assert found is not None
    return found.state


@systems
def test_what_is_to_be_recorded_anew_cannot_be_paid_again_meanwhile(place: Place, system: str) -> None:
    """Between the reversal and the new record the whole invoice looks due upstream, though most of it is paid."""
    payment_id, (invoice,) = _paid(place, system)
    place.here.fault(system, "error_before_commit", "payment.create")
    refund_id = _ask(place, payment_id, invoice.balance // 4)
    place.here.settle(lambda: place.due(system, invoice) == invoice.balance)
    sync.one(place.here.wiring, place.here.merchant_id, invoice.id)
    looks_due = place.mirrored(invoice)
    assert looks_due.balance == invoice.balance and place.holder(invoice) == payment_id
    with pytest.raises(Conflict):
        place.here.start_payment([looks_due], {invoice.id: minor_to_text(invoice.balance // 2, invoice.currency)})
    place.here.advance(40)
    _arrived(place, payment_id, refund_id, invoice.balance - invoice.balance // 4)
    place.here.settle(lambda: place.holder(invoice) is None)
    assert place.due(system, invoice) == invoice.balance // 4
    place.posted(place.pay([place.mirrored(invoice)]))
    assert place.due(system, invoice) == 0


def test_a_refund_the_bank_forestalled_is_over(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    payment_id = place.pay([invoice], "bank_returns_late")
    place.here.settle(lambda: place.payment(payment_id).state is PaymentState.PROCESSING)
    place.here.advance(4 * 86_400)
    place.until(payment_id, PaymentState.SETTLED, PostingState.POSTED)
    refund_id = _ask(place, payment_id, invoice.balance // 2)
    gateway = place.here.upstreams.apps["sandbox"].extensions[EXTENSION]
    gateway.faults.arm("error_after_commit", "refund.create")
    place.here.work()
    assert _state(place, refund_id) == "sending"
    with gateway.book.change("test.return") as change:
        take_back(gateway.book, change, gateway.book.get(Payment, str(_gateway_payment(place, payment_id))), "R10")
    place.here.settle(lambda: place.payment(payment_id).state is PaymentState.RETURNED)
    place.here.advance(40)
    place.here.settle(lambda: _state(place, refund_id) == "refused")
    assert place.payment(payment_id).booked == 0


def _gateway_payment(place: Place, payment_id: str) -> str:
    gateway = place.here.upstreams.apps["sandbox"].extensions[EXTENSION]
    (found,) = [each.id for each in gateway.book.all(Payment) if each.reference == payment_id]
    return str(found)


def test_the_same_form_twice_is_one_refund(place: Place) -> None:
    payment_id, (invoice,) = _paid(place, "quickbooks")
    form_key = new_form()
    first = _ask(place, payment_id, 100, form_key)
    assert _ask(place, payment_id, 100, form_key) == first
    _arrived(place, payment_id, first, invoice.balance - 100)
    assert _ask(place, payment_id, 100, form_key) == first, "and once more when it has arrived"
    place.here.work()
    assert _given_back_at_the_gateway(place, payment_id) == 100


@pytest.mark.parametrize("fault", ["drop_after_commit", "error_after_commit", "truncated_json", "drop_before_commit"])
def test_a_refund_whose_answer_was_lost_is_given_once(place: Place, fault: str) -> None:
    """Its webhook may come long before our second try; the refund is settled then as well."""
    payment_id, (invoice,) = _paid(place, "quickbooks")
    place.here.fault("sandbox", fault, "refund.create")
    refund_id = _ask(place, payment_id, 200)
    place.here.work()
    place.here.advance(36)
    _arrived(place, payment_id, refund_id, invoice.balance - 200)
    assert _given_back_at_the_gateway(place, payment_id) == 200
    assert place.upstream("quickbooks", payment_id) == [invoice.balance - 200]
    # What is left can be given back in full: nothing is still counted as under way.
    last = _ask(place, payment_id, invoice.balance - 200)
    _arrived(place, payment_id, last, 0)


def test_two_refunds_at_once_are_both_given_and_both_settled(place: Place) -> None:
    payment_id, (invoice,) = _paid(place, "quickbooks")
    first, second = _ask(place, payment_id, 120), _ask(place, payment_id, 130)
    _arrived(place, payment_id, first, invoice.balance - 250)
    _arrived(place, payment_id, second, invoice.balance - 250)
    assert _given_back_at_the_gateway(place, payment_id) == 250
    assert place.upstream("quickbooks", payment_id) == [invoice.balance - 250]


def test_a_refund_made_at_the_gateway_by_hand_reaches_the_books_too(place: Place) -> None:
    payment_id, (invoice,) = _paid(place, "quickbooks")
    ref = str(place.payment(payment_id).gateway_ref)
    place.here.wiring.gateway("sandbox").refund(ref, key="by hand", amount=300, reason="by hand")
    place.here.settle(lambda: place.payment(payment_id).booked == invoice.balance - 300)
    place.here.settle(lambda: place.upstream("quickbooks", payment_id) == [invoice.balance - 300])


def test_more_than_is_left_is_refused_while_refunds_are_on_their_way(place: Place) -> None:
    payment_id, (invoice,) = _paid(place, "quickbooks")
    _ask(place, payment_id, invoice.balance - 100)
    with pytest.raises(Invalid, match=r"At most 1\.00 USD"):
        _ask(place, payment_id, 101)
    for text in ("0", "-1", "1e2", "1.001", ""):
        with pytest.raises(Invalid):
            refund.ask(place.here.wiring, place.here.merchant_id, payment_id, amount_text=text, reason="x", user_id=1)
    with pytest.raises(Invalid, match="Say why"):
        refund.ask(place.here.wiring, place.here.merchant_id, payment_id, amount_text="1", reason="  ", user_id=1)


def test_only_money_that_arrived_is_given_back(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    payment_id = place.pay([invoice], "bank_settles")
    place.until(payment_id, PaymentState.PROCESSING)
    with pytest.raises(Conflict, match="has arrived"):
        _ask(place, payment_id, 100)


def test_a_refund_the_gateway_refuses_is_told_and_books_nothing(place: Place) -> None:
    payment_id, (invoice,) = _paid(place, "quickbooks")
    with place.here.wiring.database.engine.begin() as connection:
        connection.execute(sa.update(t.payments).where(t.payments.c.id == payment_id).values(booked=10**9))
    refund_id = _ask(place, payment_id, invoice.balance + 1)
    with place.here.wiring.database.engine.begin() as connection:
        connection.execute(sa.update(t.payments).where(t.payments.c.id == payment_id).values(booked=invoice.balance))
    place.here.settle(lambda: _state(place, refund_id) == "refused")
    assert any(line.startswith("gateway: Refused the refund") for line in place.story(payment_id))
    assert place.upstream("quickbooks", payment_id) == [invoice.balance]


@systems
def test_a_refund_while_the_payment_is_still_being_recorded_ends_in_the_remainder(place: Place, system: str) -> None:
    """The answer to the first record is lost, the refund overtakes it: one record of what is left stands in the end."""
    (invoice,) = place.invoices(system)
    place.here.fault(system, "drop_after_commit", "payment.create")
    payment_id = place.pay([invoice])
    place.until(payment_id, PaymentState.SETTLED)
    refund_id = _ask(place, payment_id, 100)
    place.here.settle(lambda: place.payment(payment_id).booked == invoice.balance - 100)
    for _ in range(3):
        place.here.advance(36)
        place.here.work()
    _arrived(place, payment_id, refund_id, invoice.balance - 100)
    assert place.upstream(system, payment_id) == [invoice.balance - 100]
    assert place.due(system, invoice) == 100
