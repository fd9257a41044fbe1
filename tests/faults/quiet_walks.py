"""Walks on which no money moves: readings, links, mails, and what is done by the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.rows import InvoiceRow
from connector.domain.links import Scope
from connector.domain.tasks import Task
from connector.journeys import inject, proof, sync
from tests.faults.upstreams import SECOND_COMPANY
from tests.faults.walks import NIGHTLY, RENEWAL, Walk


@dataclass
class Synced(Walk):
    """Something changes upstream, and a reading is asked for."""

    name: ClassVar[str] = "reading"
    invoice: InvoiceRow | None = None

    def prepare(self) -> None:
        (self.invoice,) = invoices = self.open_invoices()
        self.here.settle(lambda: self.usable(invoices[0]))

    def strike(self) -> None:
        assert self.invoice is not None
        self.place.by_hand(self.system, self.invoice, "void")
        sync.ask(self.here.wiring, self.here.merchant_id, self.connection)

    def arrived(self) -> bool:
        self.reconnect()
        assert self.invoice is not None
        return self.place.mirrored(self.invoice).state == "void"


@dataclass
class Regenerated(Walk):
    """A link is made anew: the old one ends, and the line upstream is replaced, once."""

    name: ClassVar[str] = "link made anew"
    target: str = ""

    def prepare(self) -> None:
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            self.target = view.links.placements(self.connection, ("placed", "planned", "placing"), 1)[0].target
        self.here.settle(self.arrived)

    def strike(self) -> None:
        inject.regenerate(self.here.wiring, self.here.merchant_id, self.connection, Scope.INVOICE, self.target, 1)

    def arrived(self) -> bool:
        self.reconnect()
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            placement = view.links.placement(self.connection, self.target)
        return placement is not None and placement.state == "placed"

    def check(self) -> None:
        books = self.here.books(self.system, realm=SECOND_COMPANY)["invoices"]
        memo = self.here.memo(next(row["sent"] for row in books if row["id"] == self.target))
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            live = view.links.live(self.connection, Scope.INVOICE, self.target)
        assert live is not None
        assert memo.count("Pay online: ") == 1 and live[1] in memo, "the live link stands there, and it alone"


@dataclass
class Expired(Synced):
    """The access token runs out: it is renewed in the middle of a reading."""

    name: ClassVar[str] = "token renewed"
    foreign = NIGHTLY

    def strike(self) -> None:
        self.here.fault(self.system, "expire_tokens", "*")
        super().strike()


@dataclass
class Mailed(Walk):
    """A customer asks for a sign-in code."""

    name: ClassVar[str] = "mail"
    address: str = ""
    before: int = 0

    def prepare(self) -> None:
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            rows = (
                view.invoices.by_remote(self.connection, row["id"]) for row in self.here.books(self.system)["invoices"]
            )
            customers = (row.customer for row in rows if row is not None)
            found = (view.invoices.customer_addresses(self.connection, customer) for customer in customers)
            self.address = next(addresses[0] for addresses in found if addresses)
        self.before = len(self._mails())

    def strike(self) -> None:
        proof.ask_sign_in(self.here.wiring, self.here.merchant_id, self.address)

    def arrived(self) -> bool:
        return not any("mail:" in line for line in self.here.unfinished())

    def check(self) -> None:
        """A mail whose server's answer was lost comes a second time; none is dropped."""
        assert len(self._mails()) > self.before

    def _mails(self) -> list[dict[str, Any]]:
        return [mail for mail in self.here.mails() if self.address in mail["to"]]


@dataclass
class Scheduled(Walk):
    """The nightly tasks of one connection: a full reading, the comparison of both sides, access renewed ahead."""

    name: ClassVar[str] = "night"
    foreign = RENEWAL

    def strike(self) -> None:
        """The next night: what is nightly is done once for a day."""
        self.here.advance(86_400)
        self.here.make_everything_due(self.connection)

    def arrived(self) -> bool:
        self.reconnect()
        s = t.schedules.c
        due = sa.select(sa.func.count()).where(
            s.connection_id == self.connection,
            s.state == "on",
            s.task != Task.TOKEN,
            s.next_at <= self.here.now(),
        )
        with self.here.wiring.database.engine.connect() as connection:
            left = connection.execute(due).scalar_one()
        return not left and not self.here.unfinished(nightly=True)
