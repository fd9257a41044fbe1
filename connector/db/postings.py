"""What must stand in the systems' books for our payments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.bound import Bound
from connector.db.restoring import may_stand_already
from connector.db.rows import PostingRow
from connector.domain.postings import Part, PostingState, posting_key

_FIELDS = [t.postings.c[name] for name in PostingRow.__dataclass_fields__]
_OVER = (PostingState.SUPERSEDED, PostingState.REVERSED)
_ASKABLE = (*_OVER, PostingState.POSTED)


def posting_row(row: Any) -> PostingRow:
    """A PostingRow from a row that selects its fields."""
    values = dict(row._mapping)
    values["state"] = PostingState(values["state"])
    values["allocations"] = tuple((invoice, share) for invoice, share in json.loads(values["allocations"]))
    return PostingRow(**values)


class Postings:
    """Repository of one merchant's postings."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def get(self, key: str) -> PostingRow:
        """One posting, locked until the transaction ends. Raises NotFound."""
        statement = self._bound.select_to_change(t.postings, *_FIELDS).where(t.postings.c.key == key)
        return posting_row(self._bound.one(statement, "This posting does not exist."))

    def queue(
        self, *, connection_id: int, payment_id: str, part: Part, generation: int, currency: str, paid_on: date
    ) -> None:
        """This part of the payment shall stand upstream; queueing it twice is once.

        After a restore it is looked for first, since the database does not know what was sent after its backup.
        """
        looked_for_first = may_stand_already(self._bound, payment_id, generation)
        self._bound.insert_unless_there(
            t.postings,
            key=posting_key(connection_id, payment_id, part.part, generation),
            connection_id=connection_id,
            payment_id=payment_id,
            part=part.part,
            generation=generation,
            state=PostingState.SENDING if looked_for_first else PostingState.QUEUED,
            amount=part.amount,
            currency=currency,
            allocations=json.dumps(part.allocations),
            paid_on=paid_on,
            changed_at=self._bound.now,
        )

    def queue_anew(self, posting: PostingRow) -> None:
        """The same part under the next generation's key: what went out under this one certainly does not stand."""
        self.change(posting.key, state=PostingState.SUPERSEDED, problem="")
        self.queue(
            connection_id=posting.connection_id,
            payment_id=posting.payment_id,
            part=Part(posting.part, posting.allocations),
            generation=posting.generation + 1,
            currency=posting.currency,
            paid_on=posting.paid_on,
        )

    def of_payment(self, payment_id: str, connection_id: int | None = None) -> list[PostingRow]:
        """All postings of a payment, parts in a stable order, older generations first."""
        p = t.postings.c
        statement = self._bound.select(t.postings, *_FIELDS).where(p.payment_id == payment_id)
        if connection_id is not None:
            statement = statement.where(p.connection_id == connection_id)
        return [posting_row(row) for row in self._bound.rows(statement.order_by(p.part, p.generation))]

    def change(self, key: str, **values: Any) -> None:
        """Set columns of one posting."""
        self._bound.update(t.postings, t.postings.c.key == key, changed_at=self._bound.now, **values)

    def move(self, key: str, from_states: Sequence[PostingState], to: PostingState, **values: Any) -> bool:
        """Change state if it stands in one of `from_states`; whether it did."""
        p = t.postings.c
        count = self._bound.update(
            t.postings,
            p.key == key,
            p.state.in_([state.value for state in from_states]),
            state=to,
            changed_at=self._bound.now,
            **values,
        )
        return count == 1

    def posted_as(self, connection_id: int, remote_ids: Sequence[str]) -> list[PostingRow]:
        """Postings that stand upstream under these ids."""
        p = t.postings.c
        statement = (
            self._bound.select(t.postings, *_FIELDS)
            .where(p.connection_id == connection_id, p.state == PostingState.POSTED, p.remote_id.in_(list(remote_ids)))
            .order_by(p.key)
        )
        return [posting_row(row) for row in self._bound.rows(statement)]

    def sent(
        self, states: Sequence[PostingState] = _ASKABLE, after: str = "", most: int | None = None
    ) -> list[PostingRow]:
        """Postings that were sent to a system and stand in one of `states`, with a key above `after`, by key."""
        p = t.postings.c
        statement = (
            self._bound.select(t.postings, *_FIELDS)
            .where(p.state.in_([state.value for state in states]), p.sent_at.is_not(None), p.key > after)
            .order_by(p.key)
            .limit(most)
        )
        return [posting_row(row) for row in self._bound.rows(statement)]

    def payments_waiting(self, connection_id: int) -> list[str]:
        """Payments with something still to be sent to, or reversed in, a system."""
        p = t.postings.c
        waiting = [PostingState.QUEUED.value, PostingState.SENDING.value, PostingState.REVERSING.value]
        statement = (
            self._bound.select(t.postings, p.payment_id)
            .where(p.connection_id == connection_id, p.state.in_(waiting))
            .distinct()
        )
        return [row.payment_id for row in self._bound.rows(statement)]

    def to_be_recorded(self, invoice_ids: Sequence[int]) -> bool:
        """Whether a payment of one of these invoices is still to be recorded upstream, so that more looks due there."""
        p, a = t.postings.c, t.allocations.c
        statement = (
            self._bound.select(t.postings, p.key)
            .join(t.allocations, a.payment_id == p.payment_id)
            .where(a.invoice_id.in_(list(invoice_ids)))
            .where(p.state.in_([PostingState.QUEUED.value, PostingState.SENDING.value]))
            .limit(1)
        )
        return bool(self._bound.rows(statement))

    def open_count(self, payment_id: str) -> int:
        """How many postings of the payment are not yet as they shall be."""
        p = t.postings.c
        settled = [state.value for state in (*_OVER, PostingState.POSTED)]
        statement = (
            sa.select(sa.func.count())
            .select_from(t.postings)
            .where(self._bound.mine(t.postings), p.payment_id == payment_id, p.state.not_in(settled))
        )
        return int(self._bound.connection.execute(statement).scalar_one())
