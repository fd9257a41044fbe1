"""After the clock was set back: nothing may wait for a moment that has been already."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.engine import bind_to_merchant


def bring_back(engine: sa.Engine, now: datetime) -> list[tuple[str, int | None]]:
    """Calls sent later than now count as sent now; the work (id, merchant) that waits for a later moment.

    Leases, slots and limits need nothing: what is held longer than it may be counts as free. One transaction.
    """
    with engine.begin() as connection:
        bind_to_merchant(connection, None)
        for table in (t.work, t.postings):
            connection.execute(sa.update(table).where(table.c.sent_at > now).values(sent_at=now))
        w = t.work.c
        waiting = sa.select(w.id, w.merchant_id).where(w.state == "pending", w.next_at > now).order_by(w.next_at, w.id)
        return [(row.id, row.merchant_id) for row in connection.execute(waiting)]
