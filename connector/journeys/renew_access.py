"""Renew a connection's access before it runs out, so that nobody has to wait for it, and a quiet one does not end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from connector.contract import Disconnected
from connector.db.work import WorkItem
from connector.domain.tasks import Task
from connector.journeys.connect import mark_broken
from connector.wiring import Wiring

# Whoever needs a token renews it when less than five minutes are left; the schedule comes just then.
_AHEAD = timedelta(minutes=4, seconds=30)
_AT_LEAST = timedelta(minutes=5)


def run(wiring: Wiring, item: WorkItem) -> None:
    """Worker: have a token that lasts, and say when the next renewal is due."""
    connection_id = int(item.payload["connection"])
    with wiring.database.view(item.merchant_id) as view:
        connection = view.connections.get(connection_id)
    if connection.state != "active":
        return
    access = wiring.access(connection)
    before = wiring.token_store.read(access.connection)
    try:
        access.token(None)
    except Disconnected as ended:
        mark_broken(wiring, item.merchant_id, connection_id, ended.why)
        with wiring.database.unit_of_work(item.merchant_id) as uow:
            uow.schedules.end(Task.TOKEN, connection_id, f"Our access has ended: {ended.why}")
        return
    tokens = wiring.token_store.read(access.connection)
    # Tokens live by the vendors' clock, which is the real one.
    next_at = max(tokens.access_expires - _AHEAD, datetime.now(UTC) + _AT_LEAST)
    said = "Renewed" if tokens.access != before.access else "Not due yet"
    lasts = f"; the consent lasts until {tokens.refresh_expires:%Y-%m-%d}" if tokens.refresh_expires else ""
    with wiring.database.unit_of_work(item.merchant_id) as uow:
        outcome = f"{said}; the access lasts until {tokens.access_expires:%Y-%m-%d %H:%M} UTC{lasts}."
        uow.schedules.end(Task.TOKEN, connection_id, outcome, next_at=next_at)
