"""The books audited from our own tables: what must hold after every walk, whatever was killed on the way.

Reads only. Each finding names what is wrong in words, the rows it is about, and what to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from connector.db.installation import Installation
from connector.db.reader import Reader
from connector.domain.findings import Finding
from connector.reading import audit_ledger, audit_places, audit_postings


class Books(Protocol):
    """The database, as far as an audit needs it."""

    def reader(self, merchant_id: int, *, snapshot: bool = False) -> AbstractContextManager[Reader]:
        """One merchant's rows, read-only."""

    def lookup(self) -> AbstractContextManager[Installation]:
        """All merchants', read-only."""


Rule = Callable[[Reader, datetime, Counter[str]], Iterator[Finding]]
RULES: tuple[Rule, ...] = (
    audit_ledger.entries_balance,
    audit_ledger.money_is_booked_once,
    audit_ledger.one_payment_a_checkout,
    audit_ledger.allocations_fill_the_payment,
    audit_postings.held_money_stands_once,
    audit_postings.waiting_postings_are_worked_on,
    audit_postings.refunds_are_worked_on,
    audit_places.locks_have_a_live_payment,
    audit_places.placements_have_a_link,
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What an audit came to. `counted`: how many rows of what were looked at; `needs_review`: payments' parts that wait
    for a person, which is how a refusal ends and no fault of the books; `ledger_sums` in minor units by currency."""

    findings: tuple[Finding, ...] = ()
    counted: Mapping[str, int] = field(default_factory=dict)
    needs_review: tuple[audit_postings.Review, ...] = ()
    ledger_sums: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether something is wrong."""
        return bool(self.findings)


def audit(database: Books, now: datetime, merchant_id: int | None = None) -> Findings:
    """Look at the books of one merchant, or of all; each merchant's as of one moment. `now` is UTC."""
    findings: list[Finding] = []
    counted: Counter[str] = Counter()
    reviews: list[audit_postings.Review] = []
    sums: Counter[str] = Counter()
    for merchant in merchants(database) if merchant_id is None else [merchant_id]:
        with database.reader(merchant, snapshot=True) as reader:
            counted["merchants"] += 1
            for rule in RULES:
                findings += rule(reader, now, counted)
            reviews += audit_postings.reviews(reader)
            sums.update(audit_ledger.sums(reader))
    if merchant_id is None:
        with database.lookup() as everybody:
            findings += audit_places.deliveries_are_worked_on(everybody, now)
    return Findings(tuple(findings), dict(counted), tuple(reviews), {name: sums[name] for name in sorted(sums)})


def merchants(database: Books) -> list[int]:
    """Everybody's ids, oldest first."""
    with database.lookup() as everybody:
        return everybody.merchant_ids()
