"""A merchant whose invoices stand in small billing systems of every weakness; money arrives when a test says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from connector.app import HANDLERS
from connector.db import tables as t
from connector.db.rows import InvoiceRow, PostingRow
from connector.db.unit_of_work import Database
from connector.domain.money import minor_to_text
from connector.domain.payments import Choice, PortalScope
from connector.domain.postings import PostingState
from connector.domain.records import GatewayPayment, Kind, PaymentState
from connector.jobs.runner import run_due
from connector.journeys import pay, reconcile
from connector.wiring import Wiring
from integrations.simulator.server import serve
from tests.portal.shop import NOW, Shop, open_shop
from tests.weakbooks.books import Books, Row
from tests.weakbooks.simulator import WeakUpstreams
from tests.weakbooks.weaknesses import ALL, Weakness
from tests.weakbooks.wiring import connect_weak, control, with_weak

# Longer than any call may take: only then is looked up what became of a lost one.
AFTER_A_LOST_CALL = 36.0
_SETTLED = {PostingState.POSTED, PostingState.NEEDS_REVIEW, PostingState.REVERSED, PostingState.SUPERSEDED}
_forms = count(1)


@dataclass
class WeakPlace:
    """The merchant, the small systems' address, and a clock that tests move."""

    shop: Shop
    wiring: Wiring
    upstreams: WeakUpstreams
    url: str
    connections: dict[str, int] = field(default_factory=dict)
    ahead: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return NOW + self.ahead

    def advance(self, seconds: float) -> None:
        """Let time pass, here and upstream."""
        self.ahead += timedelta(seconds=seconds)
        self.upstreams.clock.advance(seconds)

    def work(self) -> int:
        """Do everything that is due."""
        return run_due(self.wiring, HANDLERS)

    def books(self, weakness: Weakness) -> Books:
        return self.upstreams.of(weakness)

    def fault(self, weakness: Weakness, kind: str, operation: str, times: int = 1, **options: Any) -> None:
        """Let something go wrong upstream."""
        control(self.url, weakness, "faults", kind=kind, operation=operation, times=times, **options)

    def invoices(self, weakness: Weakness, number: int = 1, total: int = 1000) -> list[InvoiceRow]:
        """New invoices of one customer, as the sync has read them."""
        connection_id = self.connections[weakness.name]
        made = control(self.url, weakness, "invoices", count=number, total=total)
        system = self.wiring.system(weakness.name)
        with self.wiring.database.view(self.shop.merchant_id) as view:
            access = self.wiring.access(view.connections.get(connection_id))
        read = [system.invoice(access, row["id"]) for row in made]
        with self.wiring.database.unit_of_work(self.shop.merchant_id) as uow:
            uow.mirror.put_invoices(connection_id, read)
        with self.wiring.database.view(self.shop.merchant_id) as view:
            rows = [view.invoices.by_remote(connection_id, row["id"], Kind.INVOICE) for row in made]
        return [row for row in rows if row is not None]

    def settle(self, invoices: Sequence[InvoiceRow]) -> str:
        """The customer pays these and the money arrives; nothing is written back yet. The payment's id."""
        form_key = f"form-{next(_forms)}"
        scope = PortalScope(self.shop.merchant_id, invoices[0].connection_id, invoices[0].customer)
        choices = [Choice(row.id, minor_to_text(row.balance, row.currency)) for row in invoices]
        pay.start(self.wiring, scope, choices, form_key)
        with self.wiring.database.view(self.shop.merchant_id) as view:
            payment = view.payments.by_form(form_key)
        assert payment is not None
        self.word(payment.id, PaymentState.SETTLED)
        return payment.id

    def word(self, payment_id: str, state: PaymentState) -> None:
        """What the gateway says of a payment from now on."""
        with self.wiring.database.view(self.shop.merchant_id) as view:
            payment = view.payments.get(payment_id)
        said = GatewayPayment(
            str(payment.gateway_ref), "pay_1", payment.id, state, payment.amount, payment.currency, 0, False, "Card",
            "", self.now(),
        )  # fmt: skip
        reconcile.book(self.wiring, self.shop.merchant_id, payment_id, said)

    def finish(self, payment_id: str, rounds: int = 12) -> list[PostingRow]:
        """Work and let time pass until nothing is left that goes on by itself; the newest posting of each part."""
        for _ in range(rounds):
            self.work()
            if {row.state for row in self.newest(payment_id)} <= _SETTLED:
                self.work()
                return self.newest(payment_id)
            self.advance(AFTER_A_LOST_CALL)
        raise AssertionError(f"It never came to an end: {self.postings(payment_id)}")

    def postings(self, payment_id: str) -> list[PostingRow]:
        with self.wiring.database.view(self.shop.merchant_id) as view:
            return view.postings.of_payment(payment_id)

    def newest(self, payment_id: str) -> list[PostingRow]:
        """The latest posting of each part."""
        return list({row.part: row for row in self.postings(payment_id)}.values())

    def standing(self, payment_id: str) -> list[Row]:
        """By the upstream's own log: what was recorded for a payment and not voided since."""
        lines = [line for line in self.upstreams.log.lines() if payment_id in line["note"]]
        voided = {line["id"] for line in lines if line["what"] == "voided"}
        return [line for line in lines if line["what"] == "recorded" and line["id"] not in voided]

    def holder(self, invoice: InvoiceRow) -> str | None:
        """Which payment keeps the invoice, if any."""
        with self.wiring.database.view(self.shop.merchant_id) as view:
            return view.payments.lock_holders([invoice.id]).get(invoice.id)

    def story(self, payment_id: str) -> list[str]:
        """The payment's timeline, as 'actor: what: detail'."""
        rows = [row for row in self.shop.rows(t.payment_events) if row.payment_id == payment_id]
        return [f"{row.actor}: {row.what}: {row.detail}" for row in rows]

    def ledger_is_zero(self) -> bool:
        with self.wiring.database.view(self.shop.merchant_id) as view:
            sums = view.ledger.sums()
        return bool(sums) and not any(sums.values())


@contextmanager
def weak_place(database_url: str) -> Iterator[WeakPlace]:
    """A place on one database, connected to a system of every weakness."""
    upstreams = WeakUpstreams()
    with serve(upstreams) as server:
        shop = open_shop(database_url)
        made: list[WeakPlace] = []
        clock = lambda: made[0].now() if made else NOW  # noqa: E731
        database = Database(shop.wiring.database.engine, shop.wiring.database.vault, clock, lambda *_: None)
        wiring = replace(shop.wiring, database=database, clock=clock)
        wiring = with_weak(wiring, ALL, server.url)
        made.append(WeakPlace(shop, wiring, upstreams, server.url))
        here = made[0]
        for weakness in ALL:
            here.connections[weakness.name] = connect_weak(wiring, shop.merchant_id, weakness)
        here.work()
        yield here
        wiring.database.engine.dispose()
