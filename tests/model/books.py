"""Merchants, customers, upstreams, banks, faults and deaths at random, against a model that only knows what each
invoice should owe and which payments stand.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import count

import requests
import sqlalchemy as sa
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from connector.db import tables as t
from connector.db.rows import InvoiceRow
from connector.domain.money import minor_to_text
from connector.domain.payments import IN_FLIGHT
from connector.domain.postings import PostingState
from connector.domain.records import Kind, PaymentState
from connector.errors import Conflict, Invalid, Unavailable
from connector.journeys import refund
from integrations.gateways.sandbox.simulator.application import EXTENSION
from integrations.gateways.sandbox.simulator.records import Payment
from tests.model.databases import Fresh
from tests.model.mortal import Mortals
from tests.walks.standing import Place
from tests.walks.world import environment_of, world

_SYSTEMS = ("quickbooks", "xero")
_DAY = 86_400.0
# Longer than any call may take, as a real restart's look-ups wait.
_RESTART_SECONDS = 40.0
_LONGEST_DELIVERY = 2.0
_BUTTONS = ("approve", "approve", "approve", "decline", "bank_settles", "bank_returns", "bank_returns_late", "leave")
_FAULTS = (
    "drop_before_commit",
    "drop_after_commit",
    "error_before_commit",
    "error_after_commit",
    "html_503",
    "truncated_json",
    "duplicate_webhooks",
    "reorder_webhooks",
)
# These look different with every vendor, and the gateway knows none of them.
_VENDORS_FAULTS = ("throttle", "expire_tokens", "revoke_tokens")
_OPEN = (PostingState.QUEUED, PostingState.SENDING, PostingState.REVERSING)
_forms = count(1)


@dataclass
class Stands:
    """A payment as it should end: minor units by invoice (remote id), and nothing where the bank takes it back."""

    system: str
    shares: dict[str, int]
    final: bool = False
    given_back: int = 0

    def of(self, invoice: str) -> int:
        """What of it lies on an invoice in the end."""
        share = self.shares.get(invoice, 0)
        if not self.final or not share:
            return 0
        # Only payments of one invoice are refunded in part.
        return share - self.given_back if len(self.shares) == 1 else (0 if self.given_back else share)


@dataclass
class Model:
    """What each invoice owes at the start less what was paid by hand, and every payment by its id."""

    owed: dict[tuple[str, str], int] = field(default_factory=dict)
    payments: dict[str, Stands] = field(default_factory=dict)

    def due(self, system: str, invoice: str) -> int:
        """What an invoice owes once everything has come to rest."""
        paid = sum(each.of(invoice) for each in self.payments.values() if each.system == system)
        return self.owed[system, invoice] - paid


class Books(RuleBasedStateMachine):
    """One merchant with both systems; work is done when a rule says so. What happens is added up in `counted`."""

    def __init__(self, fresh: Fresh, mortals: Mortals, counted: Counter[str]) -> None:
        super().__init__()
        self.counted, self.mortals = counted, mortals
        counted["examples"] += 1
        self._ends = ExitStack()
        url = self._ends.enter_context(fresh())
        self.here = self._ends.enter_context(world(url, invoices=40))
        self.environment = environment_of(url, self.here.public_url, self.here.upstream_url, {})
        self.place = Place(self.here, {system: self.here.connect(system) for system in _SYSTEMS})
        self.here.work()
        self.model = Model()
        self.rows: dict[str, list[InvoiceRow]] = {}
        for system in _SYSTEMS:
            rows = self._open(system)
            self.rows[system] = sorted(rows, key=lambda row: (row.customer, row.remote_id))
            self.model.owed |= {(system, row.remote_id): row.balance for row in rows}

    @rule(
        system=st.sampled_from(_SYSTEMS),
        first=st.integers(0, 40),
        many=st.sampled_from((1, 1, 2, 3)),
        eighths=st.integers(1, 8),
        button=st.sampled_from(_BUTTONS),
        twice=st.booleans(),
    )
    def pay(self, system: str, first: int, many: int, eighths: int, button: str, twice: bool) -> None:
        """A customer chooses invoices and presses a button at the gateway; `twice`: sends the form again before."""
        rows = self.rows[system]
        chosen = rows[first % len(rows)]
        invoices = [row for row in rows[first % len(rows) :] if row.customer == chosen.customer][:many]
        now = [self.place.mirrored(row) for row in invoices]
        # One paid by hand while the upstream did not answer may still be offered, and is then for a person to decide.
        if any(row.balance < 8 or not self.model.owed[system, row.remote_id] for row in now):
            return
        shares = {row.remote_id: row.balance * eighths // 8 for row in now}
        amounts = {row.id: minor_to_text(shares[row.remote_id], row.currency) for row in now}
        form = f"model-{next(_forms)}"
        try:
            address = self.here.start_payment(now, amounts, form_key=form)
            if twice:
                assert self.here.start_payment(now, amounts, form_key=form) == address
        except (Conflict, Unavailable, Invalid) as refusal:
            note(f"refused: {refusal}")
            self.counted["refused"] += 1
            # The same form, should anything of it be left, comes to nothing.
            return
        if "/checkout/" not in address or button == "leave":
            return
        pressed = self.here.press(address, button)
        taken = self._at_the_gateway(address)
        payment_id = taken.reference
        settles = pressed and button in ("approve", "bank_settles") and taken.status in ("settled", "processing")
        if payment_id not in self.model.payments:
            # What an earlier form began for the same invoices keeps its amounts.
            with self.here.wiring.database.view(self.here.merchant_id) as view:
                ids = {row.id: row.remote_id for row in now}
                held = view.payments.shares(payment_id)
            self.model.payments[payment_id] = Stands(system, {ids[number]: share for number, share in held.items()})
        self.model.payments[payment_id].final |= settles
        self.counted["payments"] += 1

    @initialize(
        system=st.sampled_from(_SYSTEMS),
        first=st.integers(0, 40),
        many=st.sampled_from((1, 1, 2, 3)),
        eighths=st.integers(1, 8),
        button=st.sampled_from(_BUTTONS),
    )
    def begin(self, system: str, first: int, many: int, eighths: int, button: str) -> None:
        """Every run has a payment, so that there is something to go wrong."""
        self.pay(system, first, many, eighths, button, False)

    @precondition(lambda self: self.model.payments)
    @rule(which=st.integers(0, 1000), eighths=st.integers(1, 8), twice=st.booleans())
    def give_back(self, which: int, eighths: int, twice: bool) -> None:
        """Staff refund a payment in full, or one of a single invoice in part."""
        payment_id = sorted(self.model.payments)[which % len(self.model.payments)]
        expected, payment = self.model.payments[payment_id], self.place.payment(payment_id)
        left = payment.amount - expected.given_back
        minor = left if len(expected.shares) > 1 else max(1, left * eighths // 8)
        form = f"refund-{next(_forms)}"
        try:
            for _ in range(1 + twice):
                refund.ask(
                    self.here.wiring,
                    self.here.merchant_id,
                    payment_id,
                    amount_text=minor_to_text(minor, payment.currency),
                    reason="Model",
                    user_id=1,
                    form_key=form,
                )
        except (Conflict, Invalid):
            return
        expected.given_back += minor
        self.counted["refunds"] += 1

    @rule(system=st.sampled_from((*_SYSTEMS, "sandbox")), kind=st.sampled_from(_FAULTS), times=st.integers(1, 2))
    def fault(self, system: str, kind: str, times: int) -> None:
        """Something will go wrong at the next calls."""
        self.here.fault(system, kind, "*", times)
        self.counted["faults"] += 1

    @rule(system=st.sampled_from(_SYSTEMS), kind=st.sampled_from(_VENDORS_FAULTS))
    def vendors_fault(self, system: str, kind: str) -> None:
        """An upstream says that it is too much, or that the access is over."""
        self.here.fault(system, kind, "*")
        self.counted["faults"] += 1

    @rule(system=st.sampled_from(_SYSTEMS), which=st.integers(0, 40))
    def paid_by_hand(self, system: str, which: int) -> None:
        """A bookkeeper books a bank transfer on an invoice nobody is paying here."""
        rows = self.rows[system]
        row = rows[which % len(rows)]
        busy = any(row.remote_id in each.shares for each in self.model.payments.values() if each.system == system)
        if busy or self.place.holder(row) is not None or not self.model.owed[system, row.remote_id]:
            return
        self.place.by_hand(system, row, "pay")
        self.model.owed[system, row.remote_id] = 0
        self.counted["paid by hand"] += 1

    @rule()
    def work(self) -> None:
        """The worker does what is due."""
        self.here.work()

    @rule(step=st.one_of(st.integers(0, 6), st.integers(0, 30)))
    def die(self, step: int) -> None:
        """A worker dies at a step, and another goes on when earlier calls can no longer be on their way."""
        end = time.monotonic() + _LONGEST_DELIVERY
        while self._deliveries_wait() and time.monotonic() < end:
            time.sleep(0.01)
        killed = self.mortals.work(self.environment, self.here.ahead, step)
        self.counted["kills"] += killed
        if killed:
            self.here.advance(_RESTART_SECONDS)
            # What the dead one held runs out by the database's clock, which tests cannot move.
            with self.here.wiring.database.engine.begin() as connection:
                connection.execute(sa.delete(t.leases))
                connection.execute(sa.delete(t.slots))

    @rule()
    def reconnect(self) -> None:
        """The merchant gives access again where it has ended; when that fails as well, another time."""
        for system, connection in self.place.connections.items():
            with suppress(Conflict, Invalid, Unavailable):
                self.here.reconnect(connection, system)

    @rule(seconds=st.sampled_from((1.0, 61.0, 1900.0, 4 * _DAY)))
    def time_passes(self, seconds: float) -> None:
        """Here and at the banks."""
        self.here.advance(seconds)

    @rule()
    def rest(self) -> None:
        """Faults end and everything is done that can be: the books agree with the model's, but for open debits."""
        self._come_to_rest()

    @invariant()
    def nothing_is_doubled(self) -> None:
        """At no moment does more stand upstream for a payment than was paid."""
        self.counted["steps"] += 1
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            assert not any(view.ledger.sums().values())
        for payment_id, expected in self.model.payments.items():
            standing = sum(self.place.upstream(expected.system, payment_id))
            too_much = standing > sum(expected.shares.values())
            self.counted["doubled"] += too_much
            assert not too_much, f"{payment_id}: {standing} stand upstream"

    def teardown(self) -> None:
        """The banks have said their last word: every invoice owes what the model says."""
        try:
            for days in (4, 35, 3):
                self._come_to_rest()
                self.here.advance(days * _DAY)
            self._come_to_rest()
            self._compare()
        finally:
            self._ends.close()

    def _come_to_rest(self) -> None:
        for name in (*_SYSTEMS, "sandbox"):
            requests.post(f"{self.here.upstream_url}/{name}/_control/faults/clear", json={}, timeout=10)
        # Checkouts left behind end, webhooks are sent again, pauses are over.
        for seconds in (0.0, 61.0, 1900.0, 3700.0):
            self.here.advance(seconds)
            self.place.end_silence()
            self.here.settle(self._quiet, seconds=60.0)

    def _quiet(self) -> bool:
        """Whether nothing is left to do but what waits for a bank or for a time that has not come."""
        self.place.end_silence()
        self.reconnect()
        return not self._deliveries_wait() and not self._postings_in(*_OPEN)

    def _deliveries_wait(self) -> bool:
        gateway = self.here.upstreams.apps["sandbox"].extensions[EXTENSION]
        now = self.here.upstreams.clock.time()
        return any(delivery.due <= now for delivery in gateway.delivery.waiting())

    def _compare(self) -> None:
        for payment_id, expected in self.model.payments.items():
            payment = self.place.payment(payment_id)
            story = f"{payment_id} {payment.state}: {self.place.story(payment_id)}"
            assert payment.state not in IN_FLIGHT and payment.state is not PaymentState.UNKNOWN, story
            held = sum(expected.of(invoice) for invoice in expected.shares)
            standing = sum(self.place.upstream(expected.system, payment_id))
            self.counted["lost"] += min(payment.booked, standing) < held
            self.counted["doubled"] += max(payment.booked, standing) > held
            assert payment.booked == standing == held, f"{standing} stand upstream, {held} should. {story}"
        assert not self._postings_in(PostingState.NEEDS_REVIEW)
        for (system, invoice), _ in self.model.owed.items():
            row = next(row for row in self.rows[system] if row.remote_id == invoice)
            assert self.place.due(system, row) == self.model.due(system, invoice), (
                f"{system} invoice {row.number}, {invoice}: {self._touching(system, invoice)}"
            )
            assert self.place.holder(row) is None, f"{system} invoice {row.number} is still held"

    def _touching(self, system: str, invoice: str) -> list[object]:
        """The payments of an invoice, the model's and ours."""
        known = {number: each for number, each in self.model.payments.items() if invoice in each.shares}
        ours = [(row.id, row.state, row.booked, row.refunded) for row in self.here.payments() if row.id in known]
        return [known, ours, [row for row in self.here.books(system)["payments"] if invoice in row["invoices"]]]

    def _postings_in(self, *states: PostingState) -> list[str]:
        return [
            f"{posting.key} of {payment.id}: {posting.state} {posting.problem}"
            for payment in self.here.payments()
            for posting in self.here.postings(payment.id)
            if posting.state in states
        ]

    def _at_the_gateway(self, address: str) -> Payment:
        book = self.here.upstreams.apps["sandbox"].extensions[EXTENSION].book
        found: tuple[object, Payment] = book.checkout_and_payment(address.rsplit("/", 1)[-1])
        return found[1]

    def _open(self, system: str) -> list[InvoiceRow]:
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            return [
                row
                for invoice in self.here.books(system)["invoices"]
                if invoice["open"]
                and invoice["currency"] == "USD"
                and (row := view.invoices.by_remote(self.place.connections[system], invoice["id"], Kind.INVOICE))
                and row.balance > 0
            ]
