"""The differences a merchant has to decide about, each with its cause in words and the fixes that are legal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.reader import Reader
from connector.domain.money import minor_to_text
from connector.domain.postings import PostingState
from connector.domain.records import InvoiceState, Kind
from connector.domain.tasks import KEPT_ELSEWHERE, What
from connector.reading import failed_records
from connector.reading.difference_fixes import Difference, Facts, Lost, fixes_of_posting, fixes_of_row
from connector.wiring import Wiring

SHOWN = 100
_d, _o, _c, _i, _p = (table.c for table in (t.differences, t.postings, t.connections, t.invoices, t.payments))
_MERCHANT: sa.BindParameter[int] = sa.bindparam("merchant")


class Settled(NamedTuple):
    """A difference that was put right or ignored, lately."""

    id: int
    what: str
    name: str
    connection: str
    cause: str
    state: str
    ending: str
    closed_at: datetime | None


_OPEN = (
    sa.select(t.differences, _c.system, _c.name.label("connection"), _o.state.label("posting_state"))
    .join(t.connections, _c.id == _d.connection_id)
    .outerjoin(t.postings, _o.key == _d.posting_key)
    .where(_d.merchant_id == _MERCHANT, _d.state == "open", _d.what.not_in(KEPT_ELSEWHERE))
    .order_by(_d.found_at.desc(), _d.id.desc())
    .limit(SHOWN)
)
_IGNORED = sa.exists().where(
    _d.connection_id == _o.connection_id,
    _d.what == What.POSTING.value,
    _d.subject == _o.key,
    _d.state == "ignored",
    _d.cause == _o.problem,
)
_later = t.postings.alias()
_REVIEW_WHERE = (_o.merchant_id == _MERCHANT, _o.state == PostingState.NEEDS_REVIEW.value, ~_IGNORED)
_REVIEW = (
    sa.select(
        t.postings,
        _c.system,
        _c.name.label("connection"),
        _p.booked,
        sa.exists()
        .where(
            _later.c.connection_id == _o.connection_id,
            _later.c.payment_id == _o.payment_id,
            _later.c.part == _o.part,
            _later.c.generation > _o.generation,
        )
        .label("replaced"),
    )
    .join(t.connections, _c.id == _o.connection_id)
    .join(t.payments, _p.id == _o.payment_id)
    .where(*_REVIEW_WHERE)
    .order_by(_o.changed_at.desc(), _o.key)
    .limit(SHOWN)
)
_COUNT = sa.select(
    sa.select(sa.func.count())
    .select_from(t.differences)
    .where(_d.merchant_id == _MERCHANT, _d.state == "open", _d.what.not_in(KEPT_ELSEWHERE))
    .scalar_subquery(),
    sa.select(sa.func.count()).select_from(t.postings).where(*_REVIEW_WHERE).scalar_subquery(),
)
_SETTLED = (
    sa.select(_d.id, _d.what, _d.name, _c.name.label("connection"), _d.cause, _d.state, _d.ending, _d.closed_at)
    .join(t.connections, _c.id == _d.connection_id)
    .where(_d.merchant_id == _MERCHANT, _d.state == sa.bindparam("state"))
    .order_by(_d.closed_at.desc(), _d.id.desc())
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_INVOICES = sa.select(
    _i.id, _i.connection_id, _i.remote_id, _i.number, _i.state, _i.currency, _i.total, _i.balance, _i.customer
).where(
    _i.merchant_id == _MERCHANT, _i.kind == Kind.INVOICE.value, _i.remote_id.in_(sa.bindparam("ids", expanding=True))
)
_TWINS = sa.select(_i.id, _i.connection_id, _i.number, _i.customer, _i.currency, _i.balance, _i.remote_id).where(
    _i.merchant_id == _MERCHANT,
    _i.kind == Kind.INVOICE.value,
    _i.state == InvoiceState.OPEN.value,
    _i.number.in_(sa.bindparam("numbers", expanding=True)),
)


def count(wiring: Wiring, merchant_id: int) -> int:
    """How many differences wait for a person, with records that could not be read and links that were refused."""
    with wiring.database.reader(merchant_id) as reader:
        return _between_books(reader) + failed_records.count(reader)


def between_books(wiring: Wiring, merchant_id: int) -> int:
    """How many differences between our books and theirs wait for a person."""
    with wiring.database.reader(merchant_id) as reader:
        return _between_books(reader)


def _between_books(reader: Reader) -> int:
    of_night, in_review = reader.first(_COUNT)
    return int(of_night) + int(in_review)


def waiting(wiring: Wiring, merchant_id: int) -> list[Difference]:
    """Differences a person has to decide about, newest first: payments that wait for review, then what was found at
    night, then what could not be read or placed."""
    with wiring.database.reader(merchant_id) as reader:
        return [
            *_reviews(wiring, reader),
            *(_of_row(wiring, row) for row in reader.rows(_OPEN)),
            *failed_records.waiting(reader, lambda name: _title(wiring, name)),
        ]


def ignored(wiring: Wiring, merchant_id: int) -> list[Settled]:
    """What a person chose to leave as it is."""
    with wiring.database.reader(merchant_id) as reader:
        return [Settled(*row) for row in reader.rows(_SETTLED, state="ignored", most=SHOWN)]


def put_right(wiring: Wiring, merchant_id: int, most: int = 20) -> list[Settled]:
    """What was put right lately, by itself or by a person."""
    with wiring.database.reader(merchant_id) as reader:
        return [Settled(*row) for row in reader.rows(_SETTLED, state="fixed", most=most)]


def _of_row(wiring: Wiring, row: Any) -> Difference:
    return Difference(
        ref=f"d{row.id}",
        address=f"/differences/{row.id}",
        system=row.system,
        connection=row.connection,
        what=row.what,
        name=row.name,
        ours=row.ours,
        theirs=row.theirs,
        cause=row.cause,
        found_at=row.found_at,
        payment_id=row.payment_id,
        fixes=fixes_of_row(row.what, row.posting_state, _title(wiring, row.system)),
    )


def _reviews(wiring: Wiring, reader: Reader) -> list[Difference]:
    postings = reader.rows(_REVIEW)
    shares = {row.key: [(str(remote), int(share)) for remote, share in json.loads(row.allocations)] for row in postings}
    remote_ids = sorted({remote for pairs in shares.values() for remote, _ in pairs})
    invoices = {(row.connection_id, row.remote_id): row for row in reader.rows(_INVOICES, ids=remote_ids)}
    numbers = sorted({row.number for row in invoices.values() if row.number})
    twins = reader.rows(_TWINS, numbers=numbers)
    return [_review(wiring, row, shares[row.key], invoices, twins) for row in postings]


def _review(
    wiring: Wiring,
    row: Any,
    shares: Sequence[tuple[str, int]],
    invoices: Mapping[tuple[int, str], Any],
    twins: Iterable[Any],
) -> Difference:
    title = _title(wiring, row.system)
    amount = f"{minor_to_text(row.amount, row.currency)} {row.currency}"
    there = [(invoices.get((row.connection_id, remote)), share) for remote, share in shares]
    system = wiring.systems.get(row.system)
    facts = Facts(
        title=title,
        payment_id=row.payment_id,
        lost=_lost(row, there),
        remade=_remade(row, there, twins),
        unasked=system is not None and system.manifest.capabilities.idempotency == "none",
    )
    numbers = ", ".join(found.number or found.remote_id for found, _ in there if found is not None)
    return Difference(
        ref=row.key,
        address=f"/differences/postings/{row.key}",
        system=row.system,
        connection=row.connection,
        what=What.POSTING.value,
        name=amount,
        ours=f"{amount} paid for invoice {numbers or 'unknown'}, dated {row.paid_on:%Y-%m-%d}",
        theirs="; ".join(_in_words(found) for found, _ in there) or "Unknown",
        cause=row.problem,
        found_at=row.changed_at,
        payment_id=row.payment_id,
        fixes=fixes_of_posting(facts),
    )


def _lost(row: Any, there: Sequence[tuple[Any, int]]) -> Lost:
    """What kind of refusal it is: by what the mirror shows, else by the system's own words."""
    problem = row.problem.lower()
    found = [invoice for invoice, _ in there]
    if not row.booked or row.replaced:
        return Lost.REVERSAL
    if "no account is chosen" in problem or "deposit" in problem:
        return Lost.ACCOUNT
    if row.remote_id or "by hand" in problem:
        return Lost.DELETED
    if any(one is None or one.state in (InvoiceState.DELETED, InvoiceState.VOID) for one in found):
        return Lost.INVOICE_GONE
    if "voided or deleted" in problem or "no longer exists" in problem:
        return Lost.INVOICE_GONE
    if any(one.currency != row.currency for one in found):
        return Lost.CURRENCY
    if re.search(r"clos|lock(ed)?\b|lock date|period", problem):
        return Lost.CLOSED
    if "paid twice" in problem or any(one.balance < share for one, share in there):
        return Lost.PAID_ALREADY
    return Lost.REFUSED


def _remade(row: Any, there: Sequence[tuple[Any, int]], twins: Iterable[Any]) -> tuple[int, str] | None:
    """The open invoice that bears a lost one's number, as (our id, words)."""
    for old, share in there:
        if old is None or old.state not in (InvoiceState.DELETED, InvoiceState.VOID):
            continue
        for new in twins:
            same = (new.connection_id, new.number, new.customer, new.currency) == (
                row.connection_id, old.number, old.customer, row.currency,
            )  # fmt: skip
            if same and new.remote_id != old.remote_id and new.balance >= share:
                return new.id, f"{new.number}, {minor_to_text(new.balance, new.currency)} {new.currency} due"
    return None


def _in_words(invoice: Any) -> str:
    if invoice is None:
        return "The invoice is not there"
    if invoice.state == InvoiceState.DELETED:
        return f"Invoice {invoice.number} is deleted"
    due, total = (minor_to_text(int(minor), invoice.currency) for minor in (invoice.balance, invoice.total))
    return f"Invoice {invoice.number}: {invoice.state}, {due} of {total} {invoice.currency} due"


def _title(wiring: Wiring, name: str) -> str:
    system = wiring.systems.get(name)
    return system.manifest.title if system else name
