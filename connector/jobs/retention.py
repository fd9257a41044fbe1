"""Forgets what has served its time: a few hundred rows a transaction, within a stated period for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from connector.config import Retention
from connector.db.retention import Expiring
from connector.wiring import Wiring

BATCH = 500


def periods(kept: Retention) -> Mapping[Expiring, timedelta]:
    """How long each kind is kept after it ended; what is kept for ever is not in it."""
    days = {
        Expiring.SESSIONS: kept.sessions,
        Expiring.CODES: kept.codes,
        Expiring.CONSENTS: kept.codes,
        Expiring.MAILS: kept.mails,
        Expiring.WEBHOOKS: kept.webhooks,
        Expiring.DONE_WORK: kept.done_work,
        Expiring.DEAD_WORK: kept.dead_work,
    }
    return {what: timedelta(days=number) for what, number in days.items() if number} | {
        what: timedelta(0) for what in (Expiring.LIMITS, Expiring.SLOTS, Expiring.LEASES)
    }


def forget(wiring: Wiring, now: datetime, ended: Callable[[], bool] = lambda: False) -> dict[str, int]:
    """Forget everything whose time is over at `now` (UTC); how many rows of each kind, without those of none.

    Stops between two batches as soon as `ended` says that this worker is to stop; the next turn goes on.
    """
    forgotten: dict[str, int] = {}
    for what, period in periods(wiring.settings.retention).items():
        number = BATCH
        while number == BATCH and not ended():
            with wiring.database.installation() as everybody:
                number = everybody.forget(what, now - period, BATCH)
            forgotten[what.value] = forgotten.get(what.value, 0) + number
    return {what: number for what, number in forgotten.items() if number}
