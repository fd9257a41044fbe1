"""The walks whose every step is survived: each knows what sets it off, when it has arrived, and what must hold then."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar

from connector.db.rows import InvoiceRow
from connector.domain.money import minor_to_text
from connector.domain.postings import PostingState
from connector.domain.records import PaymentState
from connector.domain.tasks import What
from connector.errors import Conflict, Unavailable
from connector.journeys import drift, fix_difference, refund, review, sync
from tests.faults import judge
from tests.faults.stage import Stage
from tests.walks.night import read_record, write_by_hand
from tests.walks.standing import NothingOpen, Place
from tests.weakbooks.wiring import control

# Steps anybody may come by at any time, by what their names contain: each is the matter of one walk. Who renews the
# access is whoever comes first; what is due by the clock goes on in pages for a while.
RENEWAL = (" tokens.", " token.", ".mark_broken#")
NIGHTLY = ("drift ", "full_sweep ", "renew ")
# What somebody who enters a payment anew copies from the old one.
_COPIED = ("CustomerRef", "CurrencyRef", "TotalAmt", "PrivateNote", "PaymentRefNum")
_numbers = count(1)


@dataclass
class Walk:
    """One walk of one system. `prepare` runs undisturbed, `strike` sets off what is to be survived.

    `foreign`: what it may come by without being about it, by what the names of such checkpoints contain.
    """

    place: Place
    system: str
    name: ClassVar[str] = ""
    foreign: ClassVar[tuple[str, ...]] = (*RENEWAL, *NIGHTLY)

    @property
    def here(self) -> Stage:
        """The stage it is played on."""
        assert isinstance(self.place.here, Stage)
        return self.place.here

    @property
    def connection(self) -> int:
        """The system's connection."""
        return self.place.connections[self.system]

    def prepare(self) -> None:
        """Everything before."""

    def strike(self) -> None:
        """Set it off."""
        raise NotImplementedError

    def arrived(self) -> bool:
        """Whether it has come to its end."""
        raise NotImplementedError

    def check(self) -> None:
        """What must hold at its end."""

    def open_invoices(self, most: int = 1) -> list[InvoiceRow]:
        """Invoices of one customer that no other walk has; more are issued when none is left."""
        try:
            return self.place.invoices(self.system, most)
        except NothingOpen:
            self.reconnect()
            self.place.issue_again(self.system)
            return self.place.invoices(self.system, most)

    def usable(self, invoice: InvoiceRow) -> bool:
        """Whether the system answers for us. A killed renewal of tokens is noticed here as by any reading."""
        self.reconnect()
        try:
            sync.one(self.here.wiring, self.here.merchant_id, invoice.id)
        except (Conflict, Unavailable):
            return False
        return True

    def reconnect(self) -> None:
        """A rotated refresh token that died with its process ends QuickBooks' access: the merchant connects again."""
        if not self.system.startswith("weak_"):
            self.here.reconnect(self.connection, self.system)


@dataclass
class Paid(Walk):
    """A payment from the gateway's page to the books. `fault`: what happens to the first call that records it."""

    name: ClassVar[str] = "payment"
    parts: int = 1
    fault: str = ""
    button: str = "approve"
    invoices: list[InvoiceRow] = field(default_factory=list)
    payment_id: str = ""
    states: ClassVar[tuple[PaymentState, ...]] = (PaymentState.SETTLED,)

    def prepare(self) -> None:
        if self.system.startswith("weak_"):
            self._seed()
        self.invoices = self.open_invoices(self.parts)
        self.here.settle(lambda: self.usable(self.invoices[0]))

    def _seed(self) -> None:
        """A small system starts empty."""
        made = control(self.here.upstream_url, self.system, "invoices", count=self.parts, total=12_345, customer="c1")
        sync.ask(self.here.wiring, self.here.merchant_id, self.connection)

        def mirrored() -> bool:
            with self.here.wiring.database.view(self.here.merchant_id) as view:
                return all(view.invoices.by_remote(self.connection, row["id"]) for row in made)

        self.here.settle(mirrored)

    def strike(self) -> None:
        if self.fault:
            self.here.fault(self.system, self.fault, "payment.create")
        self.payment_id = self.place.pay(self.invoices, self.button)

    def arrived(self) -> bool:
        self.reconnect()
        if self.place.payment(self.payment_id).state not in self.states:
            return False
        if self.waits_for_a_person():
            return True
        states = {row.state for row in self.place.newest(self.payment_id)}
        return states <= {PostingState.POSTED, PostingState.REVERSED} and not self._locked()

    def _locked(self) -> bool:
        return any(self.place.holder(invoice) for invoice in self.invoices)

    def waits_for_a_person(self) -> bool:
        """Where nothing can be looked up upstream, a lost answer is a person's to judge."""
        found = {row.state for row in self.place.newest(self.payment_id)}
        return self.system == "weak_none" and PostingState.NEEDS_REVIEW in found

    def check(self) -> None:
        if not self.waits_for_a_person():
            judge.agree(self.here, self.system, self.payment_id)
            return
        keys = {row.key for row in self.here.postings(self.payment_id)}
        assert len(judge.standing(self.here, self.system, keys)) <= 1, "never twice"
        assert self.place.problem(self.payment_id), "and the person is told why"


@dataclass
class Unheard(Paid):
    """The gateway's answer that it has opened a page is lost, and the page is paid: its webhook is all we hear."""

    name: ClassVar[str] = "page opened unheard"

    def strike(self) -> None:
        form = f"unheard-{next(_numbers)}"
        self.here.fault("sandbox", "drop_after_commit", "checkout.create")
        with suppress(Unavailable):
            self.here.start_payment(self.invoices, form_key=form)
        self.payment_id = self.place.of_form(form).id
        assert self.place.payment(self.payment_id).gateway_ref is None
        (opened,) = self.here.checkouts(self.payment_id)
        self.here.press(opened["url"])


@dataclass
class Refunded(Paid):
    """Part of a payment given back: reversed upstream, and what is left recorded anew."""

    name: ClassVar[str] = "refund"
    states = (PaymentState.PARTLY_REFUNDED,)
    back: int = 100

    def prepare(self) -> None:
        super().prepare()
        self.payment_id = self.place.pay(self.invoices)
        self.here.settle(self._stands)

    def _stands(self) -> bool:
        self.reconnect()
        rows = self.place.newest(self.payment_id)
        return bool(rows) and {row.state for row in rows} == {PostingState.POSTED} and not self._locked()

    def strike(self) -> None:
        refund.ask(
            self.here.wiring,
            self.here.merchant_id,
            self.payment_id,
            amount_text=minor_to_text(self.back, "USD"),
            reason="Returned goods",
            user_id=1,
            form_key=f"refund-{next(_numbers)}",
        )

    def arrived(self) -> bool:
        if not super().arrived():
            return False
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            return not view.payments.refunds_open(self.payment_id)


@dataclass
class PutBack(Refunded):
    """A bookkeeper puts back what was refunded; the night finds it, and a person has it taken back."""

    name: ClassVar[str] = "put back by hand"
    states = (PaymentState.REFUNDED,)
    difference: int = 0

    def prepare(self) -> None:
        super().prepare()
        self.back = self.invoices[0].balance
        (posting,) = self.place.newest(self.payment_id)
        record = read_record(self.place, posting.remote_id)
        super().strike()
        self.here.settle(self.arrived)
        copied = write_by_hand(self.place, "Payment", {name: record[name] for name in _COPIED})
        drift.ask(self.here.wiring, self.here.merchant_id, self.connection)
        self.here.settle(lambda: bool(self._row(copied["Id"])))
        self.difference = self._row(copied["Id"])

    def _row(self, remote_id: str) -> int:
        """The difference about a record upstream; 0 while there is none."""
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            found = view.differences.of(self.connection, What.PAYMENT_EXTRA, remote_id)
        return 0 if found is None else found.id

    def strike(self) -> None:
        fix_difference.take_back(self.here.wiring, self.here.merchant_id, self.difference, user_id=1)

    def check(self) -> None:
        super().check()
        assert self.place.upstream(self.system, self.payment_id) == []
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            assert view.differences.get(self.difference).state == "fixed"


@dataclass
class Returned(Paid):
    """A bank debit that comes back a month after it had settled."""

    name: ClassVar[str] = "late return"
    states = (PaymentState.RETURNED,)
    button: str = "bank_returns_late"

    def prepare(self) -> None:
        super().prepare()
        self.payment_id = self.place.pay(self.invoices, self.button)
        self.here.settle(lambda: self.place.payment(self.payment_id).state is PaymentState.PROCESSING)
        self.here.advance(4 * 86_400)
        self.here.settle(self._recorded)

    def _recorded(self) -> bool:
        self.reconnect()
        rows = self.place.newest(self.payment_id)
        return bool(rows) and {row.state for row in rows} == {PostingState.POSTED} and not self._locked()

    def strike(self) -> None:
        self.here.advance(35 * 86_400)


@dataclass
class Parked(Paid):
    """The invoice is voided upstream while the customer pays: the money is booked, and a person must look."""

    name: ClassVar[str] = "voided meanwhile"

    def strike(self) -> None:
        form = f"parked-{next(_numbers)}"
        address = self.here.start_payment(self.invoices, form_key=form)
        self.place.by_hand(self.system, self.invoices[0], "void")
        self.here.press(address)
        self.payment_id = self.place.of_form(form).id

    def arrived(self) -> bool:
        self.reconnect()
        states = {row.state for row in self.place.newest(self.payment_id)}
        return states == {PostingState.NEEDS_REVIEW}

    def check(self) -> None:
        payment = self.place.payment(self.payment_id)
        assert payment.booked == payment.amount, "the money is in the ledger"
        assert not self.place.upstream(self.system, self.payment_id), "and nowhere in the books"
        assert self.place.holder(self.invoices[0]) == self.payment_id, "nobody pays it a second time"


@dataclass
class Abandoned(Paid):
    """A customer leaves the gateway's page; when the half hour is over the invoice is free again."""

    name: ClassVar[str] = "left behind"
    states = (PaymentState.CANCELLED,)

    def prepare(self) -> None:
        super().prepare()
        form = f"left-{next(_numbers)}"
        self.here.start_payment(self.invoices, form_key=form)
        self.payment_id = self.place.of_form(form).id

    def strike(self) -> None:
        """The half hour is waited for by the job engine, by the database's clock; an operator need not wait."""
        with self.here.wiring.database.unit_of_work(self.here.merchant_id) as uow:
            assert uow.work.try_now(f"release:{self.here.merchant_id}:{self.payment_id}")


@dataclass
class PartRefused(Paid):
    """Three parts, of which the system refuses the second: two stand, and it follows when a person asks again."""

    name: ClassVar[str] = "second part refused"
    parts: int = 3
    asked_again: bool = False

    def strike(self) -> None:
        self._refuse(1_000)
        super().strike()

    def _refuse(self, times: int) -> None:
        control(
            self.here.upstream_url,
            self.system,
            f"invoices/{self.invoices[1].remote_id}/refuse",
            times=times,
            message="The period of this invoice is closed.",
        )

    def arrived(self) -> bool:
        rows = self.place.newest(self.payment_id)
        states = sorted(row.state for row in rows)
        if not self.asked_again and states == sorted([PostingState.POSTED] * 2 + [PostingState.NEEDS_REVIEW]):
            (refused,) = (row for row in rows if row.state is PostingState.NEEDS_REVIEW)
            assert refused.part == self.invoices[1].remote_id and "closed" in refused.problem
            self._refuse(0)
            review.retry(self.here.wiring, self.here.merchant_id, refused.key, 1)
            self.asked_again = True
        return super().arrived()

    def check(self) -> None:
        assert self.asked_again
        super().check()


Make = Callable[[], Walk]
