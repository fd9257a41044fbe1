"""How one payment stands at both ends: our rows, and the books upstream as their own pages show them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any

import requests
import sqlalchemy as sa

from connector.db import tables as t
from connector.db.rows import InvoiceRow, PaymentRow, PostingRow
from connector.domain.money import decimal_to_minor
from connector.domain.postings import PostingState
from connector.domain.records import Kind, PaymentState
from connector.journeys import sync
from tests.walks.world import World, world

_numbers = count(1)


class NothingOpen(AssertionError):
    """All open invoices have been handed out."""


@dataclass
class Place:
    """A world with its connections (id by system); invoices are handed out once."""

    here: World
    connections: Mapping[str, int]
    _taken: set[str] = field(default_factory=set)

    def invoices(self, system: str, most: int = 1, currency: str = "USD") -> list[InvoiceRow]:
        """Invoices nobody has asked for yet, open, of one customer. Raises NothingOpen."""
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            rows = (
                row
                for invoice in self.here.books(system)["invoices"]
                if invoice["open"]
                and invoice["currency"] == currency
                and invoice["id"] not in self._taken
                and (row := view.invoices.by_remote(self.connections[system], invoice["id"], Kind.INVOICE))
                # Enough to be paid in parts, and nothing of it paid before.
                and row.balance == row.total >= 500
            )
            by_customer: dict[str, list[InvoiceRow]] = {}
            for row in rows:
                chosen = by_customer.setdefault(row.customer, [])
                chosen.append(row)
                if len(chosen) == most:
                    self._taken |= {row.remote_id for row in chosen}
                    return chosen
        raise NothingOpen(f"The books of {system} hold no {most} more open invoices of one customer in {currency}.")

    def issue_again(self, system: str, number: int = 100) -> None:
        """Let the bookkeeper issue some of those that were handed out anew, and read them."""
        known = {row["id"] for row in self.here.books(system)["invoices"]}
        taken = [row for row in self.here.books(system)["invoices"] if row["id"] in self._taken]
        for row in [row for row in taken if Decimal(row["total"]) >= 5][:number]:
            if system == "quickbooks":
                self.control(system, f"invoices/{row['id']}/copy")
            else:
                self.control(system, f"invoices/{row['id']}", action="copy")
        new = [row["id"] for row in self.here.books(system)["invoices"] if row["id"] not in known]
        sync.ask(self.here.wiring, self.here.merchant_id, self.connections[system])

        def read() -> bool:
            with self.here.wiring.database.view(self.here.merchant_id) as view:
                return all(view.invoices.by_remote(self.connections[system], one, Kind.INVOICE) for one in new)

        self.here.settle(read)

    def pay(
        self, invoices: Sequence[InvoiceRow], button: str = "approve", amounts: Mapping[int, str] | None = None
    ) -> str:
        """Start a payment and press a button of the gateway's page; the payment's id."""
        form_key = new_form()
        address = self.here.start_payment(list(invoices), amounts, form_key=form_key)
        self.here.press(address, button)
        return self.of_form(form_key).id

    def of_form(self, form_key: str) -> PaymentRow:
        """The payment a form was sent for."""
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            found = view.payments.by_form(form_key)
        assert found is not None
        return found

    def payment(self, payment_id: str) -> PaymentRow:
        """A payment as it stands here."""
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            return view.payments.get(payment_id)

    def until(self, payment_id: str, state: PaymentState, posting: PostingState | None = None) -> list[PostingRow]:
        """Work until a payment stands in a state, and its newest postings too; the postings."""
        self.here.settle(lambda: self.payment(payment_id).state is state)
        if posting is not None:
            self.here.settle(lambda: {row.state for row in self.newest(payment_id)} == {posting})
        self.here.work()
        return self.here.postings(payment_id)

    def posted(self, payment_id: str) -> list[PostingRow]:
        """Work until a payment has settled and stands in the books."""
        return self.until(payment_id, PaymentState.SETTLED, PostingState.POSTED)

    def newest(self, payment_id: str) -> list[PostingRow]:
        """The latest posting of each part."""
        return list({row.part: row for row in self.here.postings(payment_id)}.values())

    def upstream(self, system: str, payment_id: str) -> list[int]:
        """What stands in the system's books for a payment of ours, in minor units, one number a record."""
        postings = self.here.postings(payment_id)
        return sorted(
            minor
            for record in self.here.books(system)["payments"]
            if not record.get("reversed")
            for posting in postings
            if posting.key in record["note"]
            if (minor := decimal_to_minor(Decimal(record["amount"]), posting.currency))
        )

    def recorded(self, system: str, payment_id: str) -> list[str]:
        """The ids of all records made upstream for a payment of ours, reversed ones too."""
        keys = [posting.key for posting in self.here.postings(payment_id)]
        return [row["id"] for row in self.here.books(system)["payments"] if any(key in row["note"] for key in keys)]

    def due(self, system: str, invoice: InvoiceRow) -> int:
        """What the system says is due, in minor units."""
        found = next(row for row in self.here.books(system)["invoices"] if row["id"] == invoice.remote_id)
        return decimal_to_minor(Decimal(found["balance"]), invoice.currency)

    def mirrored(self, invoice: InvoiceRow) -> InvoiceRow:
        """The invoice as it stands here."""
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            return view.invoices.get(invoice.id)

    def holder(self, invoice: InvoiceRow) -> str | None:
        """Which payment keeps the invoice, if any."""
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            return view.payments.lock_holders([invoice.id]).get(invoice.id)

    def story(self, payment_id: str) -> list[str]:
        """The payment's timeline, oldest first, as 'actor: what: detail'."""
        e = t.payment_events.c
        with self.here.wiring.database.engine.connect() as connection:
            rows = connection.execute(
                sa.select(e.actor, e.what, e.detail).where(e.payment_id == payment_id).order_by(e.id)
            )
            return [f"{row.actor}: {row.what}: {row.detail}" for row in rows]

    def problem(self, payment_id: str) -> str:
        """What the merchant is told about the payment's postings."""
        p = t.postings.c
        with self.here.wiring.database.engine.connect() as connection:
            rows = connection.execute(sa.select(p.problem).where(p.payment_id == payment_id, p.problem != ""))
            return " ".join(row.problem for row in rows)

    def ledger(self, payment_id: str) -> dict[str, int]:
        """What the ledger holds for a payment, by account, in minor units."""
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            return {account: amount for account, amount in view.ledger.of_payment(payment_id).items() if amount}

    def by_hand(self, system: str, invoice: InvoiceRow, action: str, **more: Any) -> None:
        """What a bookkeeper does to an invoice: void, delete, pay (QuickBooks: memo)."""
        path = f"invoices/{invoice.remote_id}"
        if system == "quickbooks":
            self.control(system, f"{path}/{action}", **more)
        else:
            self.control(system, path, action=action, **more)

    def delete_payment_by_hand(self, system: str, invoice: InvoiceRow, payment_id: str) -> None:
        """A bookkeeper deletes the payment we recorded (the only one standing)."""
        (record,) = (
            row
            for row in self.here.books(system)["payments"]
            if row["id"] in self.recorded(system, payment_id) and not row.get("reversed")
        )
        if system == "quickbooks":
            self.control(system, f"payments/{record['id']}/delete")
        else:
            self.control(system, f"invoices/{invoice.remote_id}", action="unpay", payment=record["id"])

    def end_silence(self) -> None:
        """Rate limits and the silence an upstream asked for go by the database's clock, which tests cannot move."""
        with self.here.wiring.database.engine.begin() as connection:
            connection.execute(sa.delete(t.limits))

    def control(self, system: str, path: str, **sent: Any) -> None:
        """Do something on a simulator's control surface."""
        answer = requests.post(f"{self.here.upstream_url}/{system}/_control/{path}", json=sent, timeout=10)
        assert answer.ok, answer.text


@contextmanager
def both_connected(database_url: str, invoices: int) -> Iterator[Place]:
    """A world with QuickBooks and Xero connected and read; `database_url` has all tables."""
    with world(database_url, invoices=invoices) as here:
        connections = {system: here.connect(system) for system in ("quickbooks", "xero")}
        here.work()
        yield Place(here, connections)


def new_form() -> str:
    """A form key of its own."""
    return f"form-{next(_numbers)}-{time.monotonic_ns()}"
