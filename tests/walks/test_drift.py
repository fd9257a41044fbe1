"""What somebody changes in the books behind our back is found at night, explained, and put right or decided."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from connector.db import tables as t
from connector.db.rows import InvoiceRow
from connector.domain.money import minor_to_text
from connector.domain.postings import PostingState
from connector.domain.records import InvoiceState, PaymentState
from connector.domain.work import Work
from connector.errors import Conflict
from connector.jobs import schedule
from connector.journeys import drift, fix_difference, refund, review, sync
from connector.reading import differences
from connector.reading.audit import audit
from connector.reading.difference_fixes import Difference
from tests.walks.night import actions, at_night, decision_on, read_record, waiting, write_by_hand
from tests.walks.standing import Place, both_connected, new_form

systems = pytest.mark.parametrize("system", ["quickbooks", "xero"])


@pytest.fixture(scope="module")
def place(shared_url: str) -> Iterator[Place]:
    """Both systems connected and read, on each database."""
    with both_connected(shared_url, invoices=200) as made:
        # What is done by the clock has a row that says how it ended.
        schedule.record(made.here.wiring.database, made.here.now(), made.here.wiring.systems)
        yield made


@pytest.fixture(autouse=True)
def the_books_hold(place: Place) -> Iterator[None]:
    """Whatever was decided, the invariants hold afterwards, and nothing waits for the next test."""
    yield
    place.here.work()
    found = audit(place.here.wiring.database, place.here.now())
    assert not found, found.findings
    assert waiting(place) == []


@systems
def test_an_undisturbed_night_finds_nothing(place: Place, system: str) -> None:
    payment = place.pay(place.invoices(system))
    place.posted(payment)
    said = at_night(place, system)
    assert said.endswith("everything agrees.") and waiting(place) == []
    with place.here.wiring.database.engine.connect() as connection:
        seen = connection.execute(
            sa.select(t.postings.c.verified_at).where(t.postings.c.payment_id == payment)
        ).scalars()
        assert all(seen), "the recorded payment was looked at"


@systems
def test_an_invoice_voided_by_hand_is_read_again_and_explained(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    place.by_hand(system, invoice, "void")
    assert place.mirrored(invoice).state == InvoiceState.OPEN
    said = at_night(place, system)
    assert "1 put right at once" in said
    assert place.mirrored(invoice).state == InvoiceState.VOID
    (right, *_) = differences.put_right(place.here.wiring, place.here.merchant_id)
    assert right.name == invoice.number and "voided" in right.cause and right.ending
    assert waiting(place) == []


@systems
def test_a_balance_changed_by_hand_is_read_again(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    place.by_hand(system, invoice, "pay", amount="1.00")
    at_night(place, system)
    assert place.mirrored(invoice).balance == invoice.balance - 100
    (right, *_) = differences.put_right(place.here.wiring, place.here.merchant_id)
    assert right.name == invoice.number


def test_an_invoice_deleted_by_hand_is_archived(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    place.by_hand("quickbooks", invoice, "delete")
    place.here.advance(1.0)
    at_night(place, "quickbooks")
    assert place.mirrored(invoice).state == InvoiceState.DELETED
    (right, *_) = differences.put_right(place.here.wiring, place.here.merchant_id)
    assert right.name == invoice.number and "deleted" in right.cause


@systems
def test_a_recorded_payment_deleted_by_hand_is_found_and_recorded_again(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    payment = place.pay([invoice])
    place.posted(payment)
    place.delete_payment_by_hand(system, invoice, payment)
    place.here.advance(1.0)
    assert "1 to decide by you" in at_night(place, system)
    one = decision_on(place, payment)
    assert "deleted or voided" in one.cause and actions(one) == ["retry", f"/payments/{payment}/refund", "ignore"]
    assert place.holder(invoice) is None or place.holder(invoice) == payment
    review.retry(place.here.wiring, place.here.merchant_id, one.ref, user_id=1)
    place.posted(payment)
    assert place.upstream(system, payment) == [invoice.balance]
    assert at_night(place, system).endswith("everything agrees.") or waiting(place) == []


def test_a_payment_changed_by_hand_is_put_back(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    payment = place.pay([invoice])
    (posting,) = place.posted(payment)
    record = read_record(place, posting.remote_id)
    less = Decimal(minor_to_text(invoice.balance - 100, invoice.currency))
    lines = [{**record["Line"][0], "Amount": float(less)}]
    write_by_hand(place, "Payment", {**record, "TotalAmt": float(less), "Line": lines})
    assert "1 to decide by you" in at_night(place, "quickbooks")
    one = decision_on(place, payment)
    assert str(less) in one.theirs and minor_to_text(invoice.balance, invoice.currency) in one.ours
    assert actions(one) == ["anew", "check", "ignore"]
    number = int(one.ref[1:])
    assert not fix_difference.check_again(place.here.wiring, place.here.merchant_id, number)
    fix_difference.record_anew(place.here.wiring, place.here.merchant_id, number, user_id=1)
    place.posted(payment)
    assert place.upstream("quickbooks", payment)[-1] == invoice.balance
    assert place.due("quickbooks", invoice) == 0


def test_a_payment_copied_by_hand_is_seen_as_a_second_one(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    payment = place.pay([invoice])
    (posting,) = place.posted(payment)
    record = read_record(place, posting.remote_id)
    copy = {name: record[name] for name in ("CustomerRef", "CurrencyRef", "TotalAmt", "PrivateNote", "PaymentRefNum")}
    copied = write_by_hand(place, "Payment", copy)
    assert "1 to decide by you" in at_night(place, "quickbooks")
    one = decision_on(place, payment)
    assert copied["Id"] in one.theirs and "twice" in one.cause and actions(one) == ["check", "ignore"]
    number = int(one.ref[1:])
    assert not fix_difference.check_again(place.here.wiring, place.here.merchant_id, number)
    place.control("quickbooks", f"payments/{copied['Id']}/delete")
    assert fix_difference.check_again(place.here.wiring, place.here.merchant_id, number)


def test_a_payment_put_back_by_hand_after_its_refund_is_taken_back_again(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    payment = place.pay([invoice])
    (posting,) = place.posted(payment)
    record = read_record(place, posting.remote_id)
    back = minor_to_text(invoice.balance, invoice.currency)
    here, merchant = place.here, place.here.merchant_id
    refund.ask(
        here.wiring, merchant, payment, amount_text=back, reason="Returned goods", user_id=1, form_key=new_form()
    )
    place.until(payment, PaymentState.REFUNDED, PostingState.REVERSED)
    assert place.upstream("quickbooks", payment) == []
    lines = [{"Amount": record["TotalAmt"], "LinkedTxn": record["Line"][0]["LinkedTxn"]}]
    copy = {name: record[name] for name in ("CustomerRef", "CurrencyRef", "TotalAmt", "PrivateNote", "PaymentRefNum")}
    copied = write_by_hand(place, "Payment", {**copy, "Line": lines})
    assert place.due("quickbooks", invoice) == 0
    assert "1 to decide by you" in at_night(place, "quickbooks")
    one = decision_on(place, payment)
    assert copied["Id"] in one.theirs and one.ours == "Taken back" and actions(one) == ["back", "check", "ignore"]
    number = int(one.ref[1:])
    fix_difference.take_back(here.wiring, merchant, number, user_id=1)
    with pytest.raises(Conflict, match="settled already"):
        fix_difference.take_back(here.wiring, merchant, number, user_id=1)
    place.until(payment, PaymentState.REFUNDED, PostingState.REVERSED)
    assert place.upstream("quickbooks", payment) == [] and place.due("quickbooks", invoice) == invoice.balance
    assert place.ledger(payment) == {} and place.holder(invoice) is None


def _taken_off_twice(place: Place) -> tuple[str, str, Difference]:
    """A bookkeeper takes a link off, and again after it was placed again: the invoice's page, the text with the link,
    and what is to be decided then."""
    (invoice,) = place.invoices("quickbooks")
    page = next(row for row in place.here.books("quickbooks")["invoices"] if row["id"] == invoice.remote_id)["sent"]
    assert "/i/" in place.here.memo(page)
    place.here.advance(60.0)
    place.by_hand("quickbooks", invoice, "memo", memo="Thank you")
    assert "1 put right at once" in at_night(place, "quickbooks")
    place.here.work()
    assert "/i/" in place.here.memo(page) and "Thank you" in place.here.memo(page)
    text = str(read_record(place, invoice.remote_id, "Invoice")["CustomerMemo"]["value"])
    place.here.advance(60.0)
    place.by_hand("quickbooks", invoice, "memo", memo="No link, please")
    assert "1 to decide by you" in at_night(place, "quickbooks")
    (one,) = waiting(place)
    assert one.name == invoice.number and actions(one) == ["place", "check", "ignore"]
    return page, text, one


def test_a_link_taken_off_is_placed_again_once_and_then_decided(place: Place) -> None:
    page, _, one = _taken_off_twice(place)
    fix_difference.ignore(place.here.wiring, place.here.merchant_id, int(one.ref[1:]), user_id=1)
    at_night(place, "quickbooks")
    assert waiting(place) == []
    fix_difference.bring_back(place.here.wiring, place.here.merchant_id, int(one.ref[1:]), user_id=1)
    fix_difference.place_link(place.here.wiring, place.here.merchant_id, int(one.ref[1:]), user_id=1)
    place.here.work()
    assert "/i/" in place.here.memo(page) and "No link, please" in place.here.memo(page)


def test_a_link_put_back_by_hand_is_no_difference_any_more(place: Place) -> None:
    _, text, one = _taken_off_twice(place)
    number, here = int(one.ref[1:]), place.here
    assert not fix_difference.check_again(here.wiring, here.merchant_id, number)
    assert [left.ref for left in waiting(place)] == [one.ref]
    (invoice,) = (row for row in here.books("quickbooks")["invoices"] if row["number"] == one.name)
    place.control("quickbooks", f"invoices/{invoice['id']}/memo", memo=text)
    assert fix_difference.check_again(here.wiring, here.merchant_id, number)
    assert waiting(place) == []
    assert at_night(place, "quickbooks").endswith("everything agrees.")


def test_a_closed_period_is_a_guided_fix(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    today = place.here.now().date()
    place.control("quickbooks", "closing-date", date=today.isoformat())
    payment = place.pay([invoice])
    place.until(payment, PaymentState.SETTLED, PostingState.NEEDS_REVIEW)
    one = decision_on(place, payment)
    assert actions(one) == ["today", "retry", "ignore"], one.cause
    place.here.advance(86_400.0)
    fix_difference.record_today(place.here.wiring, place.here.merchant_id, one.ref, user_id=1)
    place.end_silence()
    postings = place.posted(payment)
    place.control("quickbooks", "closing-date", date="")
    assert postings[-1].paid_on > today and place.upstream("quickbooks", payment) == [invoice.balance]


def test_an_invoice_made_anew_is_given_what_was_paid_for_the_old_one(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    old = read_record(place, invoice.remote_id, "Invoice")
    place.here.fault("quickbooks", "drop_before_commit", "payment.create")
    payment = place.pay([invoice])
    place.until(payment, PaymentState.SETTLED)
    place.by_hand("quickbooks", invoice, "delete")
    body: dict[str, Any] = {
        name: old[name] for name in ("CustomerRef", "CurrencyRef", "DocNumber", "Line") if name in old
    }
    made = write_by_hand(place, "Invoice", body)
    place.here.advance(36.0)
    place.here.settle(lambda: PostingState.NEEDS_REVIEW in {row.state for row in place.here.postings(payment)})
    sync.ask(place.here.wiring, place.here.merchant_id, place.connections["quickbooks"])
    place.here.work()
    one = decision_on(place, payment)
    new = _new_invoice(place, made["Id"])
    assert actions(one)[0] == f"give-{new.id}", (one.cause, one.fixes)
    fix_difference.give_to(place.here.wiring, place.here.merchant_id, one.ref, new.id, user_id=1)
    place.posted(payment)
    assert place.upstream("quickbooks", payment) == [invoice.balance] and place.due("quickbooks", new) == (
        new.balance - invoice.balance
    )
    assert place.holder(new) is None and place.holder(invoice) is None


def _new_invoice(place: Place, remote_id: str) -> InvoiceRow:
    with place.here.wiring.database.view(place.here.merchant_id) as view:
        found = view.invoices.by_remote(place.connections["quickbooks"], remote_id)
    assert found is not None
    return found


@systems
def test_an_invoice_paid_there_as_well_offers_a_refund(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    place.here.fault(system, "drop_before_commit", "payment.create")
    payment = place.pay([invoice])
    place.until(payment, PaymentState.SETTLED)
    place.by_hand(system, invoice, "pay")
    for _ in range(3):
        place.here.advance(36.0)
        place.end_silence()
        place.here.work()
    one = decision_on(place, payment)
    assert actions(one) == [f"/payments/{payment}/refund", "retry", "ignore"], one.cause
    fix_difference.ignore_posting(place.here.wiring, place.here.merchant_id, one.ref, user_id=1)
    assert place.holder(invoice) == payment, "it stays locked, so that it is not paid a third time"
    (left, *_) = differences.ignored(place.here.wiring, place.here.merchant_id)
    assert left.state == "ignored" and left.cause == one.cause


@systems
def test_a_night_stops_at_its_budget_and_the_next_goes_on(
    place: Place, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "CALLS_A_NIGHT", 2)
    nights = [at_night(place, system) for _ in range(2)]
    assert all("goes on from here next night" in said for said in nights)
    monkeypatch.setattr(drift, "CALLS_A_NIGHT", 200)
    said = at_night(place, system)
    assert "Tonight's" not in said and int(said.split()[1]) >= 200, "counted over all the nights it took"


@systems
def test_a_full_sweep_reads_everything_again(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    place.by_hand(system, invoice, "pay", amount="2.00")
    said = at_night(place, system, Work.FULL_SWEEP)
    assert said.startswith("Read ") and place.mirrored(invoice).balance == invoice.balance - 200


@systems
@pytest.mark.parametrize("kind", [Work.DRIFT, Work.FULL_SWEEP])
def test_access_that_ends_at_night_is_told_and_the_next_night_goes_through(
    place: Place, system: str, kind: Work
) -> None:
    (invoice,) = place.invoices(system)
    place.by_hand(system, invoice, "pay", amount="1.00")
    place.here.fault(system, "revoke_tokens", "*")
    assert at_night(place, system, kind).startswith("Our access has ended: ")
    assert place.mirrored(invoice).balance == invoice.balance
    with place.here.wiring.database.view(place.here.merchant_id) as view:
        assert view.connections.get(place.connections[system]).state == "broken"
    if kind is Work.DRIFT:
        assert at_night(place, system, kind) == "Not connected."
    place.here.reconnect(place.connections[system], system)
    said = at_night(place, system, kind)
    assert not said.startswith("Our access") and place.mirrored(invoice).balance == invoice.balance - 100
