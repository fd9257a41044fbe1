"""Every call a payment's walk makes to QuickBooks and to Xero, gone wrong in every way.

By the simulator's own books the payment stands once, the ledger is in balance, nothing is locked; or a person is told.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
import requests

from connector.app import HANDLERS
from connector.contract import Access, BillingSystem, PaymentIntent, TryAgain
from connector.db.rows import InvoiceRow
from connector.db.work import WorkItem
from connector.demo.processes import free_ports
from connector.domain.money import minor_to_text
from connector.domain.postings import PostingState
from connector.domain.records import PaymentState, RemotePayment
from connector.domain.work import Work
from connector.errors import Unavailable
from connector.jobs.runner import attempt
from connector.journeys import refund, review
from connector.manifest import AdapterConfig
from connector.wiring import Wiring
from integrations.systems.quickbooks.adapter import QuickBooks
from integrations.systems.xero.adapter import Xero
from tests.walks.standing import Place, both_connected

systems = pytest.mark.parametrize("system", ["quickbooks", "xero"])
AFTER_A_LOST_CALL = 36.0
FAULTS = (
    "drop_before_commit",
    "drop_after_commit",
    "error_before_commit",
    "error_after_commit",
    "html_503",
    "truncated_json",
    "throttle",
    "expire_tokens",
)
# What one payment's walk calls, from choosing to the books. A look-up comes only when an answer was lost.
CALLS = {
    "quickbooks": ("invoice.read", "payment.create", "payment.query"),
    "xero": ("invoice.read", "payment.create", "payment.list"),
}
_ADAPTERS: dict[str, type[BillingSystem]] = {"quickbooks": QuickBooks, "xero": Xero}


@pytest.fixture(scope="module")
def place(shared_url: str) -> Iterator[Place]:
    """Both systems connected and read, with an invoice for everything that can go wrong."""
    with both_connected(shared_url, invoices=440) as made:
        yield made


def stands_once(place: Place, system: str, payment_id: str, invoice: InvoiceRow) -> None:
    """By the simulator's own books, and here nothing is locked and nothing out of balance."""
    assert place.upstream(system, payment_id) == [invoice.balance]
    assert len(place.recorded(system, payment_id)) == 1
    assert place.due(system, invoice) == 0 and place.holder(invoice) is None
    assert place.here.ledger_is_zero()


def goes_on(place: Place, payment_id: str, state: PostingState = PostingState.POSTED, rounds: int = 12) -> None:
    """Let time pass until the payment's postings stand as they shall."""
    place.until(payment_id, PaymentState.SETTLED)
    for _ in range(rounds):
        if {row.state for row in place.newest(payment_id)} == {state}:
            break
        place.here.advance(AFTER_A_LOST_CALL)
        place.end_silence()
        place.here.work()
    assert {row.state for row in place.newest(payment_id)} == {state}, place.story(payment_id)
    place.here.work()


def paid(place: Place, system: str, invoice: InvoiceRow) -> str:
    """Chosen and paid; where the upstream cannot be asked just now the customer comes again a little later."""
    for _ in range(6):
        try:
            return place.pay([invoice])
        except Unavailable:
            place.here.advance(65)
            place.end_silence()
    raise AssertionError("The customer was never let through.")


@contextmanager
def as_it_is_sent(system: str, happening: Any) -> Iterator[None]:
    """Something happens upstream after the invoice was read and in the moment before the payment is sent."""
    adapter: Any = _ADAPTERS[system]
    send = adapter.record_payment
    happened: list[bool] = []

    def record(self: Any, access: Access, intent: PaymentIntent) -> RemotePayment:
        if not happened:
            happened.append(True)
            happening()
        made: RemotePayment = send(self, access, intent)
        return made

    with patch.object(adapter, "record_payment", record):
        yield
    assert happened


def called(place: Place, system: str) -> dict[str, int]:
    """How often each operation was called upstream so far."""
    journal = requests.get(f"{place.here.upstream_url}/{system}/_control/journal", timeout=10).json()
    counts: dict[str, int] = {}
    for line in journal:
        if line["entry"] == "request":
            counts[line["operation"]] = counts.get(line["operation"], 0) + 1
    return counts


@systems
def test_the_calls_of_a_walk_are_those_that_are_made_to_fail(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    before = called(place, system)
    place.here.fault(system, "drop_after_commit", "payment.create")
    payment_id = paid(place, system, invoice)
    place.here.fault(system, "hold_webhooks", "*", times=1000)
    goes_on(place, payment_id)
    after = called(place, system)
    made = {name for name in after if after[name] > before.get(name, 0)}
    reading = {name for name in made if name.endswith((".cdc", ".count", "items.list")) or name.startswith("token.")}
    assert set(CALLS[system]) <= made, made
    assert not {name for name in made - reading if name.startswith("payment.")} - set(CALLS[system]), made


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("system", "operation"), [(name, call) for name, calls in CALLS.items() for call in calls])
def test_a_call_gone_wrong(place: Place, system: str, operation: str, fault: str) -> None:
    (invoice,) = place.invoices(system)
    looked_up = operation in ("payment.query", "payment.list")
    if looked_up:
        place.here.fault(system, "drop_after_commit", "payment.create")
    place.here.fault(system, fault, operation, times=1 if fault == "expire_tokens" else 2)
    payment_id = paid(place, system, invoice)
    goes_on(place, payment_id)
    stands_once(place, system, payment_id, invoice)


@systems
def test_nobody_listens(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    payment_id = place.pay([invoice])
    here = place.here
    there, port = here.wiring, free_ports(1)[0]
    adapter = there.systems[system]
    config: AdapterConfig = adapter._config  # type: ignore[attr-defined]
    nowhere = replace(config, endpoints={**config.endpoints, "api": f"http://127.0.0.1:{port}"})
    here.wiring = replace(there, systems={**there.systems, system: type(adapter)(nowhere, there.limiter)})
    try:
        place.until(payment_id, PaymentState.SETTLED)
        for _ in range(3):
            here.advance(120)
            here.work()
    finally:
        here.wiring = there
    assert {row.state for row in here.postings(payment_id)} == {PostingState.QUEUED}
    goes_on(place, payment_id)
    stands_once(place, system, payment_id, invoice)


@systems
def test_an_answer_that_comes_after_we_gave_up_waiting(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    payment_id = place.pay([invoice])
    adapter: Any = place.here.wiring.systems[system]
    patience = replace(adapter._session.transport._manifest, call_timeout=(2.0, 0.3))
    place.here.fault(system, "slow", "payment.create", seconds=0.9)
    with patch.object(adapter._session.transport, "_manifest", patience):
        place.until(payment_id, PaymentState.SETTLED)
    assert any("did not answer in time" in line for line in place.story(payment_id))
    # No call lasts until the look-up: by then it has arrived.
    end = time.monotonic() + 60
    while not place.upstream(system, payment_id) and time.monotonic() < end:
        time.sleep(0.02)
    goes_on(place, payment_id)
    stands_once(place, system, payment_id, invoice)


@systems
def test_an_access_ended_in_the_middle_waits_for_the_merchant(place: Place, system: str) -> None:
    """By the vendor or in the vendor's own pages; the money is here, and is recorded once they have connected again."""
    (invoice,) = place.invoices(system)
    place.here.fault(system, "revoke_tokens", "payment.create")
    payment_id = place.pay([invoice])
    place.until(payment_id, PaymentState.SETTLED)
    place.here.settle(lambda: _state_of(place, system) == "broken")
    assert place.upstream(system, payment_id) == [] and place.holder(invoice) == payment_id
    assert place.here.ledger_is_zero()
    place.here.reconnect(place.connections[system], system)
    goes_on(place, payment_id)
    stands_once(place, system, payment_id, invoice)


@systems
def test_a_period_closed_between_reading_and_sending(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    path = {"quickbooks": "closing-date", "xero": "lock-date"}[system]
    payment_id = place.pay([invoice])
    try:
        with as_it_is_sent(system, lambda: place.control(system, path, date="2099-12-31")):
            goes_on(place, payment_id, PostingState.NEEDS_REVIEW)
    finally:
        place.control(system, path, date="")
    assert "period" in place.problem(payment_id).lower() or "locked" in place.problem(payment_id).lower()
    assert place.upstream(system, payment_id) == []
    retried(place, payment_id)
    goes_on(place, payment_id)
    stands_once(place, system, payment_id, invoice)


# Xero deletes drafts only; an approved invoice is voided there.
@pytest.mark.parametrize(("system", "action"), [("quickbooks", "delete"), ("quickbooks", "void"), ("xero", "void")])
def test_an_invoice_gone_between_reading_and_sending(place: Place, system: str, action: str) -> None:
    (invoice,) = place.invoices(system)
    payment_id = place.pay([invoice])
    with as_it_is_sent(system, lambda: place.by_hand(system, invoice, action)):
        goes_on(place, payment_id, PostingState.NEEDS_REVIEW)
    assert len(place.problem(payment_id)) > 20, "in words"
    assert place.upstream(system, payment_id) == [] and place.holder(invoice) == payment_id
    assert place.here.ledger_is_zero(), "the money is in our ledger"


@systems
def test_an_invoice_paid_by_somebody_else_between_reading_and_sending(place: Place, system: str) -> None:
    (invoice,) = place.invoices(system)
    payment_id = place.pay([invoice])
    with as_it_is_sent(system, lambda: place.by_hand(system, invoice, "pay")):
        place.until(payment_id, PaymentState.SETTLED)
        for _ in range(4):
            place.here.advance(AFTER_A_LOST_CALL)
            place.here.work()
    (posting,) = place.newest(payment_id)
    assert posting.state is PostingState.NEEDS_REVIEW and len(place.problem(payment_id)) > 20
    assert place.upstream(system, payment_id) == [] and place.holder(invoice) == payment_id
    assert place.here.ledger_is_zero()


@pytest.mark.parametrize("fault", ["drop_before_commit", "drop_after_commit", "html_503", "expire_tokens"])
@systems
def test_taking_a_payment_back_gone_wrong(place: Place, system: str, fault: str) -> None:
    """The bank returns the money; whatever becomes of the call, nothing of ours stands upstream in the end."""
    (invoice,) = place.invoices(system)
    payment_id = place.pay([invoice])
    goes_on(place, payment_id)
    take_back = {"quickbooks": "payment.void", "xero": "payment.delete"}[system]
    place.here.fault(system, fault, take_back, times=1 if fault == "expire_tokens" else 2)
    before = called(place, system).get(take_back, 0)
    given_back(place, payment_id, invoice)
    place.until(payment_id, PaymentState.REFUNDED)
    for _ in range(6):
        place.here.advance(AFTER_A_LOST_CALL)
        place.end_silence()
        place.here.work()
    assert called(place, system)[take_back] > before
    assert {row.state for row in place.newest(payment_id)} == {PostingState.REVERSED}, place.story(payment_id)
    assert place.upstream(system, payment_id) == [] and place.due(system, invoice) == invoice.balance
    assert place.holder(invoice) is None and place.here.ledger_is_zero()


def test_a_payment_edited_by_hand_before_it_is_taken_back(place: Place) -> None:
    """QuickBooks refuses a version that is not the newest: it is read once more and taken back all the same."""
    (invoice,) = place.invoices("quickbooks")
    payment_id = place.pay([invoice])
    goes_on(place, payment_id)
    take_back = QuickBooks.reverse_payment

    def with_an_old_version(self: QuickBooks, access: Access, payment: RemotePayment) -> None:
        take_back(self, access, payment._replace(version="999"))

    with patch.object(QuickBooks, "reverse_payment", with_an_old_version):
        given_back(place, payment_id, invoice)
        place.until(payment_id, PaymentState.REFUNDED, PostingState.REVERSED)
    assert place.upstream("quickbooks", payment_id) == [] and place.due("quickbooks", invoice) == invoice.balance


@systems
def test_two_workers_whose_token_has_run_out_refresh_it_once(place: Place, system: str) -> None:
    invoices = [place.invoices(system)[0] for _ in range(4)]
    payments = [place.pay([invoice]) for invoice in invoices]
    here = place.here
    with patch.dict(HANDLERS, {Work.WRITE_BACK: _later}):
        for payment_id in payments:
            place.until(payment_id, PaymentState.SETTLED)
    here.advance(2 * 3600)
    before = called(place, system).get("token.refresh", 0)
    with here.wiring.database.lookup() as everybody:
        due = [item for item in everybody.overdue_work(here.now()) if item.kind is Work.WRITE_BACK]
    assert len(due) == 4
    with ThreadPoolExecutor(4) as workers:
        for done in [
            workers.submit(attempt, here.wiring, HANDLERS, item.id, item.attempt, item.merchant) for item in due
        ]:
            done.result(60)
    assert called(place, system)["token.refresh"] == before + 1
    for payment_id, invoice in zip(payments, invoices, strict=True):
        goes_on(place, payment_id)
        stands_once(place, system, payment_id, invoice)


def _later(wiring: Wiring, item: WorkItem) -> None:
    raise TryAgain("Not yet.", after=60.0)


def given_back(place: Place, payment_id: str, invoice: InvoiceRow) -> None:
    """Staff refund the whole payment."""
    amount = minor_to_text(invoice.balance, invoice.currency)
    refund.ask(
        place.here.wiring, place.here.merchant_id, payment_id, amount_text=amount, reason="Not delivered", user_id=1
    )


def retried(place: Place, payment_id: str) -> None:
    """Somebody has put it right and presses Retry."""
    for posting in place.newest(payment_id):
        review.retry(place.here.wiring, place.here.merchant_id, posting.key, user_id=1)
    place.here.ahead += timedelta(seconds=1)


def _state_of(place: Place, system: str) -> str:
    with place.here.wiring.database.view(place.here.merchant_id) as view:
        return view.connections.get(place.connections[system]).state
