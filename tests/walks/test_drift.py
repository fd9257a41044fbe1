"""What somebody changes in the books behind our back is found at night, explained, and put right or decided."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from connector.contract import TryAgain
from connector.db import tables as t
from connector.db.rows import InvoiceRow
from connector.db.work import WorkItem
from connector.domain.money import minor_to_text
from connector.domain.postings import PostingState
from connector.domain.records import InvoiceState, PaymentState
from connector.domain.tasks import Task
from connector.domain.work import Work
from connector.journeys import drift, fix_difference, full_sweep, review, sync
from connector.reading import differences
from connector.reading.audit import audit
from connector.reading.difference_fixes import Difference
from tests.walks.standing import Place, both_connected

systems = pytest.mark.parametrize("system", ["quickbooks", "xero"])
_night = iter(range(10_000))


def _item(place: Place, system: str, kind: Work) -> WorkItem:
    """One night's work, as its worker begins it."""
    connection = place.connections[system]
    key = f"{connection}:night-{next(_night)}"
    with place.here.wiring.database.unit_of_work(place.here.merchant_id) as uow:
        uow.work.add(kind, key, partition=str(connection), payload={"connection": connection}, delay=9e6)
        found = uow.work.find(kind, key)
        # What changed long ago and no reading of changes has brought: that is what a night is for.
        uow.connections.change(connection, last_synced_at=uow.now + timedelta(hours=1))
    assert found is not None
    return found.item


def _at_night(place: Place, system: str, kind: Work = Work.DRIFT) -> str:
    """Do the night's comparison, and say how it ended. Nothing else is worked on: no webhook has come."""
    item = _item(place, system, kind)
    run, task = {
        Work.DRIFT: (drift.run, Task.DRIFT),
        Work.FULL_SWEEP: (full_sweep.run, Task.FULL_SWEEP),
    }[kind]
    for _ in range(50):
        try:
            run(place.here.wiring, item)
        except TryAgain:
            continue
        return _outcome(place, f"{task}:{place.connections[system]}")
    raise AssertionError("there is no end of it")


def _outcome(place: Place, schedule: str) -> str:
    s = t.schedules.c
    with place.here.wiring.database.engine.connect() as connection:
        return str(connection.execute(sa.select(s.outcome).where(s.id == schedule)).scalar_one())


def _waiting(place: Place) -> list[Difference]:
    return differences.waiting(place.here.wiring, place.here.merchant_id)


def _of(place: Place, payment_id: str) -> Difference:
    (one,) = [one for one in _waiting(place) if one.payment_id == payment_id]
    return one


def _actions(one: Difference) -> list[str]:
    return [fix.action or fix.href for fix in one.fixes]


def _quickbooks(place: Place, entity: str, body: dict[str, Any]) -> dict[str, Any]:
    """What an application of the bookkeeper's own writes through QuickBooks' API."""
    with place.here.wiring.database.view(place.here.merchant_id) as view:
        connection = view.connections.get(place.connections["quickbooks"])
    access = place.here.wiring.access(connection)
    answer = requests.post(
        f"{place.here.upstream_url}/quickbooks/v3/company/{connection.tenant}/{entity.lower()}",
        json=body,
        headers={"Authorization": f"Bearer {access.token(None)}", "Accept": "application/json"},
        timeout=10,
    )
    assert answer.ok, answer.text
    return dict(answer.json()[entity])


def _record(place: Place, remote_id: str, entity: str = "Payment") -> dict[str, Any]:
    with place.here.wiring.database.view(place.here.merchant_id) as view:
        connection = view.connections.get(place.connections["quickbooks"])
    access = place.here.wiring.access(connection)
    answer = requests.get(
        f"{place.here.upstream_url}/quickbooks/v3/company/{connection.tenant}/{entity.lower()}/{remote_id}",
        headers={"Authorization": f"Bearer {access.token(None)}", "Accept": "application/json"},
        timeout=10,
    )
    assert answer.ok, answer.text
    return dict(answer.json()[entity])


@pytest.fixture(scope="module")
def place(shared_url: str) -> Iterator[Place]:
    """Both systems connected and read, on each database."""
    with both_connected(shared_url, invoices=200) as made:
        yield made


@pytest.fixture(autouse=True)
def the_books_hold(place: Place) -> Iterator[None]:
    """Whatever was decided, the invariants hold afterwards, and nothing waits for the next test."""
    yield
    place.here.work()
    found = audit(place.here.wiring.database, place.here.now())
    assert not found, found.findings
    assert _waiting(place) == []


@systems
def test_an_undisturbed_night_finds_nothing(place: Place, system: str) -> None:
    payment = place.pay(place.invoices(system))
    place.posted(payment)
    said = _at_night(place, system)
    assert said.endswith("everything agrees.") and _waiting(place) == []
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
    said = _at_night(place, system)
    assert "1 put right at once" in said
    assert place.mirrored(invoice).state == InvoiceState.VOID
    (right, *_) = differences.put_right(place.here.wiring, place.here.merchant_id)
    assert right.name == invoice.number and "voided" in right.cause and right.ending
    assert _waiting(place) == []


@systems
def test_a_balance_changed_by_hand_is_read_again(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    place.by_hand(system, invoice, "pay", amount="1.00")
    _at_night(place, system)
    assert place.mirrored(invoice).balance == invoice.balance - 100
    (right, *_) = differences.put_right(place.here.wiring, place.here.merchant_id)
    assert right.name == invoice.number


def test_an_invoice_deleted_by_hand_is_archived(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    place.by_hand("quickbooks", invoice, "delete")
    place.here.advance(1.0)
    _at_night(place, "quickbooks")
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
    assert "1 to decide by you" in _at_night(place, system)
    one = _of(place, payment)
    assert "deleted or voided" in one.cause and _actions(one) == ["retry", f"/payments/{payment}/refund", "ignore"]
    assert place.holder(invoice) is None or place.holder(invoice) == payment
    review.retry(place.here.wiring, place.here.merchant_id, one.ref, user_id=1)
    place.posted(payment)
    assert place.upstream(system, payment) == [invoice.balance]
    assert _at_night(place, system).endswith("everything agrees.") or _waiting(place) == []


def test_a_payment_changed_by_hand_is_put_back(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    payment = place.pay([invoice])
    (posting,) = place.posted(payment)
    record = _record(place, posting.remote_id)
    less = Decimal(minor_to_text(invoice.balance - 100, invoice.currency))
    lines = [{**record["Line"][0], "Amount": float(less)}]
    _quickbooks(place, "Payment", {**record, "TotalAmt": float(less), "Line": lines})
    assert "1 to decide by you" in _at_night(place, "quickbooks")
    one = _of(place, payment)
    assert str(less) in one.theirs and minor_to_text(invoice.balance, invoice.currency) in one.ours
    assert _actions(one) == ["anew", "check", "ignore"]
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
    record = _record(place, posting.remote_id)
    copy = {name: record[name] for name in ("CustomerRef", "CurrencyRef", "TotalAmt", "PrivateNote", "PaymentRefNum")}
    copied = _quickbooks(place, "Payment", copy)
    assert "1 to decide by you" in _at_night(place, "quickbooks")
    one = _of(place, payment)
    assert copied["Id"] in one.theirs and "twice" in one.cause and _actions(one) == ["check", "ignore"]
    number = int(one.ref[1:])
    assert not fix_difference.check_again(place.here.wiring, place.here.merchant_id, number)
    place.control("quickbooks", f"payments/{copied['Id']}/delete")
    assert fix_difference.check_again(place.here.wiring, place.here.merchant_id, number)


def test_a_link_taken_off_is_placed_again_once_and_then_decided(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    page = next(row for row in place.here.books("quickbooks")["invoices"] if row["id"] == invoice.remote_id)["sent"]
    assert "/i/" in place.here.memo(page)
    place.here.advance(60.0)
    place.by_hand("quickbooks", invoice, "memo", memo="Thank you")
    assert "1 put right at once" in _at_night(place, "quickbooks")
    place.here.work()
    assert "/i/" in place.here.memo(page) and "Thank you" in place.here.memo(page)
    place.here.advance(60.0)
    place.by_hand("quickbooks", invoice, "memo", memo="No link, please")
    assert "1 to decide by you" in _at_night(place, "quickbooks")
    (one,) = _waiting(place)
    assert one.name == invoice.number and _actions(one) == ["place", "check", "ignore"]
    fix_difference.ignore(place.here.wiring, place.here.merchant_id, int(one.ref[1:]), user_id=1)
    _at_night(place, "quickbooks")
    assert _waiting(place) == []
    fix_difference.bring_back(place.here.wiring, place.here.merchant_id, int(one.ref[1:]), user_id=1)
    fix_difference.place_link(place.here.wiring, place.here.merchant_id, int(one.ref[1:]), user_id=1)
    place.here.work()
    assert "/i/" in place.here.memo(page) and "No link, please" in place.here.memo(page)


def test_a_closed_period_is_a_guided_fix(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    today = place.here.now().date()
    place.control("quickbooks", "closing-date", date=today.isoformat())
    payment = place.pay([invoice])
    place.until(payment, PaymentState.SETTLED, PostingState.NEEDS_REVIEW)
    one = _of(place, payment)
    assert _actions(one) == ["today", "retry", "ignore"], one.cause
    place.here.advance(86_400.0)
    fix_difference.record_today(place.here.wiring, place.here.merchant_id, one.ref, user_id=1)
    place.end_silence()
    postings = place.posted(payment)
    place.control("quickbooks", "closing-date", date="")
    assert postings[-1].paid_on > today and place.upstream("quickbooks", payment) == [invoice.balance]


def test_an_invoice_made_anew_is_given_what_was_paid_for_the_old_one(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    old = _record(place, invoice.remote_id, "Invoice")
    place.here.fault("quickbooks", "drop_before_commit", "payment.create")
    payment = place.pay([invoice])
    place.until(payment, PaymentState.SETTLED)
    place.by_hand("quickbooks", invoice, "delete")
    body: dict[str, Any] = {
        name: old[name] for name in ("CustomerRef", "CurrencyRef", "DocNumber", "Line") if name in old
    }
    made = _quickbooks(place, "Invoice", body)
    place.here.advance(36.0)
    place.here.settle(lambda: PostingState.NEEDS_REVIEW in {row.state for row in place.here.postings(payment)})
    sync.ask(place.here.wiring, place.here.merchant_id, place.connections["quickbooks"])
    place.here.work()
    one = _of(place, payment)
    new = _new_invoice(place, made["Id"])
    assert _actions(one)[0] == f"give-{new.id}", (one.cause, one.fixes)
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
    one = _of(place, payment)
    assert _actions(one) == [f"/payments/{payment}/refund", "retry", "ignore"], one.cause
    fix_difference.ignore_posting(place.here.wiring, place.here.merchant_id, one.ref, user_id=1)
    assert place.holder(invoice) == payment, "it stays locked, so that it is not paid a third time"
    (left, *_) = differences.ignored(place.here.wiring, place.here.merchant_id)
    assert left.state == "ignored" and left.cause == one.cause


@systems
def test_a_night_stops_at_its_budget_and_the_next_goes_on(
    place: Place, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "CALLS_A_NIGHT", 2)
    nights = [_at_night(place, system) for _ in range(2)]
    assert all("goes on from here next night" in said for said in nights)
    monkeypatch.setattr(drift, "CALLS_A_NIGHT", 200)
    said = _at_night(place, system)
    assert "Tonight's" not in said and int(said.split()[1]) >= 200, "counted over all the nights it took"


@systems
def test_a_full_sweep_reads_everything_again(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    place.by_hand(system, invoice, "pay", amount="2.00")
    said = _at_night(place, system, Work.FULL_SWEEP)
    assert said.startswith("Read ") and place.mirrored(invoice).balance == invoice.balance - 200
