"""Whether the books agree: what the gateway took, what stands upstream by the simulators' own books, and our ledger."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from connector.db import tables as t
from connector.domain.money import decimal_to_minor
from connector.domain.postings import PostingState
from connector.domain.records import PaymentState
from tests.faults.stage import Stage

_MONEY_THERE = (PaymentState.SETTLED, PaymentState.PARTLY_REFUNDED, PaymentState.REFUNDED)
_ENDED = (PostingState.POSTED, PostingState.REVERSED, PostingState.SUPERSEDED)


def minor(system: str, amount: Any, currency: str = "USD") -> int:
    """An amount of a simulator's books in minor units; the small systems speak of those themselves."""
    return int(amount) if system.startswith("weak_") else decimal_to_minor(Decimal(amount), currency)


def _counting(system: str, row: dict[str, Any]) -> int:
    """What a record upstream counts: nothing once it was taken back, whether it is marked so or has become zero."""
    return 0 if row.get("reversed") else minor(system, row["amount"])


def standing(here: Stage, system: str, keys: set[str]) -> list[int]:
    """What counts upstream of the payments that carry one of these keys, a number for each record."""
    return [
        amount
        for row in here.books(system)["payments"]
        if any(key in row["note"] for key in keys) and (amount := _counting(system, row))
    ]


def agree(here: Stage, system: str, payment_id: str, *, one_record_each: bool = True) -> None:
    """Everything there is to say about one payment at rest. AssertionError says what does not agree."""
    with here.wiring.database.view(here.merchant_id) as view:
        payment = view.payments.get(payment_id)
        postings = view.postings.of_payment(payment_id)
        moved = {account: amount for account, amount in view.ledger.of_payment(payment_id).items() if amount}
        shares = view.payments.shares(payment_id)
        invoices = {invoice.id: invoice for invoice in view.invoices.several(list(shares))}
        locked = view.payments.lock_holders(list(shares))
    word = here.wiring.gateway(payment.gateway).fetch(str(payment.gateway_ref))
    assert word.reference == payment_id, "the gateway speaks of this payment"
    held = moved.get(f"clearing:{payment.gateway}", 0)
    assert held == payment.booked, "the ledger holds what the payment's row says"
    kept = word.amount - word.refunded if word.state in _MONEY_THERE else 0
    assert held == kept, "and what the gateway's own books say"
    assert not sum(moved.values()), "each entry has two sides"
    there = standing(here, system, {posting.key for posting in postings})
    parts = [posting for posting in postings if posting.state is PostingState.POSTED]
    assert sum(there) == held == sum(posting.amount for posting in parts), f"upstream: {there}, held: {held}"
    if one_record_each:
        assert sorted(there) == sorted(posting.amount for posting in parts), "each part stands once"
    assert all(posting.state in _ENDED for posting in postings), "nothing is under way, nothing waits for a person"
    assert not locked, "the invoices may be paid again"
    due = {row["id"]: minor(system, row["balance"]) for row in here.books(system)["invoices"]}
    assert all(due[invoice.remote_id] == invoice.balance for invoice in invoices.values()), "our view is theirs"
    assert sum(invoice.total - due[invoice.remote_id] for invoice in invoices.values()) == held


def nothing_else_stands(here: Stage, system: str) -> None:
    """Every payment of ours upstream is one we know, and no key stands twice."""
    p = t.postings.c
    with here.wiring.database.engine.connect() as connection:
        known = set(connection.execute(sa.select(p.key)).scalars())
    ours: Counter[str] = Counter()
    for row in here.books(system)["payments"]:
        if _counting(system, row) and "Paid online, payment" in row["note"]:
            keys = [key for key in known if key in row["note"]]
            assert keys, f"{system} has a payment nobody knows: {row}"
            ours.update(keys)
    assert not [key for key, number in ours.items() if number > 1], "a payment was doubled"


def ledger_sums_to_zero(here: Stage) -> None:
    """In every currency, and there is something in it."""
    assert here.ledger_is_zero()
