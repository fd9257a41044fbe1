"""What the clock brings about: debits that settle or come back, refunds that arrive, checkouts that expire."""

from __future__ import annotations

import threading

from integrations.gateways.sandbox.simulator.book import Book, Change
from integrations.gateways.sandbox.simulator.checkouts import expire_payment
from integrations.gateways.sandbox.simulator.outbox import Outbox
from integrations.gateways.sandbox.simulator.payments import settle, take_back
from integrations.gateways.sandbox.simulator.records import NEXT_STATES, Payment, Refund, Transition
from integrations.gateways.sandbox.simulator.refunds import settle_refund


def run_due(book: Book) -> int:
    """Make every move that is due, oldest first, dated when it was due; returns how many were made."""
    made = 0
    while (due := _next_due(book)) is not None:
        with book.change(f"clock.{due.move}", at=due.due_at) as change:
            if book.find(Transition, due.id) != due:
                continue
            book.remove(due)
            _make(book, change, due)
        made += 1
    return made


def _next_due(book: Book) -> Transition | None:
    now = book.now()
    due = [transition for transition in book.all(Transition) if transition.due_at <= now]
    return min(due, key=lambda transition: transition.due_at, default=None)


def _make(book: Book, change: Change, due: Transition) -> None:
    if due.move == "refund":
        settle_refund(book, change, book.get(Refund, due.subject))
        return
    payment = book.get(Payment, due.subject)
    if due.move == "expire" and payment.payable:
        expire_payment(change, payment)
    elif due.move == "settle":
        settle(change, payment)
    elif due.move == "return" and "returned" in NEXT_STATES[payment.status]:
        take_back(book, change, payment, due.code or "R01")


class Ticker:
    """Runs what is due in the background, so that webhooks go out although nobody asks for anything."""

    def __init__(self, book: Book, outbox: Outbox, interval: float) -> None:
        self._book = book
        self._outbox = outbox
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox-ticker", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop after a last tick."""
        self._stop.set()
        self._thread.join()
        self._outbox.tidy()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            run_due(self._book)
            self._outbox.tidy()
