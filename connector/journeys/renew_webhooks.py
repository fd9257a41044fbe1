"""Renew a connection's subscription to webhooks before it runs out, and arm it again where it has."""

from __future__ import annotations

from dataclasses import replace

from connector.contract import Disconnected, RenewsWebhooks
from connector.db.work import WorkItem
from connector.domain.tasks import Task
from connector.journeys.connect import mark_broken
from connector.wiring import Wiring

# A fifth of its life before it ends: time for a few more tries.
_AHEAD = 0.2


def run(wiring: Wiring, item: WorkItem) -> None:
    """Worker: have a subscription that lasts, and say when the next renewal is due."""
    connection_id = int(item.payload["connection"])
    with wiring.database.view(item.merchant_id) as view:
        connection = view.connections.get(connection_id)
    system = wiring.system(connection.system)
    if connection.state != "active" or not isinstance(system, RenewsWebhooks):
        return
    address = f"{wiring.settings.public_url}/webhooks/{connection.system}"
    try:
        until = system.renew_webhooks(replace(wiring.access(connection), background=True), address)
    except Disconnected as ended:
        mark_broken(wiring, item.merchant_id, connection_id, ended.why)
        with wiring.database.unit_of_work(item.merchant_id) as uow:
            uow.schedules.end(Task.WEBHOOKS, connection_id, f"Our access has ended: {ended.why}")
        return
    with wiring.database.unit_of_work(item.merchant_id) as uow:
        next_at = max(until - _AHEAD * (until - uow.now), uow.now)
        outcome = f"Webhooks are subscribed to until {until:%Y-%m-%d %H:%M} UTC."
        uow.schedules.end(Task.WEBHOOKS, connection_id, outcome, next_at=next_at)
