"""Counts what was promised: asked of the gateway's and the accounting systems' own books, then of our ledger.

The gateway's documents say how much of each payment it holds; the systems' books say what stands there and whose key
it carries. Only which key belongs to which payment is read from our tables.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

from connector.db import tables as t
from connector.db.engine import bind_to_merchant
from connector.domain.money import parse
from connector.domain.postings import PostingState, posting_key
from integrations.gateways.sandbox.simulator.records import Payment, Refund
from integrations.simulator.store import Store

_KEY = re.compile(r"\b(?:Duebridge |DB-)([0-9a-f]{32})\b")
_HOLDING = ("settled", "partly_refunded", "refunded")


@dataclass
class Verdict:
    """What was found. `told` are lines for a person, each with ids; `lost` and `doubled` are payments."""

    payments: int = 0
    unpaid: int = 0
    needs_review: int = 0
    lost: set[str] = field(default_factory=set)
    doubled: set[str] = field(default_factory=set)
    ledger_sum: int = 0
    broken: list[str] = field(default_factory=list)
    reviews: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Ours:
    """Our tables, as far as a judge may believe them: who is who, the ledger, and what waits for a person."""

    payments: dict[str, Any]
    allocations: dict[str, list[Any]]
    postings: list[Any]
    connections: dict[int, str]
    locks: list[Any]
    ledger: dict[str, int]
    sums: dict[str, int]


@dataclass(frozen=True, slots=True)
class Theirs:
    """The gateway's payments and refunds, and each system's invoices and payments."""

    payments: list[Payment]
    refunds: list[Refund]
    books: dict[str, dict[str, list[dict[str, Any]]]]


def read_ours(engine: sa.Engine) -> Ours:
    """Read what is needed in one transaction."""
    p, a, k = t.payments, t.allocations, t.postings
    line, entry = t.ledger_lines.c, t.ledger_entries.c
    with engine.connect() as reading, reading.begin():
        bind_to_merchant(reading, None)
        allocations = defaultdict(list)
        rows = sa.select(a.c.payment_id, a.c.amount, t.invoices.c.remote_id, t.invoices.c.number).join(
            t.invoices, t.invoices.c.id == a.c.invoice_id
        )
        for row in reading.execute(rows):
            allocations[row.payment_id].append(row)
        held = (
            sa.select(entry.payment_id, sa.func.sum(line.amount))
            .join(t.ledger_entries, entry.id == line.entry_id)
            .where(line.account.like("receivable:%"))
            .group_by(entry.payment_id)
        )
        return Ours(
            payments={row.id: row for row in reading.execute(sa.select(p))},
            allocations=dict(allocations),
            postings=list(reading.execute(sa.select(k))),
            connections={
                row.id: row.system for row in reading.execute(sa.select(t.connections.c.id, t.connections.c.system))
            },
            locks=list(reading.execute(sa.select(t.invoice_locks))),
            ledger={payment: -int(total) for payment, total in reading.execute(held).all()},
            sums={
                currency: int(total)
                for currency, total in reading.execute(
                    sa.select(line.currency, sa.func.sum(line.amount)).group_by(line.currency)
                ).all()
            },
        )


def read_theirs(upstream: str, folder: Path, systems: Iterable[str]) -> Theirs:
    """The gateway's documents as it keeps them, and the systems' books as they show them."""
    store = Store(folder / "sandbox.sqlite")
    try:
        return Theirs(
            [Payment.of(document) for document in store.all(Payment.kind)],
            [Refund.of(document) for document in store.all(Refund.kind)],
            {
                system: requests.get(f"{upstream}/{system}/_control/books.json", timeout=60).json()
                for system in sorted(set(systems))
            },
        )
    finally:
        store.close()


def judge(ours: Ours, theirs: Theirs, same_forms: Iterable[set[str]]) -> Verdict:
    """Compare all four books. Everything that is not as promised is told with its ids."""
    found = Verdict()
    given_back: Counter[str] = Counter()
    for refund in theirs.refunds:
        if refund.status == "succeeded":
            given_back[refund.payment] += refund.amount_minor
    standing = _standing(ours, theirs, found)
    by_reference: dict[str, list[Payment]] = defaultdict(list)
    for payment in theirs.payments:
        found.counts[f"gateway {payment.status}"] += 1
        if payment.settled_at is None and payment.status not in ("processing", "returned"):
            found.unpaid += 1
            continue
        found.payments += 1
        by_reference[payment.reference].append(payment)
    for reference, several in by_reference.items():
        _one_payment(reference, several, given_back, ours, standing, found)
    for reference in standing.keys() - by_reference.keys():
        if any(amount for _, amount in standing[reference]):
            found.doubled.add(reference)
            found.broken.append(f"{reference}: stands upstream as {standing[reference]}, and the gateway took nothing")
    _forms(same_forms, theirs.payments, found)
    _reviews(ours, found)
    _locks(ours, found)
    found.ledger_sum = sum(abs(total) for total in ours.sums.values())
    return found


def _one_payment(
    reference: str,
    several: list[Payment],
    given_back: Counter[str],
    ours: Ours,
    standing: dict[str, list[tuple[str, int]]],
    found: Verdict,
) -> None:
    if len(several) > 1:
        found.doubled.add(reference)
        found.broken.append(
            f"{reference}: the gateway took money {len(several)} times: {[each.id for each in several]}"
        )
    held = sum(
        payment.amount_minor - given_back[payment.id] if payment.status in _HOLDING else 0 for payment in several
    )
    row = ours.payments.get(reference)
    if row is None:
        found.lost.add(reference)
        found.broken.append(f"{reference}: the gateway holds {held} for a payment we do not know")
        return
    story = f"{reference} ({row.state}, {several[0].status}, gateway {several[0].id})"
    booked = ours.ledger.get(reference, 0)
    if booked != held:
        (found.lost if booked < held else found.doubled).add(reference)
        found.broken.append(f"{story}: the gateway holds {held}, our ledger {booked}")
    upstream = sum(amount for _, amount in standing.get(reference, []))
    if upstream == held:
        return
    waiting = [row for row in ours.postings if row.payment_id == reference and row.state == PostingState.NEEDS_REVIEW]
    if waiting and upstream < held:
        found.counts["waits for a person"] += 1
        return
    (found.lost if upstream < held else found.doubled).add(reference)
    states = [(row.key, row.state, row.generation) for row in ours.postings if row.payment_id == reference]
    found.broken.append(f"{story}: the gateway holds {held}, upstream stand {standing.get(reference)}; ours: {states}")


def _standing(ours: Ours, theirs: Theirs, found: Verdict) -> dict[str, list[tuple[str, int]]]:
    """(record id, minor units) of what stands in the systems' books, by our payment; voided ones stand with nothing."""
    owners = {row.key: row for row in ours.postings}
    standing: dict[str, list[tuple[str, int]]] = defaultdict(list)
    seen: dict[str, str] = {}
    for connection, system in ours.connections.items():
        books = theirs.books[system]
        currency = {row["id"]: row["currency"] for row in books["invoices"]}
        for record in books["payments"]:
            key = _KEY.search(record["note"])
            if key is None:
                continue
            found.counts[f"{system} records of ours"] += 1
            owner = owners.get(key[1])
            if owner is None or owner.connection_id != connection or not _is_its_key(owner):
                found.broken.append(f"{system} record {record['id']}: its key {key[1]} is none of ours")
                found.doubled.add(key[1])
                continue
            amount = 0 if record.get("reversed") else parse(record["amount"], owner.currency).minor
            if not amount:
                continue
            if key[1] in seen:
                found.doubled.add(owner.payment_id)
                found.broken.append(f"{owner.payment_id}: {system} {record['id']} and {seen[key[1]]} carry one key")
            seen[key[1]] = record["id"]
            wrong = {currency.get(invoice) for invoice in record["invoices"]} - {owner.currency}
            if wrong:
                found.broken.append(f"{owner.payment_id}: {system} {record['id']} stands on invoices in {wrong}")
            standing[owner.payment_id].append((record["id"], amount))
        negative = [row["number"] for row in books["invoices"] if row["balance"].startswith("-")]
        if negative:
            found.broken.append(f"{system}: invoices below zero: {negative}")
    return dict(standing)


def _is_its_key(row: Any) -> bool:
    return str(row.key) == posting_key(row.connection_id, row.payment_id, row.part, row.generation)


def _forms(same_forms: Iterable[set[str]], taken: list[Payment], found: Verdict) -> None:
    """One form sent twice may lead to several checkouts only if all but one came to nothing."""
    by_checkout = {payment.checkout: payment for payment in taken}
    for checkouts in same_forms:
        paid = [
            payment
            for address in checkouts
            if (payment := by_checkout.get(address.rsplit("/", 1)[-1])) and payment.settled_at is not None
        ]
        if len(paid) > 1:
            found.doubled |= {payment.reference for payment in paid}
            found.broken.append(f"one form took money {len(paid)} times: {[payment.id for payment in paid]}")


def _reviews(ours: Ours, found: Verdict) -> None:
    for row in ours.postings:
        if row.state == PostingState.NEEDS_REVIEW:
            found.needs_review += 1
            system = ours.connections[row.connection_id]
            found.reviews.append(f"{row.payment_id} in {system}, posting {row.key}: {row.problem}")


def _locks(ours: Ours, found: Verdict) -> None:
    for row in ours.locks:
        payment = ours.payments[row.payment_id]
        found.broken.append(f"invoice {row.invoice_id} is still locked by {payment.id} ({payment.state})")


def unfinished(engine: sa.Engine, upstream: str) -> list[str]:
    """What is still under way, in words with ids: work that is due or comes again by itself, and what it is for."""
    w, p, k, r, d = t.work.c, t.payments.c, t.postings.c, t.refunds.c, t.deliveries.c
    # A reading that begins later and the end of a checkout that is over already keep nobody waiting.
    later = sa.and_(w.kind.in_(("sync", "release")), w.next_at > datetime.now(UTC))
    left: list[str] = []
    with engine.connect() as reading, reading.begin():
        bind_to_merchant(reading, None)
        under_way = ("intended", "checkout", "requires_action", "processing", "unknown")
        payments = {
            row.id: row.state for row in reading.execute(sa.select(p.id, p.state).where(p.state.in_(under_way)))
        }
        left += [f"payment {number} is {state}" for number, state in payments.items()]
        for row in reading.execute(sa.select(t.work).where(w.state != "done", sa.not_(later))):
            left.append(f"work {row.id} is {row.state}, attempt {row.attempt}, next {row.next_at}: {row.error}")
        for row in reading.execute(sa.select(t.postings).where(k.state.in_(("queued", "sending", "reversing")))):
            left.append(f"posting {row.key} of {row.payment_id} is {row.state}")
        for row in reading.execute(sa.select(t.refunds).where(r.state.in_(("asked", "sending", "sent")))):
            left.append(f"refund {row.id} of {row.payment_id} is {row.state}")
        for row in reading.execute(sa.select(d.id, d.state, d.sender).where(d.state == "received")):
            left.append(f"delivery {row.id} of {row.sender} is {row.state}")
    gateway = requests.get(f"{upstream}/sandbox/_control/state", timeout=60).json()
    if gateway["webhooks"]["waiting"]:
        left.append(f"the gateway has {gateway['webhooks']['waiting']} webhooks to send")
    if gateway["payments"].get("processing"):
        left.append(f"{gateway['payments']['processing']} bank debits are on their way")
    return left
