"""Compare payments recorded upstream with our postings: gone, changed, or standing though they shall not."""

from __future__ import annotations

import re
from collections.abc import Sequence

from connector.db.differences import Found
from connector.db.rows import ConnectionRow, PostingRow
from connector.db.unit_of_work import UnitOfWork
from connector.domain.money import minor_to_text
from connector.domain.postings import PostingState
from connector.domain.records import RemotePayment, UpstreamPayment
from connector.domain.tasks import What
from connector.journeys import write_back
from connector.journeys.drift_invoices import Tally
from connector.wiring import Wiring

_KEY = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_TAKEN_BACK = (PostingState.SUPERSEDED, PostingState.REVERSED)


def compare(
    wiring: Wiring, uow: UnitOfWork, connection: ConnectionRow, records: Sequence[UpstreamPayment], tally: Tally
) -> None:
    """Compare payments as they stand upstream with the postings whose keys they carry, then store them."""
    title = wiring.system(connection.system).manifest.title
    uow.mirror.put_payments(connection.id, records)
    ours = {record.remote_id: key for record in records if (key := key_in(record))}
    postings = uow.standing.postings(connection.id, sorted(set(ours.values())))
    tally.seen += len(records)
    standing: list[str] = []
    for record in records:
        posting = postings.get(ours.get(record.remote_id, ""))
        if posting is None:
            continue
        if record.reversed:
            uow.differences.gone(connection.id, What.PAYMENT_EXTRA, record.remote_id)
            if posting.state is PostingState.POSTED and posting.remote_id in ("", record.remote_id):
                deleted(uow, connection.id, posting)
                tally.found += 1
            continue
        if extra := extra_record(title, posting, record):
            tally.found += uow.differences.open(connection.id, extra)
        elif posting.state is PostingState.POSTED:
            standing.append(posting.key)
            tally.found += judge(uow, connection, title, posting, _remote(record))
    uow.standing.verified(standing)


def judge(uow: UnitOfWork, connection: ConnectionRow, title: str, posting: PostingRow, found: RemotePayment) -> bool:
    """Compare one record that stands with its posting; whether a person has to decide."""
    difference = changed_record(title, posting, found)
    if difference is None:
        uow.differences.gone(connection.id, What.PAYMENT_DIFFERS, posting.key)
        return False
    return uow.differences.open(connection.id, difference)


def deleted(uow: UnitOfWork, connection_id: int, posting: PostingRow) -> None:
    """A payment of ours no longer counts upstream: the posting waits for a person, who finds it with its fixes."""
    if posting.remote_id:
        write_back.notice_deleted(uow, connection_id, [posting.remote_id])
        return
    problem = "This payment was deleted in your accounting system by hand. Retry records it again."
    uow.postings.move(posting.key, (PostingState.POSTED,), PostingState.NEEDS_REVIEW, problem=problem)


def key_in(record: UpstreamPayment) -> str | None:
    """The key of ours a payment upstream carries, if any."""
    found = _KEY.findall(f"{record.reference} {record.note}")
    # Our payment's own id is 32 hex digits as well and stands before the key.
    return found[-1] if found else None


def extra_record(title: str, posting: PostingRow, record: UpstreamPayment) -> Found | None:
    """A payment that stands upstream and shall not: taken back here, or a second one under the same key. Pure."""
    amount = f"{minor_to_text(record.amount, record.currency)} {record.currency}"
    if posting.state in _TAKEN_BACK:
        ours, cause = "Taken back", f"It was put back in {title} after we had taken it back, or came there late."
    elif posting.state is PostingState.POSTED and posting.remote_id not in ("", record.remote_id):
        ours = f"Recorded once, as their number {posting.remote_id}"
        cause = f"The payment stands in {title} twice: it was copied there by hand, or taken in twice."
    else:
        return None
    theirs = f"{amount} stands there as number {record.remote_id}"
    return Found(
        What.PAYMENT_EXTRA, record.remote_id, amount, ours, theirs, cause, posting.payment_id, posting_key=posting.key
    )


def changed_record(title: str, posting: PostingRow, found: RemotePayment) -> Found | None:
    """A payment that stands upstream otherwise than we recorded it. Pure; None when it agrees."""
    same = (found.amount, found.currency) == (posting.amount, posting.currency)
    if same and sorted(found.allocations) == sorted(posting.allocations):
        return None
    ours = _said(posting.amount, posting.currency, posting.allocations)
    theirs = _said(found.amount, found.currency, found.allocations)
    changed = "what it pays" if same else "its amount"
    cause = f"Somebody changed {changed} in {title} after we had recorded the payment."
    name = f"{minor_to_text(posting.amount, posting.currency)} {posting.currency}"
    return Found(
        What.PAYMENT_DIFFERS, posting.key, name, ours, theirs, cause, posting.payment_id, posting_key=posting.key
    )


def _said(amount: int, currency: str, allocations: Sequence[tuple[str, int]]) -> str:
    shares = ", ".join(
        f"{minor_to_text(share, currency)} for invoice {invoice}" for invoice, share in sorted(allocations)
    )
    return f"{minor_to_text(amount, currency)} {currency}: {shares or 'for no invoice'}"


def _remote(record: UpstreamPayment) -> RemotePayment:
    return RemotePayment(
        record.remote_id, record.amount, record.currency, record.reversed, record.version, record.allocations
    )
