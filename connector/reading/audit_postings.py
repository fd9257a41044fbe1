"""Audit of the postings: money held stands in each system's books once, or work is under way to make it so."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.reader import Reader
from connector.db.work import work_id
from connector.domain.findings import START_A_WORKER, UNATTENDED_SECONDS, Finding
from connector.domain.ledger import receivable
from connector.domain.money import minor_to_text
from connector.domain.postings import PostingState
from connector.domain.work import Work

_e, _l, _p, _a, _i, _o, _w, _r, _c = (
    table.c
    for table in (
        t.ledger_entries,
        t.ledger_lines,
        t.payments,
        t.allocations,
        t.invoices,
        t.postings,
        t.work,
        t.refunds,
        t.connections,
    )
)
_MERCHANT: sa.BindParameter[int] = sa.bindparam("merchant")
_CLAIMS = (PostingState.QUEUED, PostingState.SENDING, PostingState.POSTED)
_WAITING = (PostingState.QUEUED, PostingState.SENDING, PostingState.REVERSING)

_RECEIVED = (
    sa.select(_e.payment_id, _l.account, sa.cast(-sa.func.sum(_l.amount), sa.BigInteger).label("held"))
    .join(t.ledger_entries, _e.id == _l.entry_id)
    .where(_l.merchant_id == _MERCHANT, _l.account.like("receivable:%"))
    .group_by(_e.payment_id, _l.account)
)
_SHARES = (
    sa.select(_a.payment_id, _a.invoice_id, _i.remote_id, _p.connection_id, _p.currency)
    .join(t.payments, _p.id == _a.payment_id)
    .join(t.invoices, _i.id == _a.invoice_id)
    .where(_a.merchant_id == _MERCHANT)
)
_POSTINGS = sa.select(
    _o.key, _o.payment_id, _o.connection_id, _o.part, _o.generation, _o.state, _o.allocations, _o.sent_at, _o.currency
).where(_o.merchant_id == _MERCHANT)
_REVIEWS = (
    sa.select(_o.key, _o.payment_id, _o.connection_id, _c.system, _o.problem)
    .join(t.connections, _c.id == _o.connection_id)
    .where(_o.merchant_id == _MERCHANT, _o.state == PostingState.NEEDS_REVIEW.value)
    .order_by(_o.key)
)
_PENDING = sa.select(_w.id, _w.next_at).where(
    _w.merchant_id == _MERCHANT, _w.state == "pending", _w.kind.in_((Work.WRITE_BACK.value, Work.REFUND.value))
)
_REFUNDS = sa.select(_r.id, _r.payment_id, _r.state).where(
    _r.merchant_id == _MERCHANT, _r.state.in_(("asked", "sending"))
)


class Review(NamedTuple):
    """A payment's part a person has to look at, with the system's own words."""

    key: str
    payment: str
    connection: int
    system: str
    problem: str


def reviews(reader: Reader) -> list[Review]:
    """Parts that wait for a person."""
    return [Review(*row) for row in reader.rows(_REVIEWS)]


def held_money_stands_once(reader: Reader, now: datetime, counted: Counter[str]) -> Iterator[Finding]:
    """Each invoice's share of a payment has exactly one posting that stands or is on its way, for that amount.

    A part a person looks at counts when it says what is held; one whose reversal was refused does not.
    """
    received = {(row.payment_id, row.account): int(row.held) for row in reader.rows(_RECEIVED)}
    claims: dict[tuple[str, int, str], list[tuple[str, int, bool]]] = defaultdict(list)
    postings = reader.rows(_POSTINGS)
    latest = _latest(postings)
    for posting in postings:
        counted["postings"] += 1
        reviewed = posting.state == PostingState.NEEDS_REVIEW
        # What waits to be taken back has another in its place.
        replaced = reviewed and posting.generation < latest[_part(posting)]
        if posting.state in _CLAIMS or (reviewed and not replaced):
            for invoice, share in json.loads(posting.allocations):
                claim = (posting.key, int(share), reviewed)
                claims[posting.payment_id, posting.connection_id, invoice].append(claim)
    for row in reader.rows(_SHARES):
        counted["allocations"] += 1
        held = received.get((row.payment_id, receivable(row.connection_id, row.invoice_id)), 0)
        found = claims.pop((row.payment_id, row.connection_id, row.remote_id), [])
        standing = [claim for claim in found if not claim[2] or claim[1] == held]
        yield from _compare(reader.merchant_id, row, held, standing)
    for (payment, connection, invoice), found in claims.items():
        keys = ", ".join(key for key, _, reviewed in found if not reviewed)
        if keys:
            what = f"Posting {keys} pays invoice {invoice}, which payment {payment} has no allocation for."
            ids: dict[str, str | int] = {"payment": payment, "connection": connection, "posting": keys}
            yield Finding("posting_without_allocation", reader.merchant_id, what, _LOOK, ids)


def _part(posting: Any) -> tuple[str, int, str]:
    return posting.payment_id, posting.connection_id, posting.part


def _latest(postings: Sequence[Any]) -> dict[tuple[str, int, str], int]:
    """The newest generation of each part."""
    found: dict[tuple[str, int, str], int] = {}
    for posting in postings:
        found[_part(posting)] = max(posting.generation, found.get(_part(posting), 0))
    return found


_LOOK = "Compare the payment's page with the accounting system before anything is retried, and report this."


def _compare(merchant_id: int, row: Any, held: int, standing: list[tuple[str, int, bool]]) -> Iterator[Finding]:
    ids: dict[str, str | int] = {"payment": row.payment_id, "connection": row.connection_id, "invoice": row.remote_id}
    amount = f"{minor_to_text(held, row.currency)} {row.currency}"
    about = f"payment {row.payment_id} for invoice {row.remote_id} of connection {row.connection_id}"
    if held and not standing:
        what = f"{amount} of {about} is in the ledger, and no posting says so to the accounting system."
        yield Finding("posting_missing", merchant_id, what, _LOOK, ids)
    elif not held and standing:
        what = f"Nothing is held of {about}, and posting {standing[0][0]} still stands."
        yield Finding("posting_too_many", merchant_id, what, _LOOK, ids | {"posting": standing[0][0]})
    elif len(standing) > 1:
        keys = ", ".join(key for key, _, _ in standing)
        what = f"{len(standing)} postings stand for {about}: {keys}."
        yield Finding("posting_doubled", merchant_id, what, _LOOK, ids | {"posting": keys})
    elif standing and standing[0][1] != held:
        said = minor_to_text(standing[0][1], row.currency)
        what = f"The ledger holds {amount} of {about}, posting {standing[0][0]} says {said}."
        yield Finding("posting_amount", merchant_id, what, _LOOK, ids | {"posting": standing[0][0]})


def waiting_postings_are_worked_on(reader: Reader, now: datetime, counted: Counter[str]) -> Iterator[Finding]:
    """What is not yet as it shall be has work that is not left lying; `sending` above all.

    What waits behind a part a person has to look at first is looked after by that person.
    """
    pending = {row.id: row.next_at for row in reader.rows(_PENDING)}
    held_back = {_part(row) for row in reader.rows(_POSTINGS.where(_o.state == PostingState.NEEDS_REVIEW.value))}
    for row in reader.rows(_POSTINGS.where(_o.state.in_([state.value for state in _WAITING]))):
        if row.state == PostingState.QUEUED and _part(row) in held_back:
            continue
        identity = work_id(Work.WRITE_BACK, reader.merchant_id, f"{row.payment_id}:{row.connection_id}")
        ids = {"payment": row.payment_id, "posting": row.key, "work": identity}
        since = f" since {row.sent_at:%Y-%m-%d %H:%M:%S} UTC" if row.sent_at and row.state == "sending" else ""
        about = f"Posting {row.key} of payment {row.payment_id} is {row.state}{since}"
        if identity not in pending:
            do = f"Begin its work again: duebridge work retry {identity}. It looks the payment up before it sends."
            yield Finding("posting_unattended", reader.merchant_id, f"{about}, and no work looks at it.", do, ids)
        elif pending[identity] < now - timedelta(seconds=UNATTENDED_SECONDS):
            what = f"{about}; its work has been due since {pending[identity]:%Y-%m-%d %H:%M:%S} UTC and nobody does it."
            yield Finding("posting_overdue", reader.merchant_id, what, START_A_WORKER, ids)


def refunds_are_worked_on(reader: Reader, now: datetime, counted: Counter[str]) -> Iterator[Finding]:
    """A refund asked for has work that sends it."""
    pending = {row.id for row in reader.rows(_PENDING)}
    for row in reader.rows(_REFUNDS):
        identity = work_id(Work.REFUND, reader.merchant_id, row.id)
        if identity not in pending:
            what = f"Refund {row.id} of payment {row.payment_id} is {row.state}, and no work looks at it."
            do = (
                f"Begin its work again: duebridge work retry {identity}. The gateway knows its key and gives back once."
            )
            ids = {"payment": row.payment_id, "refund": row.id, "work": identity}
            yield Finding("refund_unattended", reader.merchant_id, what, do, ids)
