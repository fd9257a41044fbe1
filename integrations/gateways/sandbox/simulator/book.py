"""The sandbox gateway's memory: records in the kit's store, changed all or nothing, told to others after the commit."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from integrations.gateways.sandbox.simulator.outbox import Outbox
from integrations.gateways.sandbox.simulator.records import NEXT_STATES, Checkout, Event, Payment, Record, Transition
from integrations.simulator.clock import Clock
from integrations.simulator.journal import Journal
from integrations.simulator.store import Store

R = TypeVar("R", bound=Record)


class Change:
    """One transaction: writes records and collects what is to be told once they are committed."""

    def __init__(self, store: Store, outbox: Outbox, now: int) -> None:
        self._store = store
        self._outbox = outbox
        self.now = now
        self.saved: list[str] = []
        self.events: list[Event] = []

    def save(self, record: Record) -> None:
        """Write a record, new or changed."""
        self._store.put(record.kind, record.id, record.document())
        self.saved.append(record.id)

    def move(self, payment: Payment, status: str, **changes: object) -> Payment:
        """Save the payment in its next state; ValueError for a step its life does not allow."""
        if status not in NEXT_STATES[payment.status]:
            raise ValueError(f"a payment that is {payment.status} cannot become {status}")
        moved = replace(payment, status=status, **changes)  # type: ignore[arg-type]
        self.save(moved)
        return moved

    def schedule(self, move: str, subject: str, due_at: int, code: str | None = None) -> None:
        """Let the clock bring a move about at `due_at`; the same move of a subject is scheduled once."""
        self.save(Transition(f"{move}:{subject}", due_at, move, subject, code))

    def unschedule(self, move: str, subject: str) -> None:
        """Take a scheduled move away, if it is there."""
        self._store.delete(Transition.kind, f"{move}:{subject}")

    def announce(self, type: str, payment: Payment, refund: str | None = None) -> None:
        """Write an event, sent to the merchant after the commit."""
        data = {"checkout": payment.checkout, "payment": payment.id, "reference": payment.reference}
        if refund is not None:
            data["refund"] = refund
        event = Event(f"evt_{secrets.token_hex(12)}", type, iso(self.now), data)
        self.save(event)
        self._outbox.record(event)
        self.events.append(event)


class Book:
    """Reads records at any time and changes them in transactions, one at a time."""

    def __init__(self, store: Store, clock: Clock, journal: Journal, outbox: Outbox) -> None:
        self._store = store
        self._clock = clock
        self._journal = journal
        self._outbox = outbox

    def now(self) -> int:
        """Whole seconds since the epoch on the virtual clock."""
        return int(self._clock.time())

    @contextmanager
    def change(self, operation: str, *, key: str = "", at: int | None = None) -> Iterator[Change]:
        """A transaction in the name of an operation; `at` dates it for moves the clock should have made earlier."""
        with self._store.transaction():
            change = Change(self._store, self._outbox, self.now() if at is None else at)
            yield change
        for id in change.saved:
            self._journal.commit(time=iso(change.now), operation=operation, id=id, key=key)
        for event in change.events:
            self._outbox.send(event)

    def find(self, record: type[R], id: str) -> R | None:
        """One record, or None."""
        document = self._store.get(record.kind, id)
        return None if document is None else record.of(document)

    def get(self, record: type[R], id: str) -> R:
        """One record that must be there; KeyError else."""
        found = self.find(record, id)
        if found is None:
            raise KeyError(id)
        return found

    def all(self, record: type[R]) -> list[R]:
        """Every record of a kind, oldest first."""
        return [record.of(document) for document in self._store.all(record.kind)]

    def remove(self, record: Record) -> None:
        """Forget a record."""
        self._store.delete(record.kind, record.id)

    def checkout_and_payment(self, checkout_id: str) -> tuple[Checkout, Payment] | None:
        """A checkout with its payment, or None."""
        checkout = self.find(Checkout, checkout_id)
        return None if checkout is None else (checkout, self.get(Payment, checkout.payment))


def iso(seconds: int) -> str:
    """ISO 8601 in UTC: '2026-01-31T10:00:00Z'."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
