"""The double-entry ledger: entries go in whole, and nothing is ever changed."""

from __future__ import annotations

import uuid

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.bound import Bound
from connector.domain.ledger import Entry


class Ledger:
    """Repository of one merchant's ledger."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def book(self, entry: Entry) -> None:
        """Write an entry. The same `reason` twice raises IntegrityError: a caller books each cause once."""
        entry_id = uuid.uuid4().hex
        for position, line in enumerate(entry.lines):
            self._bound.insert(
                t.ledger_lines,
                entry_id=entry_id,
                position=position,
                account=line.account,
                amount=line.amount.minor,
                currency=line.amount.currency,
            )
        self._bound.insert(
            t.ledger_entries,
            id=entry_id,
            kind=entry.kind,
            payment_id=entry.payment_id,
            reason=entry.reason,
            at=self._bound.now,
        )

    def of_payment(self, payment_id: str) -> dict[str, int]:
        """What a payment's entries have moved so far, by account (minor units, debits positive)."""
        e, k = t.ledger_entries.c, t.ledger_lines.c
        statement = (
            sa.select(k.account, sa.func.sum(k.amount))
            .join(t.ledger_entries, e.id == k.entry_id)
            .where(self._bound.mine(t.ledger_lines), e.payment_id == payment_id)
            .group_by(k.account)
        )
        return {row[0]: int(row[1]) for row in self._bound.connection.execute(statement)}

    def entries_of(self, payment_id: str) -> int:
        """How many entries a payment has."""
        e = t.ledger_entries
        statement = sa.select(sa.func.count()).select_from(e).where(self._bound.mine(e), e.c.payment_id == payment_id)
        return int(self._bound.connection.execute(statement).scalar_one())

    def sums(self) -> dict[str, int]:
        """The sum of all lines by currency; zero each, or the books are broken."""
        k = t.ledger_lines.c
        statement = (
            sa.select(k.currency, sa.func.sum(k.amount)).where(self._bound.mine(t.ledger_lines)).group_by(k.currency)
        )
        return {row[0]: int(row[1]) for row in self._bound.connection.execute(statement)}
