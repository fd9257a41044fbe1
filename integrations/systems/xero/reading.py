"""Reading Xero in pages: the first import, then what has changed since. Cursors are this module's own JSON.

First import: page 1 tells how many there are, the others may be asked at once; rows stand in the order of their ids,
so that an edit moves nothing. Delta: `If-Modified-Since` by seek (never page 2 of a list that moves), with the
manifest's overlap, begun by Xero's own clock.
Source: developer.xero.com/documentation/api/accounting (paging, headers).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Lock

import requests

from connector.contract import TryAgain
from connector.domain.records import Kind, Page, Record, Unreadable, UpstreamRecurring
from integrations.systems.xero.client import Client
from integrations.systems.xero.manifest import MANIFEST
from integrations.systems.xero.mapping_bulk import Decoded, decode_page
from integrations.systems.xero.vocabulary import CUSTOMER_PAYMENT

OVERLAP = timedelta(seconds=MANIFEST.capabilities.delta_overlap)
_SECOND = timedelta(seconds=1)
# Pages in flight save waiting, not work: mapping one at a time takes the memory of one.
_mapping = Lock()
_STATUSES = ["DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED", "DELETED"]


@dataclass(frozen=True, slots=True)
class ListCall:
    """How one kind is listed. `size` 0: the list comes whole and knows no If-Modified-Since.

    Unpaged lists leave out lines, so `page` is always sent where it exists.
    """

    size: int
    order: str = ""
    where: str = ""
    fixed: Mapping[str, object] | None = None
    sized: bool = True
    dated: bool = True


LIST_CALLS: Mapping[Kind, ListCall] = {
    Kind.INVOICE: ListCall(1000, "InvoiceID", 'Type=="ACCREC"', {"statuses": _STATUSES, "unitdp": 4}),
    Kind.CREDIT_NOTE: ListCall(1000, "CreditNoteID", 'Type=="ACCRECCREDIT"', {"unitdp": 4}),
    # A contact becomes a customer with its first invoice without its UpdatedDateUTC moving: all contacts are read.
    Kind.CUSTOMER: ListCall(1000, "ContactID", fixed={"include_archived": True}, dated=False),
    Kind.PAYMENT: ListCall(1000, "PaymentID", f'PaymentType=="{CUSTOMER_PAYMENT}"'),
    # Quotes know no pageSize and no where.
    Kind.ESTIMATE: ListCall(100, "QuoteID", sized=False),
    Kind.RECURRING: ListCall(0, where='Type=="ACCREC"', dated=False),
}


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a reading stands. `since` is a day (first import) or a moment in UTC seconds (delta).

    `began` is Xero's clock when the reading began; `pages` and `items` what page 1 said.
    """

    mode: str
    since: str = ""
    page: int = 1
    began: str = ""
    pages: int = 0
    items: int = 0

    def text(self) -> str:
        """The cursor as it is stored."""
        return json.dumps({name: value for name, value in asdict(self).items() if value}, separators=(",", ":"))


def first_cursor(since: date | None) -> str:
    """Where the first import starts. No call is made: page 1 brings the figures."""
    return Cursor("full", since.isoformat() if since else "").text()


def ahead(cursor: str) -> Sequence[str]:
    """Page 1 stands alone; once the number of pages is known all that are left may be asked at once."""
    start = _read(cursor)
    if start.mode != "full" or not start.pages:
        return [cursor]
    return [replace(start, page=page).text() for page in range(start.page, start.pages + 1)]


def read_page(client: Client, kind: Kind, text: str) -> Page:
    """One page of a first import or a delta."""
    cursor, call = _read(text), LIST_CALLS[kind]
    found, answered = _fetch(client, kind, call, cursor)
    began = cursor.began or _moment(found.told_at or answered)
    cursor = replace(cursor, began=began)
    if not call.size:
        return _page(found, text, done=True, total=found.rows)
    if cursor.mode == "full":
        return _full_page(client, kind, call, cursor, found)
    return _delta_page(call, cursor, found)


def count_query(kind: Kind, since: date | None, **more: object) -> dict[str, object]:
    """Arguments for the smallest list answer that still carries its figures."""
    call = LIST_CALLS[kind]
    query = _filters(call, since.isoformat() if since else "")
    if call.size:
        query["page"] = 1
    if call.size and call.sized:
        query["page_size"] = 1
    return {**query, **more}


def _full_page(client: Client, kind: Kind, call: ListCall, cursor: Cursor, found: Decoded) -> Page:
    if found.pages is None:
        last = found.rows < call.size
        following = replace(cursor, page=cursor.page + 1)
        total = found.rows if last and cursor.page == 1 else None
    else:
        if cursor.page == 1:
            cursor = replace(cursor, pages=max(1, found.pages), items=found.items or 0)
        else:
            found = _with_neighbour(client, kind, call, cursor, found)
        last, total = cursor.page >= cursor.pages, cursor.items
        following = replace(cursor, page=cursor.page + 1)
    following = _next_delta(cursor) if last else following
    return _page(found, following.text(), done=last, total=total)


def _with_neighbour(client: Client, kind: Kind, call: ListCall, cursor: Cursor, found: Decoded) -> Decoded:
    """Rows come and go while pages are read side by side: those pushed over a page's edge are fetched with it.

    A row more since page 1 pushes one of this page's rows to the next, a row fewer draws one of them to the one before.
    """
    step = (found.items or 0) - cursor.items
    if not step:
        return found
    beside, _ = _fetch(client, kind, call, replace(cursor, page=cursor.page + (1 if step > 0 else -1)))
    once: dict[str, Record] = {record.remote_id: record for record in (*beside.records, *found.records)}
    broken: dict[str, Unreadable] = {one.remote_id: one for one in (*beside.unreadable, *found.unreadable)}
    return found._replace(records=list(once.values()), unreadable=list(broken.values()))


def _delta_page(call: ListCall, cursor: Cursor, found: Decoded) -> Page:
    more = cursor.page < found.pages if found.pages is not None else found.rows >= call.size
    if not more:
        return _page(found, _next_delta(cursor).text(), done=True, total=None)
    moments = [one.updated_at for one in found.records if not isinstance(one, UpstreamRecurring) and one.updated_at]
    # Whether the header means "after" or "from" is not written down: the last second is read again.
    reached = _moment(max(moments) - _SECOND) if moments else ""
    # A thousand changes within one second (a bulk edit) leave nowhere to seek to: the same list is paged on.
    following = (
        replace(cursor, since=reached, page=1) if reached > cursor.since else replace(cursor, page=cursor.page + 1)
    )
    return _page(found, following.text(), done=False, total=None)


def _next_delta(cursor: Cursor) -> Cursor:
    since = _moment(datetime.fromisoformat(cursor.began).replace(tzinfo=UTC) - OVERLAP)
    return Cursor("delta", max(since, cursor.since) if cursor.mode == "delta" else since)


def _page(found: Decoded, following: str, *, done: bool, total: int | None) -> Page:
    return Page(found.records, found.unreadable, following, done, total)


def _fetch(client: Client, kind: Kind, call: ListCall, cursor: Cursor) -> tuple[Decoded, datetime]:
    delta = cursor.mode == "delta"
    query = _filters(call, "" if delta else cursor.since)
    if call.size:
        query["page"] = cursor.page
        query["order"] = "UpdatedDateUTC ASC" if delta else f"{call.order} ASC"
    if call.size and call.sized:
        query["page_size"] = call.size
    if delta and call.size:
        query["if_modified_since"] = cursor.since
    answer = client.page(kind, query)
    try:
        with _mapping:
            return decode_page(kind, answer.content), _clock_of(answer)
    except ValueError as error:
        raise TryAgain("Xero sent a page that cannot be read.") from error


def _filters(call: ListCall, since: str) -> dict[str, object]:
    query = dict(call.fixed or {})
    where = call.where
    if since and call.dated and not call.sized:
        query["date_from"] = since
    elif since and call.dated:
        first = date.fromisoformat(since)
        where = f"{where} AND Date>=DateTime({first.year},{first.month:02},{first.day:02})"
    if where:
        query["where"] = where
    return query


def _clock_of(answer: requests.Response) -> datetime:
    """Xero's clock by the Date header; ours only when the answer has none."""
    try:
        return parsedate_to_datetime(answer.headers.get("Date", "")).astimezone(UTC)
    except (TypeError, ValueError):
        return datetime.now(UTC)


def _moment(at: datetime) -> str:
    """A moment as If-Modified-Since takes it: UTC, ISO, whole seconds, no zone."""
    return at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()


def _read(text: str) -> Cursor:
    return Cursor(**json.loads(text))
