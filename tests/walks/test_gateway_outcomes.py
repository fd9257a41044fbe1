"""Every way a payment can go at the gateway, up to the books; whatever is lost on the way is found again."""

from __future__ import annotations

import pytest

from connector.domain.payments import CHECKOUT_SECONDS
from connector.domain.postings import PostingState
from connector.domain.records import PaymentState
from connector.errors import Conflict, Unavailable
from tests.walks.standing import Place, new_form

DAY = 86_400.0
systems = pytest.mark.parametrize("system", ["quickbooks", "xero"])


def test_a_declined_card_frees_the_invoice_and_says_why(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    payment_id = place.pay([invoice], "decline")
    assert place.until(payment_id, PaymentState.FAILED) == []
    assert place.holder(invoice) is None
    assert any("card_declined" in line for line in place.story(payment_id))
    assert place.ledger(payment_id) == {} and place.due("quickbooks", invoice) == invoice.balance
    # Free again: the next try goes through.
    place.posted(place.pay([invoice]))
    assert place.due("quickbooks", invoice) == 0


def test_a_card_that_must_be_confirmed_first(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    form_key = new_form()
    address = place.here.start_payment([invoice], form_key=form_key)
    place.here.press(address, "authenticate")
    payment_id = place.of_form(form_key).id
    place.until(payment_id, PaymentState.REQUIRES_ACTION)
    assert place.holder(invoice) == payment_id
    assert place.here.start_payment([invoice]) == address, "another tab leads to the page that waits"
    place.here.press(address, "confirm")
    place.posted(payment_id)
    assert place.upstream("quickbooks", payment_id) == [invoice.balance]


def test_a_confirmation_that_fails_frees_the_invoice(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    form_key = new_form()
    address = place.here.start_payment([invoice], form_key=form_key)
    place.here.press(address, "authenticate")
    place.here.press(address, "fail")
    place.until(place.of_form(form_key).id, PaymentState.FAILED)
    assert place.holder(invoice) is None


@systems
def test_a_bank_debit_settles_days_later(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    payment_id = place.pay([invoice], "bank_settles")
    assert place.until(payment_id, PaymentState.PROCESSING) == []
    assert place.holder(invoice) == payment_id
    assert place.here.start_payment([invoice]).startswith(f"{place.here.public_url}/r/"), "shown, not asked for again"
    # The time an unpaid checkout would be given up after passes: money on its way is not given up.
    place.here.advance(CHECKOUT_SECONDS + 60)
    place.here.work()
    assert place.payment(payment_id).state is PaymentState.PROCESSING
    assert place.due(system, invoice) == invoice.balance, "money on its way is not in the books"
    place.here.advance(3 * DAY)
    place.posted(payment_id)
    assert place.upstream(system, payment_id) == [invoice.balance]
    assert place.due(system, invoice) == 0 and place.holder(invoice) is None


@systems
def test_a_bank_debit_that_comes_back_was_never_in_the_books(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    payment_id = place.pay([invoice], "bank_returns")
    place.until(payment_id, PaymentState.PROCESSING)
    place.here.advance(3 * DAY)
    assert place.until(payment_id, PaymentState.RETURNED) == []
    assert place.recorded(system, payment_id) == [] and place.ledger(payment_id) == {}
    assert place.holder(invoice) is None and place.due(system, invoice) == invoice.balance


@systems
def test_a_bank_debit_that_comes_back_late_is_taken_out_of_the_books(place: Place, system: str) -> None:
    invoices = place.invoices(system, most=2)
    payment_id = place.pay(invoices, "bank_returns_late")
    place.until(payment_id, PaymentState.PROCESSING)
    place.here.advance(4 * DAY)
    place.posted(payment_id)
    assert sum(place.upstream(system, payment_id)) == sum(invoice.balance for invoice in invoices)
    place.here.advance(31 * DAY)
    place.until(payment_id, PaymentState.RETURNED, PostingState.REVERSED)
    assert place.upstream(system, payment_id) == [] and place.ledger(payment_id) == {}
    for invoice in invoices:
        assert place.due(system, invoice) == invoice.balance
        assert place.mirrored(invoice).balance == invoice.balance and place.holder(invoice) is None
    assert place.here.ledger_is_zero()


def test_a_page_the_customer_cancels_frees_the_invoice(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    payment_id = place.pay([invoice], "cancel")
    place.until(payment_id, PaymentState.CANCELLED)
    assert place.holder(invoice) is None and place.ledger(payment_id) == {}


def test_an_abandoned_page_is_ended_after_half_an_hour_and_the_invoice_freed(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    form_key = new_form()
    address = place.here.start_payment([invoice], form_key=form_key)
    payment_id = place.of_form(form_key).id
    place.here.advance(CHECKOUT_SECONDS - 60)
    place.here.work()
    assert place.holder(invoice) == payment_id, "there is a minute left"
    place.here.advance(120)
    place.until(payment_id, PaymentState.CANCELLED)
    assert place.holder(invoice) is None
    place.here.press(address)
    place.here.work()
    assert place.payment(payment_id).state is PaymentState.CANCELLED, "the page cannot be paid any more"


def test_whoever_pays_in_the_last_second_has_paid(place: Place) -> None:
    """The customer presses Pay, and we give up in the very same moment: the gateway's word decides."""
    (invoice,) = place.invoices("quickbooks")
    form_key = new_form()
    address = place.here.start_payment([invoice], form_key=form_key)
    place.here.fault("sandbox", "hold_webhooks", "*", times=1000)
    place.here.press(address)
    place.here.advance(CHECKOUT_SECONDS + 1)
    payment_id = place.of_form(form_key).id
    place.posted(payment_id)
    assert place.upstream("quickbooks", payment_id) == [invoice.balance]
    place.control("sandbox", "faults/clear")
    place.here.settle(lambda: not place.here.work())
    assert place.upstream("quickbooks", payment_id) == [invoice.balance], "late webhooks add nothing"


def test_an_answer_lost_when_the_page_was_opened_is_found_again(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    form_key = new_form()
    place.here.fault("sandbox", "drop_after_commit", "checkout.create")
    with pytest.raises(Unavailable, match="Nothing was charged"):
        place.here.start_payment([invoice], form_key=form_key)
    assert place.of_form(form_key).state is PaymentState.INTENDED
    address = place.here.start_payment([invoice], form_key=form_key)
    assert "/checkout/" in address
    assert place.here.start_payment([invoice]) == address, "whichever tab goes on"
    place.here.press(address)
    payment_id = place.of_form(form_key).id
    place.posted(payment_id)
    assert place.upstream("quickbooks", payment_id) == [invoice.balance]
    assert len(place.here.checkouts(payment_id)) == 1


def test_an_answer_lost_and_never_asked_for_again_frees_the_invoice_in_time(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    form_key = new_form()
    place.here.fault("sandbox", "drop_after_commit", "checkout.create")
    with pytest.raises(Unavailable):
        place.here.start_payment([invoice], form_key=form_key)
    place.here.advance(CHECKOUT_SECONDS + 1)
    place.until(place.of_form(form_key).id, PaymentState.CANCELLED)
    assert place.holder(invoice) is None


@pytest.mark.parametrize("fault", ["error_before_commit", "drop_before_commit", "html_503"])
def test_a_gateway_in_trouble_charges_nothing_and_the_same_form_goes_on(place: Place, fault: str) -> None:
    (invoice,) = place.invoices("quickbooks")
    form_key = new_form()
    place.here.fault("sandbox", fault, "checkout.create")
    with pytest.raises(Unavailable):
        place.here.start_payment([invoice], form_key=form_key)
    place.here.press(place.here.start_payment([invoice], form_key=form_key))
    place.posted(place.of_form(form_key).id)


@pytest.mark.parametrize("fault", ["drop_after_commit", "error_after_commit", "truncated_json", "html_503", "throttle"])
def test_a_gateway_that_does_not_answer_is_asked_until_it_does(place: Place, fault: str) -> None:
    (invoice,) = place.invoices("quickbooks")
    place.here.fault("sandbox", fault, "checkout.get", times=2)
    form_key = new_form()
    place.here.press(place.here.start_payment([invoice], form_key=form_key))
    payment_id = place.of_form(form_key).id
    for _ in range(4):
        place.here.settle(lambda: not place.here.work())
        place.here.advance(61)
    place.posted(payment_id)
    assert place.upstream("quickbooks", payment_id) == [invoice.balance]


@pytest.mark.parametrize("fault", ["duplicate_webhooks", "reorder_webhooks"])
def test_webhooks_twice_or_in_the_wrong_order_change_nothing(place: Place, fault: str) -> None:
    (invoice,) = place.invoices("quickbooks")
    place.here.fault("sandbox", fault, "*", times=20)
    form_key = new_form()
    address = place.here.start_payment([invoice], form_key=form_key)
    place.here.press(address, "authenticate")
    place.here.press(address, "confirm")
    payment_id = place.of_form(form_key).id
    place.posted(payment_id)
    assert place.upstream("quickbooks", payment_id) == [invoice.balance]
    assert sum(line.startswith("gateway: The money has arrived") for line in place.story(payment_id)) == 1


def test_a_second_payment_of_a_paid_invoice_is_refused(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    place.posted(place.pay([invoice]))
    with pytest.raises(Conflict, match="nothing left to pay"):
        place.here.start_payment([invoice])
