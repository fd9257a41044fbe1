"""A stored webhook becomes work of the merchants it concerns. Its body only points: everything is read again."""

from __future__ import annotations

from collections.abc import Sequence

from connector.contract import Refused
from connector.db.installation import Installation
from connector.db.work import WorkItem
from connector.domain.records import Event
from connector.domain.work import Work
from connector.wiring import Wiring

# A burst of events of one connection is one reading: they are waited for this long (seconds).
COALESCE_SECONDS = 4.0


def run(wiring: Wiring, item: WorkItem) -> None:
    """Worker: parse one delivery and record the work of each merchant; events of unknown tenants are kept."""
    delivery_id = int(item.payload["delivery"])
    with wiring.database.lookup() as all_merchants:
        delivery = all_merchants.delivery(delivery_id)
    if delivery is None or delivery.state != "new":
        return
    sender = wiring.senders[delivery.sender]
    try:
        events = sender.parse(delivery.body)
    except Refused as answer:
        with wiring.database.installation() as all_merchants:
            all_merchants.close_delivery(delivery_id, "unreadable", answer.why)
        return
    record = _record_payments if sender.manifest.role == "gateway" else _record_readings
    with wiring.database.installation() as all_merchants:
        unknown = record(all_merchants, delivery.sender, events)
        state = "unknown_tenant" if unknown else "done"
        all_merchants.close_delivery(delivery_id, state, ", ".join(sorted(unknown))[:500])


def _record_readings(all_merchants: Installation, system: str, events: Sequence[Event]) -> set[str]:
    """One reading per connection, however many events; the tenants nobody has connected."""
    unknown = set()
    for tenant in {event.tenant for event in events}:
        found = all_merchants.connections_of_tenant(system, tenant)
        if not found:
            unknown.add(tenant)
        for merchant_id, connection_id in found:
            all_merchants.work(merchant_id).add(
                Work.SYNC,
                str(connection_id),
                partition=str(connection_id),
                payload={"connection": connection_id},
                delay=COALESCE_SECONDS,
            )
    return unknown


def _record_payments(all_merchants: Installation, gateway: str, events: Sequence[Event]) -> set[str]:
    """One look at the gateway per payment; the checkouts that are none of ours."""
    unknown = set()
    for event in events:
        owner = all_merchants.payment_owner(gateway, event.remote_id, event.tenant)
        if owner is None:
            unknown.add(event.remote_id)
            continue
        merchant_id, payment_id = owner
        all_merchants.work(merchant_id).add(
            Work.RECONCILE, payment_id, partition=f"payments:{merchant_id}", payload={"payment": payment_id}
        )
    return unknown
