"""However often, from however many tabs and people, at whatever moment: one choice is one payment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from unittest.mock import patch

import pytest

from connector.contract import Access, Checkout, CheckoutRequest
from connector.db.rows import InvoiceRow
from connector.domain.money import minor_to_text
from connector.domain.payments import CONFIRMED_WITHIN_SECONDS, IN_FLIGHT, Choice, PortalScope
from connector.domain.records import PaymentState, UpstreamInvoice
from connector.errors import Conflict, ConnectorError, Invalid, NotFound, Unavailable
from connector.journeys import fresh, pay, sync
from integrations.gateways.sandbox.adapter import Sandbox
from integrations.systems.quickbooks.adapter import QuickBooks
from tests.walks.standing import Place, new_form
from tests.walks.world import world

_PEOPLE = 8


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """QuickBooks connected, on each database; many people pay here at once."""
    if request.param == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        path = tmp_path_factory.mktemp("world") / "duebridge.db"
        path.write_bytes(template.read_bytes())
        url, drop = f"sqlite:///{path}", None
    else:
        server = request.getfixturevalue("postgres_server")
        url = server.create_database(request.getfixturevalue("postgresql_template"))
        drop = server
    with world(url, invoices=200) as here:
        connections = {"quickbooks": here.connect("quickbooks")}
        here.work()
        yield Place(here, connections)
    if drop is not None:
        drop.drop_database(url)


def _together(tries: list[Callable[[], str]]) -> list[str | ConnectorError]:
    """Everybody presses in the same moment; where each was sent, or what each was told."""
    gate = threading.Barrier(len(tries))

    def one(press: Callable[[], str]) -> str | ConnectorError:
        gate.wait(10)
        try:
            return press()
        except ConnectorError as told:
            return told

    with ThreadPoolExecutor(len(tries)) as people:
        return list(people.map(one, tries))


def _one_payment(place: Place, invoices: list[InvoiceRow], answers: list[str | ConnectorError]) -> str:
    """All were sent to one page, or told kindly; paying it pays each invoice once. The payment's id."""
    pages = {answer for answer in answers if isinstance(answer, str) and "/checkout/" in answer}
    told = [answer for answer in answers if not isinstance(answer, str)]
    assert len(pages) == 1, answers
    assert all(isinstance(answer, Conflict) for answer in told), told
    holders = {place.holder(invoice) for invoice in invoices}
    (payment_id,) = holders
    assert payment_id is not None
    place.here.press(pages.pop())
    place.posted(payment_id)
    assert place.upstream("quickbooks", payment_id) == [sum(invoice.balance for invoice in invoices)]
    assert all(place.due("quickbooks", invoice) == 0 for invoice in invoices)
    assert not [row for row in place.here.payments() if row.state in IN_FLIGHT], "nothing is left behind"
    return payment_id


def test_a_button_pressed_many_times_is_one_payment(both: Place) -> None:
    invoices, form_key = both.invoices("quickbooks", most=2), new_form()
    answers = _together([lambda: both.here.start_payment(invoices, form_key=form_key)] * _PEOPLE)
    assert not [answer for answer in answers if not isinstance(answer, str)], "the same form is never refused"
    assert _one_payment(both, invoices, answers) == both.of_form(form_key).id


def test_many_tabs_are_one_payment(both: Place) -> None:
    invoices = both.invoices("quickbooks", most=2)
    answers = _together([lambda: both.here.start_payment(invoices, form_key=new_form())] * _PEOPLE)
    assert all(isinstance(answer, str) for answer in answers), answers
    _one_payment(both, invoices, answers)


def test_two_people_with_a_link_each_are_one_payment(both: Place) -> None:
    """One has the link of the customer's account, the other that of the invoice."""
    (invoice,) = both.invoices("quickbooks")
    choice = [Choice(invoice.id, minor_to_text(invoice.balance, invoice.currency))]
    account = PortalScope(both.here.merchant_id, invoice.connection_id, invoice.customer, None, 1)
    single = PortalScope(both.here.merchant_id, invoice.connection_id, invoice.customer, invoice.remote_id, 2)

    def start(scope: PortalScope) -> Callable[[], str]:
        return lambda: pay.start(both.here.wiring, scope, choice, new_form()).redirect_url

    _one_payment(both, [invoice], _together([start(account), start(single)] * (_PEOPLE // 2)))


def test_a_page_we_never_heard_was_opened_is_paid_all_the_same(both: Place) -> None:
    """The gateway's answer is lost, and its own mail leads the customer to the page: we hear by webhook alone."""
    (invoice,) = both.invoices("quickbooks")
    form_key = new_form()
    both.here.fault("sandbox", "drop_after_commit", "checkout.create")
    with pytest.raises(Unavailable, match="Nothing was charged"):
        both.here.start_payment([invoice], form_key=form_key)
    payment_id = both.of_form(form_key).id
    (opened,) = both.here.checkouts(payment_id)
    assert both.payment(payment_id).gateway_ref is None
    both.here.press(opened["url"])
    both.posted(payment_id)
    assert both.payment(payment_id).gateway_ref == opened["id"]
    assert both.upstream("quickbooks", payment_id) == [invoice.balance] and both.holder(invoice) is None
    assert both.ledger(payment_id)["clearing:sandbox"] == invoice.balance
    with pytest.raises(Conflict, match="nothing left to pay"):
        both.here.start_payment([invoice], {invoice.id: "1.00"})


def test_choices_that_overlap_never_hold_each_other_up_for_good(both: Place) -> None:
    """Two customers' tabs choose A and B, and B and A with C: one goes on, the other is told; nothing is stuck."""
    invoices = both.invoices("quickbooks", most=3)
    backwards = list(reversed(invoices))
    answers = _together(
        [lambda: both.here.start_payment(invoices[:2]), lambda: both.here.start_payment(backwards)] * (_PEOPLE // 2)
    )
    assert all(isinstance(answer, str | Conflict) for answer in answers), answers
    holders = {both.holder(invoice) for invoice in invoices} - {None}
    held = {payment_id: both.payment(str(payment_id)).state for payment_id in holders}
    assert len(held) <= 1 and all(state in IN_FLIGHT for state in held.values())
    alive = [row for row in both.here.payments() if row.state in IN_FLIGHT]
    assert {row.id for row in alive} == holders
    # Whoever chooses now is served: what was left behind is ended at the gateway first.
    both.here.press(both.here.start_payment(invoices))
    both.posted(str(both.holder(invoices[0])))
    assert all(both.due("quickbooks", invoice) == 0 for invoice in invoices)


def test_amounts_changed_in_many_tabs_end_in_one_payment(both: Place) -> None:
    (invoice,) = both.invoices("quickbooks")
    parts = [minor_to_text(invoice.balance - step, invoice.currency) for step in range(1, _PEOPLE + 1)]
    _together([lambda part=part: both.here.start_payment([invoice], {invoice.id: part}) for part in parts])  # type: ignore[misc]
    alive = [row for row in both.here.payments() if row.state in IN_FLIGHT]
    assert len(alive) <= 1 and [row.id for row in alive] == [both.holder(invoice)] * len(alive)
    both.posted(both.pay([invoice]))
    assert both.due("quickbooks", invoice) == 0


def test_the_back_button_leads_to_the_same_page_and_afterwards_to_the_receipt(place: Place) -> None:
    invoices, form_key = place.invoices("quickbooks", most=2), new_form()
    address = place.here.start_payment(invoices, form_key=form_key)
    assert place.here.start_payment(invoices, form_key=form_key) == address
    place.here.press(address)
    place.posted(place.of_form(form_key).id)
    for _ in range(2):
        again = place.here.start_payment(invoices, form_key=form_key)
        assert again.startswith(f"{place.here.public_url}/r/"), "paid: the receipt, and no second payment"
    assert place.upstream("quickbooks", place.of_form(form_key).id) == [sum(row.balance for row in invoices)]


def test_back_with_another_amount_pays_the_other_amount(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    form_key = new_form()
    whole = place.here.start_payment([invoice], form_key=form_key)
    first = place.of_form(form_key).id
    part = place.here.start_payment([invoice], {invoice.id: "1.25"}, form_key=form_key)
    assert part != whole
    assert place.payment(first).state is PaymentState.CANCELLED, "the page left behind cannot be paid as well"
    second = place.holder(invoice)
    assert second is not None and place.payment(second).amount == 125
    # Once more back to the whole: the first form's payment is over, this is a new one.
    again = place.here.start_payment([invoice], form_key=form_key)
    third = place.holder(invoice)
    assert third not in (None, first, second) and place.payment(second).state is PaymentState.CANCELLED
    place.here.press(whole)
    place.here.press(part)
    place.here.press(again)
    place.posted(str(third))
    assert [place.upstream("quickbooks", str(one)) for one in (first, second, third)] == [[], [], [invoice.balance]]


def test_back_after_a_declined_card_is_a_new_try(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    form_key = new_form()
    address = place.here.start_payment([invoice], form_key=form_key)
    place.here.press(address, "decline")
    place.until(place.of_form(form_key).id, PaymentState.FAILED)
    again = place.here.start_payment([invoice], form_key=form_key)
    assert "/checkout/" in again and again != address
    place.here.press(again)
    payment_id = str(place.holder(invoice))
    place.posted(payment_id)
    assert place.due("quickbooks", invoice) == 0


def test_another_amount_while_money_is_on_its_way_is_refused(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    payment_id = place.pay([invoice], "bank_settles", {invoice.id: "2.00"})
    place.until(payment_id, PaymentState.PROCESSING)
    with pytest.raises(Conflict, match="already under way"):
        place.here.start_payment([invoice], {invoice.id: "3.00"})
    assert place.holder(invoice) == payment_id
    place.here.advance(3 * 86_400)
    place.posted(payment_id)


def test_an_amount_changed_upstream_meanwhile_is_never_charged(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    place.by_hand("quickbooks", invoice, "pay", amount="1.00")
    with pytest.raises(Conflict, match="has changed") as told:
        place.here.start_payment([invoice])
    left = minor_to_text(invoice.balance - 100, "USD")
    assert f"{left} USD is due now" in str(told.value) and "Nothing was charged" in str(told.value)
    assert place.holder(invoice) is None
    place.posted(place.pay([place.mirrored(invoice)]))
    assert place.due("quickbooks", invoice) == 0


# Xero deletes drafts only; an approved invoice is voided there.
@pytest.mark.parametrize(("system", "action"), [("quickbooks", "void"), ("quickbooks", "delete"), ("xero", "void")])
def test_an_invoice_voided_or_deleted_upstream_meanwhile_is_never_charged(
    place: Place, system: str, action: str
) -> None:
    (invoice,) = place.invoices(system)
    place.by_hand(system, invoice, action)
    with pytest.raises(Conflict, match=r"has changed|nothing left"):
        place.here.start_payment([invoice])
    assert place.holder(invoice) is None and place.mirrored(invoice).state in ("void", "deleted")


def test_a_page_opened_while_the_balance_was_looked_up_is_ended_when_it_changed(place: Place) -> None:
    """The first tab waits for the upstream, the second one is quicker; then the balance turns out to be another."""
    (invoice,) = place.invoices("quickbooks")
    form_key, answered = new_form(), threading.Event()
    ask = QuickBooks.invoice

    def slow(self: QuickBooks, access: Access, remote_id: str) -> UpstreamInvoice:
        found = ask(self, access, remote_id)
        if threading.current_thread().name.startswith("reread") and not answered.is_set():
            answered.set()
            time.sleep(0.8)
            return found._replace(balance=found.balance - 100)
        return found

    with patch.object(QuickBooks, "invoice", slow), ThreadPoolExecutor(1) as tab:
        first = tab.submit(place.here.start_payment, [invoice], form_key=form_key)
        assert answered.wait(5)
        second = place.here.start_payment([invoice], form_key=form_key)
        with pytest.raises(Conflict, match="has changed"):
            first.result()
    place.here.press(second)
    place.here.settle(lambda: not place.here.work())
    assert place.of_form(form_key).state is PaymentState.CANCELLED
    assert place.holder(invoice) is None and place.due("quickbooks", invoice) == invoice.balance


def test_a_payment_given_up_while_its_page_was_opened_cannot_be_paid(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    form_key, pages = new_form(), []
    open_page = Sandbox.start_checkout

    def late(self: Sandbox, request: CheckoutRequest) -> Checkout:
        """The answer takes so long that the payment is released before it comes."""
        place.here.advance(1801)
        place.here.work()
        checkout = open_page(self, replace(request, expires_at=place.here.now()))
        pages.append(checkout.url)
        return checkout

    with patch.object(Sandbox, "start_checkout", late), pytest.raises(Conflict, match="ended meanwhile"):
        place.here.start_payment([invoice], form_key=form_key)
    place.here.press(pages[0])
    place.here.settle(lambda: not place.here.work())
    assert place.of_form(form_key).state is PaymentState.CANCELLED and place.holder(invoice) is None
    assert place.due("quickbooks", invoice) == invoice.balance


def test_a_silent_upstream_is_relied_on_for_a_quarter_of_an_hour(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh, "PATIENCE_SECONDS", 0.3)
    (invoice,) = place.invoices("quickbooks")
    place.here.settle(lambda: not place.here.work())
    sync.one(place.here.wiring, place.here.merchant_id, invoice.id)
    place.here.fault("quickbooks", "slow", "invoice.*", times=100, seconds=1)
    place.here.ahead += timedelta(minutes=14)
    place.here.press(place.here.start_payment([invoice]), "cancel")
    place.here.settle(lambda: place.holder(invoice) is None)
    # A reading asked for by a webhook may have confirmed it once more meanwhile.
    place.here.ahead += timedelta(minutes=16)
    with pytest.raises(Unavailable, match="does not answer right now") as told:
        place.here.start_payment([invoice])
    assert "Nothing was charged" in str(told.value)
    assert place.holder(invoice) is None, "and the next try is not held up"
    assert CONFIRMED_WITHIN_SECONDS == 15 * 60


@pytest.mark.parametrize("typed", ["", "0", "0.00", "-5", "1e3", "12.345", "١٢", "1,00", "NaN", " ", "9" * 30])
def test_a_bad_amount_is_refused_at_its_field(place: Place, typed: str) -> None:
    (invoice,) = place.invoices("quickbooks")
    scope = PortalScope(place.here.merchant_id, invoice.connection_id, invoice.customer)
    with pytest.raises(Invalid) as told:
        pay.start(place.here.wiring, scope, [Choice(invoice.id, typed)], new_form())
    assert told.value.field == f"amount-{invoice.id}" and invoice.number in str(told.value)
    assert place.holder(invoice) is None


def test_more_than_is_due_is_refused(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    with pytest.raises(Invalid, match="enter at most that"):
        place.here.start_payment([invoice], {invoice.id: minor_to_text(invoice.balance + 1, "USD")})


def test_somebody_elses_invoice_does_not_exist_for_us(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    text = minor_to_text(invoice.balance, invoice.currency)
    for scope in (
        PortalScope(place.here.merchant_id, invoice.connection_id, "another customer"),
        PortalScope(place.here.merchant_id, place.connections["xero"], invoice.customer),
        PortalScope(place.here.merchant_id, invoice.connection_id, invoice.customer, "another invoice"),
    ):
        with pytest.raises(NotFound):
            pay.start(place.here.wiring, scope, [Choice(invoice.id, text)], new_form())
    assert place.holder(invoice) is None
