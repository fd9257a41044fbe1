"""The nightly comparison of our view with a system's, within a budget of calls; goes on the next night where it stops.

Pages of invoices and payments are read again and compared with the mirror, the links placed and the postings; what no
page brought is asked for one by one. What cannot lose anything is put right at once: a row of the mirror is read again,
a link that is missing is placed again. Everything else is written down for a person to decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from time import monotonic
from typing import Any

from connector.contract import Access, BillingSystem, Disconnected, Gone, Refused, TryAgain, Unclear
from connector.db.rows import ConnectionRow, PostingRow
from connector.db.work import WorkItem
from connector.domain.links import install_url
from connector.domain.records import Kind, Unreadable, UpstreamInvoice, UpstreamPayment
from connector.domain.tasks import Task, What, business_date
from connector.domain.work import Work
from connector.errors import Conflict
from connector.journeys import drift_invoices, drift_payments, fresh, sync
from connector.journeys.connect import mark_broken
from connector.journeys.drift_invoices import Tally
from connector.journeys.record_part import intent_of
from connector.wiring import Wiring

# A page brings up to a thousand records, so that this is enough for 150,000 invoices in a night.
CALLS_A_NIGHT = 200
_SINGLES = 10
_STEPS = ("invoices", "deleted", "payments", "postings", "themes")


class Comparison:
    """One connection's comparison under way. `stands` is what is kept between attempts and nights."""

    def __init__(self, wiring: Wiring, connection: ConnectionRow, stands: dict[str, Any]) -> None:
        self.wiring = wiring
        self.connection = connection
        self.stands = stands
        self.tally = Tally(**stands["tally"])

    @property
    def system(self) -> BillingSystem:
        """Whose view ours is compared with."""
        return self.wiring.system(self.connection.system)

    @property
    def access(self) -> Access:
        """Calls nobody waits for."""
        return replace(self.wiring.access(self.connection), background=True)

    @property
    def began(self) -> datetime:
        """When this round began: what was confirmed since need not be asked for."""
        return datetime.fromisoformat(self.stands["began"])

    def spend(self, calls: int = 1) -> None:
        """Count calls against tonight's budget."""
        self.stands["calls"] += calls

    def keep(self, **changes: Any) -> Mapping[str, Any]:
        """What is to be kept from now on."""
        self.stands |= changes | {"tally": asdict(self.tally)}
        return self.stands


def ask(wiring: Wiring, merchant_id: int, connection_id: int) -> None:
    """Compare now: what a person's button does. It is the same work as the night's, and shares its budget's figure.

    Raises Conflict when the connection is not active.
    """
    with wiring.database.unit_of_work(merchant_id) as uow:
        connection = uow.connections.get(connection_id)
        if connection.state != "active":
            raise Conflict("Only an active connection can be compared. Reconnect it first.")
        key = f"{connection_id}:{business_date(uow.now).isoformat()}"
        uow.work.add(Work.DRIFT, key, partition=str(connection_id), payload={"connection": connection_id})


def run(wiring: Wiring, item: WorkItem) -> None:
    """Worker: compare for a turn. TryAgain while tonight's budget lasts and there is more."""
    connection_id = int(item.payload["connection"])
    with wiring.database.view(item.merchant_id) as view:
        connection = view.connections.get(connection_id)
        stands = view.schedules.progress(Task.DRIFT, connection_id)
    if connection.state != "active" or connection.first_import_done_at is None:
        _ended(wiring, connection, "Waits for the first import." if connection.state == "active" else "Not connected.")
        return
    comparison = Comparison(wiring, connection, _begun(wiring, item, stands))
    until = monotonic() + sync.TURN_SECONDS
    try:
        while comparison.stands["step"] < len(_STEPS):
            if comparison.stands["calls"] >= CALLS_A_NIGHT:
                _stop_for_tonight(comparison)
                return
            if monotonic() > until:
                raise TryAgain("The comparison goes on.", after=1.0)
            _one_step(comparison)
    except Disconnected as ended:
        mark_broken(wiring, item.merchant_id, connection_id, ended.why)
        _ended(wiring, connection, f"Our access has ended: {ended.why}")
        return
    _finish(comparison)


def _ended(wiring: Wiring, connection: ConnectionRow, outcome: str) -> None:
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        uow.schedules.end(Task.DRIFT, connection.id, outcome)


def _begun(wiring: Wiring, item: WorkItem, stands: dict[str, Any]) -> dict[str, Any]:
    if stands.get("work") == item.id and not stands["ended"]:
        return stands
    if stands.get("paused"):
        return stands | {"work": item.id, "calls": 0, "paused": False}
    now = wiring.clock().isoformat()
    begun = {"work": item.id, "began": now, "step": 0, "cursor": None, "calls": 0, "tally": {}}
    return begun | {"paused": False, "ended": False}


def _one_step(comparison: Comparison) -> None:
    match _STEPS[comparison.stands["step"]]:
        case "invoices":
            _page(comparison, Kind.INVOICE)
        case "deleted":
            _invoices_no_page_brought(comparison)
        case "payments":
            _page(comparison, Kind.PAYMENT)
        case "postings":
            _payments_no_page_brought(comparison)
        case _:
            _themes(comparison)


def _page(comparison: Comparison, kind: Kind) -> None:
    wiring, connection, system = comparison.wiring, comparison.connection, comparison.system
    if kind.value not in system.manifest.capabilities.reads:
        _next_step(comparison)
        return
    cursor = comparison.stands["cursor"]
    if cursor is None:
        cursor = system.first_cursor(comparison.access, kind, connection.history_start)
        comparison.spend()
    asked_at = wiring.clock()
    page = system.page(comparison.access, kind, cursor)
    comparison.spend()
    starts = range(0, max(len(page.records), 1), sync.BATCH)
    for start in starts:
        batch = page.records[start : start + sync.BATCH]
        with wiring.database.unit_of_work(connection.merchant_id) as uow:
            if kind is Kind.INVOICE:
                invoices = [record for record in batch if isinstance(record, UpstreamInvoice)]
                drift_invoices.compare(wiring, uow, connection, invoices, asked_at, comparison.tally)
            else:
                payments = [record for record in batch if isinstance(record, UpstreamPayment)]
                drift_payments.compare(wiring, uow, connection, payments, comparison.tally)
            if start == starts[-1]:
                uow.mirror.put_unreadable(connection.id, kind, page.unreadable)
                comparison.tally.found += len(page.unreadable)
                step = comparison.stands["step"] + int(page.done)
                kept = comparison.keep(step=step, cursor=None if page.done else page.next)
                uow.schedules.keep(Task.DRIFT, connection.id, kept)


def _invoices_no_page_brought(comparison: Comparison) -> None:
    wiring, connection = comparison.wiring, comparison.connection
    with wiring.database.view(connection.merchant_id) as view:
        missing = view.standing.unconfirmed_invoices(connection.id, comparison.began, _SINGLES)
    if not missing:
        _next_step(comparison)
        return
    asked_at = wiring.clock()
    read: list[UpstreamInvoice | Unreadable] = []
    for remote_id, number in missing:
        comparison.spend()
        try:
            read.append(comparison.system.invoice(comparison.access, remote_id))
        except (Gone, Refused) as answer:
            read.append(fresh.instead(answer, remote_id, number))
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        readable = fresh.keep(uow, connection.id, read)
        comparison.tally.found += len(read) - len(readable)
        drift_invoices.compare(wiring, uow, connection, readable, asked_at, comparison.tally)
        uow.schedules.keep(Task.DRIFT, connection.id, comparison.keep())


def _payments_no_page_brought(comparison: Comparison) -> None:
    """Postings no page showed are looked up by their key; without one to look up by, the pages are all there is."""
    wiring, connection = comparison.wiring, comparison.connection
    asked_by_key = comparison.system.manifest.capabilities.idempotency != "none"
    with wiring.database.view(connection.merchant_id) as view:
        most = _SINGLES if asked_by_key else 0
        unseen = view.standing.unverified_postings(connection.id, comparison.began, most)
        customers = {posting.payment_id: view.payments.get(posting.payment_id).customer for posting in unseen}
    if not unseen:
        _next_step(comparison)
        return
    for posting in unseen:
        comparison.spend(2)
        _look_up(comparison, posting, customers[posting.payment_id])
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        uow.schedules.keep(Task.DRIFT, connection.id, comparison.keep())


def _look_up(comparison: Comparison, posting: PostingRow, customer: str) -> None:
    connection, title = comparison.connection, comparison.system.manifest.title
    try:
        found = comparison.system.find_payment(comparison.access, intent_of(connection, posting, customer))
    except Unclear:
        # Several carry the key; the pages have shown each of them.
        found = None
        several = True
    else:
        several = False
    with comparison.wiring.database.unit_of_work(connection.merchant_id) as uow:
        comparison.tally.seen += 1
        uow.standing.verified([posting.key])
        if several:
            return
        if found is None or found.reversed:
            drift_payments.deleted(uow, connection.id, posting)
            comparison.tally.found += 1
        else:
            comparison.tally.found += drift_payments.judge(uow, connection, title, posting, found)


def _themes(comparison: Comparison) -> None:
    """Where a template carries the link and the system lets us look: placed again where it is missing."""
    connection, system = comparison.connection, comparison.system
    if system.manifest.capabilities.link == "template" and connection.place_links and connection.install_key:
        address = install_url(comparison.wiring.settings.public_url, connection.install_key)
        themes = system.themes(comparison.access, address)
        comparison.spend()
        bare = {theme.ref for theme in themes if theme.link == ""}
        with comparison.wiring.database.unit_of_work(connection.merchant_id) as uow:
            placed = uow.links.placements(connection.id, ("placed",), 100)
            if any(placement.target in bare for placement in placed):
                work = {"connection": connection.id}
                uow.work.add(Work.INJECT, str(connection.id), partition=str(connection.id), payload=work)
                comparison.tally.mended += 1
    _next_step(comparison)


def _next_step(comparison: Comparison) -> None:
    with comparison.wiring.database.unit_of_work(comparison.connection.merchant_id) as uow:
        kept = comparison.keep(step=comparison.stands["step"] + 1, cursor=None)
        uow.schedules.keep(Task.DRIFT, comparison.connection.id, kept)


def _stop_for_tonight(comparison: Comparison) -> None:
    with comparison.wiring.database.unit_of_work(comparison.connection.merchant_id) as uow:
        uow.schedules.keep(Task.DRIFT, comparison.connection.id, comparison.keep(paused=True))
        outcome = f"{_so_far(comparison)} Tonight's {CALLS_A_NIGHT} calls are used up; it goes on from here next night."
        uow.schedules.end(Task.DRIFT, comparison.connection.id, outcome)


def _finish(comparison: Comparison) -> None:
    connection = comparison.connection
    with comparison.wiring.database.unit_of_work(connection.merchant_id) as uow:
        for subject in uow.differences.unseen(connection.id, What.PAYMENT_EXTRA, comparison.began):
            uow.differences.gone(connection.id, What.PAYMENT_EXTRA, subject)
        uow.schedules.keep(Task.DRIFT, connection.id, comparison.keep(ended=True))
        uow.schedules.end(Task.DRIFT, connection.id, _so_far(comparison))


def _so_far(comparison: Comparison) -> str:
    tally = comparison.tally
    said = f"Compared {tally.seen} records in {comparison.stands['calls']} calls"
    if not tally.found and not tally.mended:
        return f"{said}: everything agrees."
    return f"{said}: {tally.found} to decide by you, {tally.mended} put right at once."
