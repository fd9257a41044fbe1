"""What is in doubt once a database stands where a backup left it: calls made since are unknown to it."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.bound import Bound
from connector.domain.postings import PostingState
from connector.domain.records import PaymentState

RESTORED = "installation.restored"
# A part sent anew after a clear answer goes out under the key of its next generation, so what stands upstream may be a
# generation ahead of the backup. Further than this none is looked for.
GENERATIONS_LOOKED_FOR = 4
_UNDER_WAY = (
    PaymentState.INTENDED,
    PaymentState.CHECKOUT,
    PaymentState.REQUIRES_ACTION,
    PaymentState.PROCESSING,
    PaymentState.UNKNOWN,
)
_MONEY_HERE = (PaymentState.SETTLED, PaymentState.PARTLY_REFUNDED)


def may_stand_already(bound: Bound, payment_id: str, generation: int) -> bool:
    """Whether a posting now planned may have been sent before the database was put back to an earlier moment."""
    if generation > GENERATIONS_LOOKED_FOR:
        return False
    began = sa.select(t.payments.c.created_at).where(t.payments.c.id == payment_id).scalar_subquery()
    log = t.audit_log.c
    statement = bound.select(t.audit_log, log.id).where(log.action == RESTORED, log.at >= began).limit(1)
    return bound.connection.execute(statement).first() is not None


class Restoring:
    """Repository of one merchant's doubts, for the journey that follows a restore."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def doubt_postings(self) -> int:
        """What stands as not sent yet may have been sent: from now on it is looked up first. How many there are."""
        p = t.postings.c
        doubted = self._bound.update(t.postings, p.state == PostingState.QUEUED, state=PostingState.SENDING)
        # Retried by hand, these are looked up first as well.
        self._bound.update(
            t.postings, p.state == PostingState.NEEDS_REVIEW, p.sent_at.is_(None), sent_at=self._bound.now
        )
        return doubted

    def payments_to_ask_about(self, settled_after: datetime) -> list[str]:
        """Payments the gateway may have moved since: all under way, and those settled after a moment."""
        p = t.payments.c
        statement = self._bound.select(t.payments, p.id).where(
            sa.or_(
                p.state.in_([state.value for state in _UNDER_WAY]),
                sa.and_(p.state.in_([state.value for state in _MONEY_HERE]), p.settled_at >= settled_after),
            )
        )
        return [row.id for row in self._bound.rows(statement.order_by(p.id))]
