"""Compare a page of invoices, and the links on them, with what we believe; put right what cannot lose anything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connector.db.differences import Found
from connector.db.rows import ConnectionRow
from connector.db.standing import Mirrored, Placed
from connector.db.unit_of_work import UnitOfWork
from connector.domain.links import token_hash
from connector.domain.money import minor_to_text
from connector.domain.records import InvoiceState, UpstreamInvoice
from connector.domain.tasks import What
from connector.domain.work import Work
from connector.wiring import Wiring

# A change younger than this may still be on its way to us: it is no difference yet.
_ON_ITS_WAY = timedelta(minutes=15)
_AFTER_THAT = "It was read again, and is right here now."


@dataclass
class Tally:
    """What a comparison came to so far: looked at, left to a person, put right at once."""

    seen: int = 0
    found: int = 0
    mended: int = 0


def compare(
    wiring: Wiring,
    uow: UnitOfWork,
    connection: ConnectionRow,
    records: Sequence[UpstreamInvoice],
    asked_at: datetime,
    tally: Tally,
) -> None:
    """Compare invoices as they stand upstream with the mirror, then store them. `asked_at`: before they were read."""
    known = uow.standing.invoices(connection.id, [record.remote_id for record in records])
    last_read = uow.standing.last_read(connection.id)
    title = wiring.system(connection.system).manifest.title
    for record in records:
        tally.seen += 1
        found = invoice_difference(title, known.get(record.remote_id), record, last_read)
        if found is not None:
            uow.differences.mended(connection.id, found, _AFTER_THAT)
            tally.mended += 1
    uow.mirror.put_invoices(connection.id, records)
    if wiring.system(connection.system).manifest.capabilities.link == "field" and connection.place_links:
        _links(wiring, uow, connection, records, asked_at, tally)


def invoice_difference(
    title: str, ours: Mirrored | None, theirs: UpstreamInvoice, last_read: datetime | None
) -> Found | None:
    """How an invoice differs although our reading of changes should have brought it. Pure; None when it agrees."""
    if last_read is None or (theirs.updated_at is not None and theirs.updated_at > last_read - _ON_ITS_WAY):
        return None
    if ours is None:
        if theirs.state is InvoiceState.DELETED:
            return None
        cause = f"{title} has had it for a while, and no reading of changes brought it to us."
        return Found(What.INVOICE, theirs.remote_id, theirs.number, "Not here", _in_words(theirs), cause)
    mine = (ours.state, ours.balance, ours.total, ours.currency)
    if theirs.state is InvoiceState.DELETED:
        if ours.state == InvoiceState.DELETED:
            return None
        cause = f"It was deleted in {title}, and we were not told. It is archived here."
        return Found(What.INVOICE, theirs.remote_id, ours.number, _in_words(ours), "Deleted", cause)
    if mine == (theirs.state.value, theirs.balance, theirs.total, theirs.currency):
        return None
    when = f" on {theirs.updated_at:%Y-%m-%d %H:%M} UTC" if theirs.updated_at else ""
    cause = f"It was changed in {title}{when}, and no reading of changes brought it to us."
    if theirs.state is InvoiceState.VOID:
        cause = f"It was voided in {title}{when}, and no reading of changes brought it to us."
    return Found(What.INVOICE, theirs.remote_id, theirs.number, _in_words(ours), _in_words(theirs), cause)


def link_difference(title: str, placed: Placed, number: str, text: str, public_url: str) -> Found | None:
    """How the text customers see on an invoice lacks the link we placed there. Pure; None when it stands."""
    tokens = re.findall(re.escape(public_url) + r"/i/([A-Za-z0-9_-]{22})", text)
    if placed.token_hash in {token_hash(token) for token in tokens}:
        return None
    ours = "The link to pay online stands on it"
    if tokens:
        cause = f"Somebody put an older link back, or copied the text of another invoice, in {title}."
        return Found(What.LINK, placed.target, number, ours, "Another link of ours stands there", cause)
    cause = f"Somebody took the line with the link off the invoice in {title}."
    return Found(What.LINK, placed.target, number, ours, "No link of ours stands there", cause)


def _links(
    wiring: Wiring,
    uow: UnitOfWork,
    connection: ConnectionRow,
    records: Sequence[UpstreamInvoice],
    asked_at: datetime,
    tally: Tally,
) -> None:
    payable = {
        record.remote_id: record for record in records if record.state is InvoiceState.OPEN and record.balance > 0
    }
    title = wiring.system(connection.system).manifest.title
    for placed in uow.standing.placed_links(connection.id, list(payable)):
        if placed.placed_at is None or placed.placed_at >= asked_at:
            continue
        record = payable[placed.target]
        found = link_difference(title, placed, record.number, record.memo, wiring.settings.public_url)
        before = uow.differences.of(connection.id, What.LINK, placed.target)
        if found is None:
            if before is not None:
                uow.differences.gone(connection.id, What.LINK, placed.target)
        elif before is None:
            place_again(uow, connection, placed.id)
            uow.differences.mended(connection.id, found, "The link is being placed again.")
            tally.mended += 1
        # Taken off a second time: somebody means it, so a person decides.
        elif uow.differences.open(connection.id, found):
            tally.found += 1


def place_again(uow: UnitOfWork, connection: ConnectionRow, placement_id: int) -> None:
    """Have a link placed again where it is missing."""
    uow.links.change_placement(placement_id, state="planned", problem="")
    uow.work.add(Work.INJECT, str(connection.id), partition=str(connection.id), payload={"connection": connection.id})


def _in_words(invoice: Mirrored | UpstreamInvoice) -> str:
    state = str(invoice.state).capitalize()
    if not invoice.currency:
        return state
    total, due = (minor_to_text(minor, invoice.currency) for minor in (invoice.total, invoice.balance))
    return f"{state}, {due} of {total} {invoice.currency} due"
