"""Bring what stands upstream into the mirror: first import by pages, then what has changed since."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from time import monotonic

from connector.contract import Access, Answer, BillingSystem, Disconnected, TryAgain
from connector.db.connections import Reading
from connector.db.rows import ConnectionRow, ProblemRow
from connector.db.unit_of_work import UnitOfWork
from connector.db.work import WorkItem
from connector.domain.records import (
    Kind,
    Page,
    Record,
    Unreadable,
    UpstreamCustomer,
    UpstreamInvoice,
    UpstreamPayment,
    UpstreamRecurring,
)
from connector.domain.work import Work
from connector.errors import Conflict, Unavailable
from connector.journeys import fresh, write_back
from connector.journeys.connect import mark_broken
from connector.wiring import Wiring

# A transaction holds at most this many records (about 10 ms of writing), so that webhooks and customers are never kept
# waiting by an import. Half of it costs a fifth more: rows of random ids touch the same pages of the indexes again.
BATCH = 500
# How long one attempt reads before it makes room for others and goes on as the next attempt.
TURN_SECONDS = 20.0


def ask(wiring: Wiring, merchant_id: int, connection_id: int) -> None:
    """Sync now: what a person's button and the schedule do."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        connection = uow.connections.get(connection_id)
        uow.work.add(Work.SYNC, str(connection.id), partition=str(connection.id), payload={"connection": connection.id})


def one(wiring: Wiring, merchant_id: int, wanted: int | ProblemRow) -> None:
    """Sync now, for one invoice: by our id, or one that could not be read before.

    Raises Conflict (the connection has ended, or it cannot be read, which is kept), Unavailable (no answer).
    """
    with wiring.database.view(merchant_id) as view:
        invoice = wanted if isinstance(wanted, ProblemRow) else view.invoices.get(wanted)
        connection = view.connections.get(invoice.connection_id)
    if connection.state != "active" or invoice.kind != Kind.INVOICE:
        raise Conflict("Only invoices of an active connection can be read again.")
    system = wiring.system(connection.system)
    read: UpstreamInvoice | Unreadable
    try:
        read = system.invoice(wiring.access(connection), invoice.remote_id)
    except Disconnected as ended:
        mark_broken(wiring, merchant_id, connection.id, ended.why)
        raise Conflict(ended.why) from ended
    except Answer as answer:
        read = _instead(system, answer, invoice.remote_id, invoice.number)
    with wiring.database.unit_of_work(merchant_id) as uow:
        uow.mirror.put_invoices(connection.id, fresh.keep(uow, connection.id, [read]))
    if isinstance(read, Unreadable):
        raise Conflict(read.why)


def _instead(system: BillingSystem, answer: Answer, remote_id: str, number: str) -> UpstreamInvoice | Unreadable:
    try:
        return fresh.instead(answer, remote_id, number)
    except Answer:
        raise Unavailable(f"{system.manifest.title} could not be asked just now: {answer.why}") from answer


def run(wiring: Wiring, item: WorkItem) -> None:
    """Worker: read every kind to its end, or as far as one turn goes. Resumes where the last page was stored.

    The work's `kinds`, where named, are all that is read: what webhooks have told of.
    """
    merchant_id, connection_id = item.merchant_id, int(item.payload["connection"])
    with wiring.database.view(merchant_id) as view:
        connection = view.connections.get(connection_id)
    if connection.state != "active":
        return
    system = wiring.system(connection.system)
    named = item.payload.get("kinds")
    kinds = [Kind(name) for name in named or system.manifest.capabilities.reads]
    until = monotonic() + TURN_SECONDS
    try:
        access = wiring.access(connection)
        changed = 0
        unchanged: list[Reading] = []
        for kind in kinds:
            changed += read_kind(wiring, connection, access, kind, until, unchanged)
    except Disconnected as ended:
        mark_broken(wiring, merchant_id, connection_id, ended.why)
        return
    with wiring.database.unit_of_work(merchant_id) as uow:
        first = {} if named or connection.first_import_done_at else {"first_import_done_at": uow.now}
        synced = {} if named else {"last_synced_at": uow.now}
        uow.connections.change(connection_id, problem="", **synced, **first)
        for reading in unchanged:
            uow.connections.move_reading(connection_id, reading)
        if connection.place_links and (changed or first):
            uow.work.add(
                Work.INJECT, str(connection_id), partition=str(connection_id), payload={"connection": connection_id}
            )


def read_kind(
    wiring: Wiring, connection: ConnectionRow, access: Access, kind: Kind, until: float, unchanged: list[Reading]
) -> int:
    """Read one kind to its end; how many records came. Raises TryAgain when the turn is over (monotonic `until`).

    A reading that found nothing new is added to `unchanged` for its cursor to be stored together with others.
    """
    system = wiring.system(connection.system)
    with wiring.database.view(connection.merchant_id) as view:
        reading = view.connections.reading(connection.id, kind)
    if reading is None:
        cursor = system.first_cursor(access, kind, connection.history_start)
        reading = Reading(kind, cursor, first_done=False, seen=0, total=None)
        with wiring.database.unit_of_work(connection.merchant_id) as uow:
            uow.connections.move_reading(connection.id, reading)
    count = 0
    while True:
        for page in _pages(system, access, kind, reading.cursor, until):
            reading = Reading(
                kind,
                page.next,
                first_done=reading.first_done or page.done,
                seen=reading.seen + (0 if reading.first_done else len(page.records) + len(page.unreadable)),
                total=page.total if page.total is not None else reading.total,
            )
            if page.done and not page.records and not page.unreadable:
                unchanged.append(reading)
                return count
            _store(wiring, connection, page, reading)
            count += len(page.records)
            if page.done:
                return count
        if monotonic() > until:
            raise TryAgain("There is more to read; the import goes on.", after=0.0)


def _pages(system: BillingSystem, access: Access, kind: Kind, cursor: str, until: float) -> Iterator[Page]:
    """The pages that can be asked for now, in order, several in flight where the upstream's pages are independent.

    When the turn is over no more are asked for, but those in flight still come: upstreams count and charge for calls.
    """
    cursors = deque(system.ahead(kind, cursor))
    if len(cursors) == 1:
        yield system.page(access, kind, cursors[0])
        return
    with ThreadPoolExecutor(system.manifest.pages_in_flight, thread_name_prefix="page") as pool:
        waiting: deque[Future[Page]] = deque()
        try:
            waiting.append(pool.submit(copy_context().run, _page, system, access, kind, cursors.popleft()))
            while waiting:
                while cursors and len(waiting) < system.manifest.pages_in_flight and monotonic() <= until:
                    waiting.append(pool.submit(copy_context().run, _page, system, access, kind, cursors.popleft()))
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _page(system: BillingSystem, access: Access, kind: Kind, cursor: str) -> Page:
    return system.page(access, kind, cursor)


def _store(wiring: Wiring, connection: ConnectionRow, page: Page, reading: Reading) -> None:
    """Write a page in short transactions; the cursor moves only in the last, and every write may be repeated."""
    records = page.records
    starts = range(0, max(len(records), 1), BATCH)
    for start in starts:
        with wiring.database.unit_of_work(connection.merchant_id) as uow:
            put(uow, connection.id, reading.kind, records[start : start + BATCH])
            if start == starts[-1]:
                uow.mirror.put_unreadable(connection.id, reading.kind, page.unreadable)
                uow.connections.move_reading(connection.id, reading)


def put(uow: UnitOfWork, connection_id: int, kind: Kind, records: Sequence[Record]) -> None:
    """Write records of one kind into the mirror."""
    if not records:
        return
    match kind:
        case Kind.CUSTOMER:
            uow.mirror.put_customers(connection_id, [r for r in records if isinstance(r, UpstreamCustomer)])
        case Kind.PAYMENT:
            payments = [r for r in records if isinstance(r, UpstreamPayment)]
            uow.mirror.put_payments(connection_id, payments)
            if deleted := [payment.remote_id for payment in payments if payment.reversed]:
                write_back.notice_deleted(uow, connection_id, deleted)
        case Kind.RECURRING:
            uow.mirror.put_recurring(connection_id, [r for r in records if isinstance(r, UpstreamRecurring)])
        case Kind.INVOICE | Kind.CREDIT_NOTE | Kind.ESTIMATE:
            uow.mirror.put_invoices(connection_id, [r for r in records if isinstance(r, UpstreamInvoice)])
