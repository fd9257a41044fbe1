"""Make the system's books agree with ours: each posting looked up, sent or adopted, or reversed. Exactly once."""

from __future__ import annotations

from collections.abc import Sequence

from connector.contract import Access, Answer, BillingSystem, Disconnected, Gone, TryAgain
from connector.db.rows import ConnectionRow, PostingRow
from connector.db.unit_of_work import UnitOfWork
from connector.db.work import WorkItem
from connector.domain.postings import PostingState
from connector.domain.records import UpstreamInvoice
from connector.journeys import record_part, take_back
from connector.journeys.connect import mark_broken
from connector.journeys.record_part import OwnRule, WriteBack
from connector.wiring import Wiring

_TO_SEND = (PostingState.QUEUED, PostingState.SENDING)
# A system that does not answer is not asked for every part of a payment.
_MOST_UNANSWERED = 3


def run(wiring: Wiring, item: WorkItem) -> None:
    """Worker: bring one payment's postings of one connection to where they shall be, reversals first.

    Each part goes its own way: one that has to wait, is refused or gets no clear answer does not keep the others.
    """
    merchant_id, payment_id = item.merchant_id, str(item.payload["payment"])
    with wiring.database.view(merchant_id) as view:
        connection = view.connections.get(int(item.payload["connection"]))
        customer = view.payments.get(payment_id).customer
        postings = view.postings.of_payment(payment_id, connection.id)
    if connection.state != "active":
        raise Disconnected(f"The payment waits to be recorded until {connection.name} is connected again.")
    system = wiring.system(connection.system)
    try:
        access = wiring.access(connection)
        _all_parts(WriteBack(wiring, item, connection, system, access, customer), postings)
        _close(wiring, system, access, connection, payment_id)
    except Disconnected as ended:
        mark_broken(wiring, merchant_id, connection.id, ended.why)
        raise


def _all_parts(attempt: WriteBack, postings: Sequence[PostingRow]) -> None:
    """Raises the most serious of what was left: an unclear outcome before a mere delay, and the shortest of these."""
    unclear: list[Answer] = []
    delays: list[TryAgain] = []
    # What could not be taken back stands in the way of what shall stand in its place.
    stuck = {posting.part for posting in postings if posting.state is PostingState.NEEDS_REVIEW}
    reversing = [posting for posting in postings if posting.state is PostingState.REVERSING]
    to_send = [posting for posting in postings if posting.state in _TO_SEND]
    for posting in (*reversing, *to_send):
        if len([delay for delay in delays if not isinstance(delay, OwnRule)]) >= _MOST_UNANSWERED:
            break
        try:
            if posting.state is PostingState.REVERSING:
                if not take_back.run(attempt, posting):
                    stuck.add(posting.part)
            elif posting.part not in stuck:
                record_part.run(attempt, posting)
        except Disconnected:
            raise
        except TryAgain as delay:
            delays.append(delay)
            stuck.add(posting.part)
        except Answer as answer:
            unclear.append(answer)
            stuck.add(posting.part)
    if unclear:
        raise unclear[0]
    if delays:
        raise min(delays, key=lambda delay: delay.after)


def _close(wiring: Wiring, system: BillingSystem, access: Access, connection: ConnectionRow, payment_id: str) -> None:
    """Everything stands: read the invoices back as they are now, and let them be paid again."""
    with wiring.database.view(connection.merchant_id) as view:
        if view.postings.open_count(payment_id):
            return
        invoices = view.invoices.several(list(view.payments.shares(payment_id)))
    read: list[UpstreamInvoice] = []
    for invoice in invoices:
        try:
            read.append(system.invoice(access, invoice.remote_id))
        except Gone:
            continue
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        if read:
            uow.mirror.put_invoices(connection.id, read)
        # A refund may have been booked while the invoices were read.
        if not uow.postings.open_count(payment_id):
            uow.payments.release(payment_id)


def notice_deleted(uow: UnitOfWork, connection_id: int, remote_ids: Sequence[str]) -> None:
    """Payments of these ids no longer count upstream: where one was ours and shall stand, a person must know."""
    for posting in uow.postings.posted_as(connection_id, remote_ids):
        problem = (
            "This payment was deleted or voided in your accounting system by hand, so the invoice is due again there. "
            "Retry records it again."
        )
        if uow.postings.move(posting.key, (PostingState.POSTED,), PostingState.NEEDS_REVIEW, problem=problem):
            uow.payments.tell(posting.payment_id, "system", "The recorded payment was deleted by hand", problem)
