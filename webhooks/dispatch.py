"""Stored webhooks become work of the merchants they concern. Their bodies only point: everything is read again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog

from connector.contract import Refused, Sender
from connector.db.deliveries import DeliveryRow
from connector.db.installation import Installation
from connector.db.work import WorkItem
from connector.domain.records import Event
from connector.domain.work import Work
from connector.wiring import Wiring

# A burst of events of one connection is one reading: they are waited for this long (seconds).
COALESCE_SECONDS = 4.0
# Deliveries taken on in one transaction.
MOST_TOGETHER = 200

_log = structlog.get_logger()
# What a delivery came to: its state, and why.
_Closing = tuple[str, str]


def run(wiring: Wiring, item: WorkItem) -> None:
    """Worker: take on all of a sender's deliveries that wait. What arrives meanwhile asks for the same work again."""
    sender = item.partition
    while True:
        with wiring.database.lookup() as all_merchants:
            waiting = all_merchants.waiting_deliveries(sender, MOST_TOGETHER)
        if not waiting:
            return
        _take_on(wiring, sender, waiting)


def _take_on(wiring: Wiring, sender: str, waiting: Sequence[DeliveryRow]) -> None:
    """Record the work of several deliveries in one transaction, each piece once; events of unknown tenants are kept."""
    told: dict[int, Sequence[Event]] = {}
    closed: dict[int, _Closing] = {}
    for delivery in waiting:
        try:
            told[delivery.id] = _read(wiring.senders[sender], delivery)
        except Refused as answer:
            closed[delivery.id] = ("unreadable", answer.why)
    gateway = wiring.senders[sender].manifest.role == "gateway"
    with wiring.database.installation() as all_merchants:
        events = (event for several in told.values() for event in several)
        if gateway:
            unknown = _record_payments(all_merchants, sender, events)
        else:
            reads = wiring.systems[sender].manifest.capabilities.reads
            unknown = _record_readings(all_merchants, reads, sender, events)
        for delivery_id, several in told.items():
            strange = {_subject(event, gateway) for event in several} & unknown
            state = "unknown_tenant" if strange else "done"
            closed[delivery_id] = (state, ", ".join(sorted(strange))[:500])
        for closing in set(closed.values()):
            ids = [delivery_id for delivery_id, its in closed.items() if its == closing]
            all_merchants.close_deliveries(ids, *closing)


def _read(sender: Sender, delivery: DeliveryRow) -> Sequence[Event]:
    """What a body points at. Raises Refused: one body nobody foresaw must not hold up those behind it."""
    try:
        return sender.parse(delivery.body)
    except Refused:
        raise
    except Exception as failure:
        _log.exception("webhook_not_understood", sender=delivery.sender, delivery=delivery.id)
        raise Refused(f"An unforeseen error: {type(failure).__name__}.", "unforeseen") from failure


def _subject(event: Event, gateway: bool) -> str:
    """Whom or what an event is about, as it is named when nobody here knows it."""
    return event.remote_id if gateway else event.tenant


def _record_readings(
    all_merchants: Installation, reads: Sequence[str], system: str, events: Iterable[Event]
) -> set[str]:
    """One reading per connection, however many events, of the kinds they tell of; the tenants nobody has connected."""
    unknown = set()
    told: dict[str, set[str]] = {}
    for event in events:
        told.setdefault(event.tenant, set()).add(event.kind)
    for tenant, kinds in sorted(told.items()):
        found = all_merchants.connections_of_tenant(system, tenant)
        if not found:
            unknown.add(tenant)
        wanted = [kind for kind in reads if kind in kinds]
        for merchant_id, connection_id in found if wanted else ():
            all_merchants.work(merchant_id).add(
                Work.SYNC,
                str(connection_id),
                partition=str(connection_id),
                payload={"connection": connection_id, "kinds": wanted},
                delay=COALESCE_SECONDS,
                unite="kinds",
            )
    return unknown


def _record_payments(all_merchants: Installation, gateway: str, events: Iterable[Event]) -> set[str]:
    """One look at the gateway per payment; the checkouts that are none of ours."""
    unknown = set()
    owners = set()
    for remote_id, reference in dict.fromkeys((event.remote_id, event.tenant) for event in events):
        owner = all_merchants.payment_owner(gateway, remote_id, reference)
        if owner is None:
            unknown.add(remote_id)
        else:
            owners.add(owner)
    for merchant_id, payment_id in sorted(owners):
        correlation = all_merchants.work(merchant_id).add(
            Work.RECONCILE,
            payment_id,
            partition=f"payments:{merchant_id}",
            payload={"payment": payment_id},
            begun_by=payment_id,
        )
        # Found under the customer's click as well as under the delivery's own work.
        _log.info("webhook_about_payment", gateway=gateway, payment=payment_id, correlation=correlation)
    return unknown
