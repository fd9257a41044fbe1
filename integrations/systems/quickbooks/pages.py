"""Reading everything once, then what has changed: cursors and pages.

The first import counts, then reads pages by `ORDERBY Id`, which do not depend on each other. The order is stable
because ids are unique and never change: a record created meanwhile can only move others to a later page, where they
are read again. A record deleted meanwhile moves others to an earlier page, where they could be missed: when the
first change reading tells of one, everything is read once more.

Changes come by change data capture (30 days back, 1,000 objects an answer, then silently cut), else by a query that
seeks along LastUpdatedTime and does not see deletions.
Source: developer.intuit.com, "Change data capture" and "Data queries".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from threading import Lock
from typing import Literal

import msgspec

from connector.domain.records import Kind, Page, Record, Unreadable, UpstreamInvoice, UpstreamPayment
from integrations.outcomes import Call, lost
from integrations.systems.quickbooks import faults, mapping
from integrations.systems.quickbooks.client import Client, literal
from integrations.systems.quickbooks.manifest import MANIFEST
from integrations.systems.quickbooks.mapping_bulk import Batch, Faulty, Garbled, read_answer, read_changes
from integrations.systems.quickbooks.values import ENTITY, Unmappable, instant

PAGE = MANIFEST.page_size
# Both clocks and the order in which Intuit's servers learn of a change are only nearly right.
OVERLAP = timedelta(seconds=MANIFEST.capabilities.delta_overlap)
_LOOKS_BACK = timedelta(days=29)
# Pages in flight save waiting, not work: mapping one at a time takes the memory of one.
_mapping = Lock()
_DATED = frozenset({Kind.INVOICE, Kind.CREDIT_NOTE, Kind.ESTIMATE, Kind.PAYMENT})


class Cursor(msgspec.Struct, omit_defaults=True, frozen=True):
    """Where a reading stands.

    `since` is where the next reading of changes starts (UTC), `history` the first date of interest, `total` the count
    the pages were planned by. `low` and `start` are the seek's lower bound and offset. `sweep`: a deletion found in
    the next changes makes us read everything once more.
    """

    mode: Literal["all", "changes", "query", "list"]
    since: str = ""
    history: str = ""
    start: int = 1
    total: int = 0
    low: str = ""
    sweep: bool = False

    def text(self) -> str:
        return msgspec.json.encode(self).decode()


_decoder = msgspec.json.Decoder(Cursor)


def first_cursor(client: Client, kind: Kind, since: date | None) -> str:
    """Count, and plan the first import from its first page."""
    if kind is Kind.RECURRING:
        return Cursor("list").text()
    return _from_the_start(client, kind, since.isoformat() if since else "", sweep=True).text()


def ahead(cursor: str) -> Sequence[str]:
    """All planned pages of a first import from this one on; anything else has to be read one by one."""
    now = _decoder.decode(cursor)
    if now.mode != "all":
        return [cursor]
    starts = range(now.start, max(now.total, now.start) + 1, PAGE)
    return [cursor, *(msgspec.structs.replace(now, start=start).text() for start in starts[1:])]


def page(client: Client, kind: Kind, cursor: str, home_currency: Callable[[], str]) -> Page:
    """One page of whichever reading the cursor belongs to."""
    now = _decoder.decode(cursor)
    if now.mode == "list":
        return _list_page(client, now, home_currency())
    if now.mode == "all":
        return _import_page(client, kind, now, home_currency())
    if now.mode == "changes":
        began = instant(now.since)
        if began and datetime.now(UTC) - began < _LOOKS_BACK:
            return _changes_page(client, kind, now, home_currency())
        clock = client.count(ENTITY[kind])[1]
        now = Cursor("query", since=_before(clock), history=now.history, low=now.since)
    return _query_page(client, kind, now, home_currency())


def _from_the_start(client: Client, kind: Kind, history: str, *, sweep: bool) -> Cursor:
    total, clock = client.count(ENTITY[kind], _scope(kind, history))
    return Cursor("all", since=_before(clock), history=history, total=total, sweep=sweep)


def _import_page(client: Client, kind: Kind, now: Cursor, home_currency: str) -> Page:
    entity = ENTITY[kind]
    select = f"SELECT * FROM {entity}{_scope(kind, now.history)} ORDERBY Id STARTPOSITION {now.start} MAXRESULTS {PAGE}"  # noqa: S608 - not SQL
    batch = _decoded(read_answer, kind, client.rows_raw(entity, select), home_currency)
    following = now.start + PAGE
    done = following > now.total and batch.seen < PAGE
    if done:
        after = Cursor("changes", since=now.since, history=now.history, sweep=now.sweep)
    else:
        after = msgspec.structs.replace(now, start=following)
    return Page(batch.records, batch.unreadable, after.text(), done, now.total)


def _changes_page(client: Client, kind: Kind, now: Cursor, home_currency: str) -> Page:
    entity = ENTITY[kind]
    batch = _decoded(read_changes, kind, client.changes_raw(entity, now.since), home_currency)
    records = _in_scope(batch.records, now.history)
    since = _before(batch.time)
    if now.sweep and (batch.deleted or len(records) < len(batch.records)):
        after, done = _from_the_start(client, kind, now.history, sweep=False), False
    elif batch.seen >= PAGE:
        after, done = Cursor("query", since=since, history=now.history, low=now.since), False
    else:
        after, done = Cursor("changes", since=since, history=now.history), True
    return Page(records, batch.unreadable, after.text(), done, None)


def _query_page(client: Client, kind: Kind, now: Cursor, home_currency: str) -> Page:
    entity = ENTITY[kind]
    bounds = [f"MetaData.LastUpdatedTime >= {literal(now.low)}"]
    if scope := _scope(kind, now.history):
        bounds.insert(0, scope.removeprefix(" WHERE "))
    select = (
        f"SELECT * FROM {entity} WHERE {' AND '.join(bounds)} ORDERBY MetaData.LastUpdatedTime "  # noqa: S608 - not SQL
        f"STARTPOSITION {now.start} MAXRESULTS {PAGE}"
    )
    batch = _decoded(read_answer, kind, client.rows_raw(entity, select), home_currency)
    if batch.seen < PAGE:
        after, done = Cursor("changes", since=now.since, history=now.history), True
    else:
        # The bound is raised to the last row less a second. Where a whole page has one time, go on by offset.
        last = instant(batch.last_updated)
        low = _text(last - timedelta(seconds=1)) if last else now.low
        moved = instant(low) != instant(now.low) and _later(low, now.low)
        after = msgspec.structs.replace(now, low=low if moved else now.low, start=1 if moved else now.start + PAGE)
        done = False
    return Page(batch.records, batch.unreadable, after.text(), done, None)


def _list_page(client: Client, now: Cursor, home_currency: str) -> Page:
    """Recurring profiles know neither counting nor changes: they are few and read whole each time."""
    rows = client.rows(ENTITY[Kind.RECURRING], start=now.start, most=PAGE)
    records: list[Record] = []
    unreadable: list[Unreadable] = []
    for row in rows:
        try:
            found = mapping.recurring(row, home_currency)
        except Unmappable as reason:
            template = row.get("Invoice") or {}
            unreadable.append(Unreadable(str(template.get("Id") or ""), "", str(reason)))
            continue
        if found:
            records.append(found)
    done = len(rows) < PAGE
    after = Cursor("list") if done else msgspec.structs.replace(now, start=now.start + PAGE)
    return Page(records, unreadable, after.text(), done, None)


def _decoded(read: Callable[[Kind, bytes, str], Batch], kind: Kind, body: bytes, home_currency: str) -> Batch:
    call = Call(f"{ENTITY[kind].lower()}.query")
    try:
        with _mapping:
            return read(kind, body, home_currency)
    except Faulty as found:
        raise faults.from_raw(call, found.fault) from found
    except Garbled as error:
        raise lost(faults.TITLE, call, "sent an answer that cannot be read") from error


def _scope(kind: Kind, history: str) -> str:
    if kind is Kind.CUSTOMER:
        return " WHERE Active IN (true, false)"
    return f" WHERE TxnDate >= {literal(history)}" if history and kind in _DATED else ""


def _in_scope(records: list[Record], history: str) -> list[Record]:
    """Leave out what is dated before the history start; notices of deletion have no date and stay."""
    if not history:
        return records
    first = date.fromisoformat(history)
    return [record for record in records if (_dated(record) or first) >= first]


def _dated(record: Record) -> date | None:
    if isinstance(record, UpstreamInvoice):
        return record.issue_date
    return record.paid_on if isinstance(record, UpstreamPayment) else None


def _before(clock: str) -> str:
    """The upstream's own time less the overlap; ours where it did not say."""
    try:
        now = instant(clock)
    except Unmappable:
        now = None
    return _text((now or datetime.now(UTC)) - OVERLAP)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _later(one: str, other: str) -> bool:
    first, second = instant(one), instant(other)
    return bool(first and second and first > second)
