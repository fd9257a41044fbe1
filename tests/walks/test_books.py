"""What the systems' books hold for a payment, whatever is lost, refused or done by hand in between: it stands once, or
a person is told in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connector.db.rows import InvoiceRow
from connector.domain.money import minor_to_text
from connector.domain.postings import PostingState
from connector.domain.records import PaymentState
from connector.domain.work import Work
from connector.journeys import review, sync
from tests.walks.standing import Place

systems = pytest.mark.parametrize("system", ["quickbooks", "xero"])
# Longer than any call may take: only then is looked up what became of a lost one.
AFTER_A_LOST_CALL = 36.0


def _settle(place: Place, invoices: list[InvoiceRow]) -> str:
    """Paid and settled at the gateway; what the books say is up to the test."""
    payment_id = place.pay(invoices)
    place.until(payment_id, PaymentState.SETTLED)
    return payment_id


def _reviewed(place: Place, payment_id: str) -> str:
    """Work until a person must look; what that person is told."""
    place.until(payment_id, PaymentState.SETTLED, PostingState.NEEDS_REVIEW)
    return place.problem(payment_id)


def _retry(place: Place, payment_id: str) -> None:
    """Somebody has looked, and presses Retry."""
    for posting in place.here.postings(payment_id):
        review.retry(place.here.wiring, place.here.merchant_id, posting.key, user_id=1)


def _read_again(place: Place, system: str) -> None:
    """What a webhook or the schedule does."""
    sync.ask(place.here.wiring, place.here.merchant_id, place.connections[system])
    place.here.work()


@systems
@pytest.mark.parametrize("fault", ["drop_after_commit", "error_after_commit", "truncated_json"])
def test_an_answer_lost_after_it_was_recorded_is_found_and_not_repeated(place: Place, system: str, fault: str) -> None:
    invoices = place.invoices(system, most=2)
    place.here.fault(system, fault, "payment.create")
    payment_id = _settle(place, invoices)
    assert PostingState.SENDING in {row.state for row in place.here.postings(payment_id)}
    assert any(line.startswith("system: No clear answer") for line in place.story(payment_id))
    place.here.advance(AFTER_A_LOST_CALL)
    place.posted(payment_id)
    assert sum(place.upstream(system, payment_id)) == sum(invoice.balance for invoice in invoices)
    assert len(place.recorded(system, payment_id)) == (1 if system == "quickbooks" else 2)
    assert any("Found in" in line for line in place.story(payment_id))
    assert all(place.due(system, invoice) == 0 and place.holder(invoice) is None for invoice in invoices)


@systems
@pytest.mark.parametrize("fault", ["drop_before_commit", "error_before_commit", "html_503", "throttle"])
def test_a_call_that_never_arrived_is_sent_again_once(place: Place, system: str, fault: str) -> None:
    (invoice,) = place.invoices(system)
    place.here.fault(system, fault, "payment.create")
    payment_id = _settle(place, [invoice])
    for _ in range(3):
        place.here.advance(AFTER_A_LOST_CALL)
        place.end_silence()
        place.here.work()
    place.posted(payment_id)
    assert place.upstream(system, payment_id) == [invoice.balance]
    assert len(place.recorded(system, payment_id)) == 1


@systems
def test_the_look_up_is_lost_too_and_still_it_stands_once(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    place.here.fault(system, "drop_after_commit", "payment.create", times=2)
    look_up = "payment.query" if system == "quickbooks" else "payment.list"
    place.here.fault(system, "error_after_commit", look_up, times=2)
    payment_id = _settle(place, [invoice])
    for _ in range(6):
        place.here.advance(AFTER_A_LOST_CALL)
        place.here.work()
    place.posted(payment_id)
    assert place.upstream(system, payment_id) == [invoice.balance]
    assert len(place.recorded(system, payment_id)) == 1


@systems
def test_long_after_the_system_forgot_our_key_it_is_still_looked_up_first(place: Place, system: str) -> None:
    """Xero remembers a key for six minutes: after that only the look-up keeps a payment from standing twice."""
    (invoice,) = place.invoices(system)
    place.here.fault(system, "drop_after_commit", "payment.create")
    payment_id = _settle(place, [invoice])
    place.here.advance(25 * 3600)
    place.posted(payment_id)
    assert place.upstream(system, payment_id) == [invoice.balance]
    assert len(place.recorded(system, payment_id)) == 1


@systems
def test_paid_by_hand_before_it_was_recorded_is_for_a_person(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    payment_id = place.pay([invoice])
    place.by_hand(system, invoice, "pay")
    told = _reviewed(place, payment_id)
    assert invoice.number in told and "paid twice" in told
    assert place.recorded(system, payment_id) == []
    assert place.holder(invoice) == payment_id, "nobody pays it a third time meanwhile"
    assert place.ledger(payment_id), "the money is in our ledger"
    _retry(place, payment_id)
    assert "paid twice" in _reviewed(place, payment_id), "nothing has changed"


@systems
def test_paid_in_part_by_hand_meanwhile_says_both_amounts(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    payment_id = place.pay([invoice])
    place.by_hand(system, invoice, "pay", amount="1.00")
    told = _reviewed(place, payment_id)
    assert minor_to_text(invoice.balance - 100, "USD") in told and minor_to_text(invoice.balance, "USD") in told


@systems
def test_voided_after_the_customer_paid_is_for_a_person(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    payment_id = place.pay([invoice])
    place.by_hand(system, invoice, "void")
    assert "voided or deleted after the customer had paid" in _reviewed(place, payment_id)
    assert place.recorded(system, payment_id) == []


def test_deleted_after_the_customer_paid_is_for_a_person(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    payment_id = place.pay([invoice])
    place.by_hand("quickbooks", invoice, "delete")
    assert "no longer exists" in _reviewed(place, payment_id)


@systems
def test_recorded_and_deleted_by_hand_before_we_heard_is_never_called_posted(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    place.here.fault(system, "drop_after_commit", "payment.create")
    payment_id = _settle(place, [invoice])
    place.here.fault(system, "hold_webhooks", "*", times=1000)
    if system == "quickbooks":
        (record,) = place.recorded(system, payment_id)
        place.control(system, f"payments/{record}/void")
    else:
        place.delete_payment_by_hand(system, invoice, payment_id)
    place.here.advance(AFTER_A_LOST_CALL)
    told = _reviewed(place, payment_id)
    assert "deleted or voided there by hand" in told
    assert place.upstream(system, payment_id) == [], "and it is not recorded again behind somebody's back"
    _retry(place, payment_id)
    place.posted(payment_id)
    assert place.upstream(system, payment_id) == [invoice.balance]
    assert place.due(system, invoice) == 0


@systems
def test_deleted_by_hand_later_is_noticed_told_and_recorded_again_on_demand(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    payment_id = place.pay([invoice])
    place.posted(payment_id)
    place.delete_payment_by_hand(system, invoice, payment_id)
    _read_again(place, system)
    assert {row.state for row in place.newest(payment_id)} == {PostingState.NEEDS_REVIEW}
    assert "deleted or voided in your accounting system by hand" in place.problem(payment_id)
    assert place.mirrored(invoice).balance == invoice.balance, "the system's word on what is due counts"
    _retry(place, payment_id)
    place.posted(payment_id)
    assert place.upstream(system, payment_id) == [invoice.balance] and place.due(system, invoice) == 0
    _read_again(place, system)
    assert {row.state for row in place.newest(payment_id)} == {PostingState.POSTED}


@systems
def test_our_own_reversal_is_not_taken_for_somebodys_hand(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    payment_id = place.pay([invoice], "bank_returns_late")
    place.until(payment_id, PaymentState.PROCESSING)
    place.here.advance(4 * 86_400.0)
    place.posted(payment_id)
    place.here.advance(31 * 86_400.0)
    place.until(payment_id, PaymentState.RETURNED, PostingState.REVERSED)
    _read_again(place, system)
    assert {row.state for row in place.newest(payment_id)} == {PostingState.REVERSED}
    assert place.problem(payment_id) == ""


def _close_books(place: Place, system: str, *, closed: bool) -> None:
    """Up to tomorrow, so that today's payment does not fit; or open them again."""
    day = (place.here.now() + timedelta(days=1)).date().isoformat() if closed else ""
    place.control(system, "closing-date" if system == "quickbooks" else "lock-date", date=day)


@systems
def test_a_closed_period_is_told_in_words_and_retried_when_it_is_open(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    _close_books(place, system, closed=True)
    try:
        payment_id = place.pay([invoice])
        told = _reviewed(place, payment_id)
        assert "period in" in told, "where to open it"
    finally:
        _close_books(place, system, closed=False)
    # At once, though Xero answers the same key with the same refusal for six minutes.
    place.here.advance(AFTER_A_LOST_CALL)
    _retry(place, payment_id)
    place.posted(payment_id)
    assert place.upstream(system, payment_id) == [invoice.balance]


@systems
def test_a_reversal_refused_by_a_closed_period_is_taken_up_again_as_a_reversal(place: Place, system: str) -> None:
    """Retrying must not adopt the payment that stands and call it posted: the customer's money has gone back."""
    (invoice,) = place.invoices(system)
    payment_id = place.pay([invoice], "bank_returns_late")
    place.until(payment_id, PaymentState.PROCESSING)
    place.here.advance(4 * 86_400.0)
    place.posted(payment_id)
    _close_books(place, system, closed=True)
    try:
        place.here.advance(31 * 86_400.0)
        _close_books(place, system, closed=True)
        place.until(payment_id, PaymentState.RETURNED, PostingState.NEEDS_REVIEW)
        assert any("did not reverse the payment" in line for line in place.story(payment_id))
        assert place.upstream(system, payment_id) == [invoice.balance]
        assert place.mirrored(invoice).balance == 0, "nobody can pay it meanwhile"
    finally:
        _close_books(place, system, closed=False)
    _retry(place, payment_id)
    place.until(payment_id, PaymentState.RETURNED, PostingState.REVERSED)
    assert place.upstream(system, payment_id) == [] and place.due(system, invoice) == invoice.balance
    assert place.holder(invoice) is None


def test_without_an_account_xero_is_not_tried_and_the_merchant_is_told(place: Place) -> None:
    (invoice,) = place.invoices("xero")
    connection_id = place.connections["xero"]
    with place.here.wiring.database.view(place.here.merchant_id) as view:
        account = view.connections.get(connection_id).deposit_account
    with place.here.wiring.database.unit_of_work(place.here.merchant_id) as uow:
        uow.connections.change(connection_id, deposit_account="")
    payment_id = place.pay([invoice])
    assert "No account is chosen" in _reviewed(place, payment_id)
    with place.here.wiring.database.unit_of_work(place.here.merchant_id) as uow:
        uow.connections.change(connection_id, deposit_account=account)
    _retry(place, payment_id)
    place.posted(payment_id)


@systems
@pytest.mark.parametrize("currency", ["EUR", "JPY"])
def test_other_currencies_reach_the_books_to_the_coin(place: Place, system: str, currency: str) -> None:
    (invoice,) = place.invoices(system, currency=currency)
    connection_id = place.connections[system]
    with place.here.wiring.database.view(place.here.merchant_id) as view:
        connection = view.connections.get(connection_id)
    found = place.here.wiring.system(system).accounts(place.here.wiring.access(connection))
    # Where there is no account in the currency, QuickBooks puts the payment into Undeposited Funds.
    account = next((row.remote_id for row in found if row.currency in (currency, "")), "")
    with place.here.wiring.database.unit_of_work(place.here.merchant_id) as uow:
        uow.connections.change(connection_id, deposit_account=account)
    try:
        payment_id = place.pay([invoice], amounts={invoice.id: minor_to_text(invoice.balance - 1, currency)})
        place.posted(payment_id)
    finally:
        with place.here.wiring.database.unit_of_work(place.here.merchant_id) as uow:
            uow.connections.change(connection_id, deposit_account=connection.deposit_account)
    assert place.upstream(system, payment_id) == [invoice.balance - 1]
    assert place.due(system, invoice) == 1


@systems
def test_work_done_twice_records_nothing_twice(place: Place, system: str) -> None:
    invoices = place.invoices(system, most=2)
    payment_id = place.pay(invoices)
    place.posted(payment_id)
    for kind, key, payload in (
        (Work.RECONCILE, payment_id, {"payment": payment_id}),
        (Work.RELEASE, payment_id, {"payment": payment_id}),
        (
            Work.WRITE_BACK,
            f"{payment_id}:{place.connections[system]}",
            {"payment": payment_id, "connection": place.connections[system]},
        ),
    ):
        with place.here.wiring.database.unit_of_work(place.here.merchant_id) as uow:
            uow.work.add(kind, key, partition="again", payload=payload)
        place.here.work()
    assert sum(place.upstream(system, payment_id)) == sum(invoice.balance for invoice in invoices)
    assert {row.state for row in place.here.postings(payment_id)} == {PostingState.POSTED}
    assert place.here.ledger_is_zero()
