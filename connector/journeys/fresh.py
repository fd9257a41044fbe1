"""Ask the upstream what is due right now, within a customer's patience, and keep the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from datetime import timedelta

from connector.contract import UNREADABLE, Access, Answer, BillingSystem, Gone, Refused
from connector.db.rows import ConnectionRow, InvoiceRow
from connector.db.unit_of_work import UnitOfWork
from connector.domain.payments import CONFIRMED_WITHIN_SECONDS
from connector.domain.records import InvoiceState, Kind, Unreadable, UpstreamInvoice
from connector.errors import Unavailable
from connector.wiring import Wiring

PATIENCE_SECONDS = 3.0
_AT_ONCE = 5


def reread(wiring: Wiring, connection: ConnectionRow, invoices: Sequence[InvoiceRow]) -> None:
    """Re-read invoices into the mirror. One the upstream did not answer for in time may be relied on only when its
    balance was confirmed within 15 minutes; otherwise Unavailable says when to try again."""
    answers = _ask(wiring, connection, invoices)
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        if answers:
            uow.mirror.put_invoices(connection.id, list(answers.values()))
        oldest = uow.now - timedelta(seconds=CONFIRMED_WITHIN_SECONDS)
    if any(invoice.confirmed_at < oldest for invoice in invoices if invoice.remote_id not in answers):
        title = wiring.system(connection.system).manifest.title
        raise Unavailable(
            f"{title} does not answer right now, so we cannot confirm what is due. Nothing was charged; "
            "please try again in a few minutes."
        )


def _ask(wiring: Wiring, connection: ConnectionRow, invoices: Sequence[InvoiceRow]) -> Mapping[str, UpstreamInvoice]:
    """Answers by remote id, of those that came within the customer's patience."""
    system = wiring.system(connection.system)
    access = wiring.access(connection)
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="reread")
    try:
        asked = {
            pool.submit(copy_context().run, _one, system, access, invoice.remote_id): invoice.remote_id
            for invoice in invoices
        }
        done, _ = wait(asked, timeout=PATIENCE_SECONDS)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    answers = {}
    for future in done:
        remote_id = asked[future]
        try:
            answers[remote_id] = future.result()
        except Gone:
            answers[remote_id] = deleted(remote_id)
        except Answer:
            continue
    return answers


def _one(system: BillingSystem, access: Access, remote_id: str) -> UpstreamInvoice:
    return system.invoice(access, remote_id)


def instead(answer: Answer, remote_id: str, number: str) -> UpstreamInvoice | Unreadable:
    """What is kept of an invoice that is gone, or that the system sends in no readable form. Any other answer is raised
    again."""
    if isinstance(answer, Gone):
        return deleted(remote_id)
    if isinstance(answer, Refused) and answer.code == UNREADABLE:
        return Unreadable(remote_id, number, answer.why)
    raise answer


def keep(uow: UnitOfWork, connection_id: int, read: Sequence[UpstreamInvoice | Unreadable]) -> list[UpstreamInvoice]:
    """Keep what could not be read with its cause; what could be, for the caller to store."""
    uow.mirror.put_unreadable(connection_id, Kind.INVOICE, [one for one in read if isinstance(one, Unreadable)])
    return [one for one in read if isinstance(one, UpstreamInvoice)]


def deleted(remote_id: str) -> UpstreamInvoice:
    """What is kept of an invoice that no longer exists upstream."""
    return UpstreamInvoice(
        kind=Kind.INVOICE,
        remote_id=remote_id,
        number="",
        state=InvoiceState.DELETED,
        customer="",
        issue_date=None,
        due_date=None,
        currency="",
        total=0,
        tax=0,
        balance=0,
        memo="",
        reference="",
        theme="",
        emailed=False,
        version="",
        updated_at=None,
        lines=(),
    )
