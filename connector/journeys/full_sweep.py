"""Read everything once more, slowly: what reading of changes has lost comes to light.

An upstream may commit a change later than the moment it stamps on it, so that a reading "since then" never sees it; a
deletion may never be told at all. Once a week every page is read and stored again, and what no page brought is asked
for one by one. It makes room for everybody else after each page.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from connector.contract import Disconnected, Gone, Refused, TryAgain
from connector.db.rows import ConnectionRow
from connector.db.work import WorkItem
from connector.domain.records import Kind, Unreadable, UpstreamInvoice
from connector.domain.tasks import Task
from connector.journeys import fresh, sync
from connector.journeys.connect import mark_broken
from connector.wiring import Wiring

# Asked for one by one in an attempt, and in a whole sweep: what no page brought.
_SINGLES, _SINGLES_IN_ALL = 10, 200


def run(wiring: Wiring, item: WorkItem) -> None:
    """Worker: one page, or a few single invoices; TryAgain until everything was read."""
    connection_id = int(item.payload["connection"])
    with wiring.database.view(item.merchant_id) as view:
        connection = view.connections.get(connection_id)
        stands = view.schedules.progress(Task.FULL_SWEEP, connection_id)
    if connection.state != "active" or connection.first_import_done_at is None:
        return
    if stands.get("work") != item.id:
        stands = {"work": item.id, "began": wiring.clock().isoformat(), "seen": 0, "alone": 0, "left": None}
    try:
        more = _turn(wiring, connection, stands)
    except Disconnected as ended:
        mark_broken(wiring, item.merchant_id, connection_id, ended.why)
        with wiring.database.unit_of_work(item.merchant_id) as uow:
            uow.schedules.end(Task.FULL_SWEEP, connection_id, f"Our access has ended: {ended.why}")
        return
    if more:
        raise TryAgain("The full sweep goes on.", after=wiring.timing.between_pages)


def _turn(wiring: Wiring, connection: ConnectionRow, stands: dict[str, Any]) -> bool:
    """One page of the kind that is being read, else some of what no page brought; whether there is more."""
    system = wiring.system(connection.system)
    access = replace(wiring.access(connection), background=True)
    if stands["left"] is None:
        stands["left"] = list(system.manifest.capabilities.reads)
    if not stands["left"]:
        return _ask_for_the_missing(wiring, connection, stands)
    kind = Kind(stands["left"][0])
    cursor = stands.get("cursor") or system.first_cursor(access, kind, connection.history_start)
    page = system.page(access, kind, cursor)
    for start in range(0, len(page.records), sync.BATCH):
        with wiring.database.unit_of_work(connection.merchant_id) as uow:
            sync.put(uow, connection.id, kind, page.records[start : start + sync.BATCH])
    stands["seen"] += len(page.records)
    stands["cursor"] = None if page.done else page.next
    if page.done:
        stands["left"] = stands["left"][1:]
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        uow.mirror.put_unreadable(connection.id, kind, page.unreadable)
        uow.schedules.keep(Task.FULL_SWEEP, connection.id, stands)
    return True


def _ask_for_the_missing(wiring: Wiring, connection: ConnectionRow, stands: dict[str, Any]) -> bool:
    began = datetime.fromisoformat(stands["began"])
    most = min(_SINGLES, _SINGLES_IN_ALL - stands["alone"])
    with wiring.database.view(connection.merchant_id) as view:
        missing = view.standing.unconfirmed_invoices(connection.id, began, most) if most > 0 else []
    read = [_one(wiring, connection, *invoice) for invoice in missing]
    stands["alone"] += len(read)
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        uow.mirror.put_invoices(connection.id, fresh.keep(uow, connection.id, read))
        uow.schedules.keep(Task.FULL_SWEEP, connection.id, stands)
        if not missing:
            outcome = f"Read {stands['seen']} records again, and {stands['alone']} invoices one by one."
            uow.schedules.end(Task.FULL_SWEEP, connection.id, outcome)
    return bool(missing)


def _one(wiring: Wiring, connection: ConnectionRow, remote_id: str, number: str) -> UpstreamInvoice | Unreadable:
    access = replace(wiring.access(connection), background=True)
    try:
        return wiring.system(connection.system).invoice(access, remote_id)
    except (Gone, Refused) as answer:
        return fresh.instead(answer, remote_id, number)
