"""Records that could not be read and links that could not be placed, as differences with their causes and fixes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.reader import Reader
from connector.domain.records import InvoiceState, Kind, record_name
from connector.domain.tasks import LONGEST_SUBJECT, What
from connector.reading.difference_fixes import Difference, fixes_of_link, fixes_of_record, in_words

SHOWN = 100
_s, _g, _c, _i, _d = (table.c for table in (t.sync_problems, t.placements, t.connections, t.invoices, t.differences))
_MERCHANT: sa.BindParameter[int] = sa.bindparam("merchant")


def _ignored(what: What, connection: Any, subject: Any, cause: Any) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        _d.connection_id == connection,
        _d.what == what.value,
        _d.subject == subject,
        _d.state == "ignored",
        _d.cause == cause,
    )


# The SQL of domain.tasks.record_subject.
_SUBJECT = sa.func.substr(_s.kind + ":" + _s.remote_id, 1, LONGEST_SUBJECT)
_UNREAD_WHERE = (
    _s.merchant_id == _MERCHANT,
    _c.merchant_id == _MERCHANT,
    _c.state.in_(("active", "broken")),
    ~_ignored(What.UNREAD, _s.connection_id, _SUBJECT, _s.why),
)
_OF_CONNECTION = t.sync_problems.join(t.connections, _c.id == _s.connection_id)
_MIRRORED = sa.and_(_i.connection_id == _s.connection_id, _i.kind == _s.kind, _i.remote_id == _s.remote_id)
_INVOICE_FIELDS = (_i.id.label("invoice_id"), _i.state, _i.total, _i.balance, _i.currency)
_UNREAD = (
    sa.select(
        *(_s.id, _s.kind, _s.remote_id, _s.number, _s.why, _s.seen_at),
        *(_c.system, _c.name.label("connection"), *_INVOICE_FIELDS),
    )
    .select_from(_OF_CONNECTION.outerjoin(t.invoices, _MIRRORED))
    .where(*_UNREAD_WHERE)
    .order_by(_s.seen_at.desc(), _s.id.desc())
    .limit(SHOWN)
)
# A link matters while somebody may pay by it.
_REFUSED_WHERE = (
    _g.merchant_id == _MERCHANT,
    _c.merchant_id == _MERCHANT,
    _g.state == "refused",
    _g.link_id.is_not(None),
    _c.state == "active",
    _c.place_links,
    _i.state == InvoiceState.OPEN.value,
    _i.balance > 0,
    ~_ignored(What.LINK_REFUSED, _g.connection_id, _g.target, _g.problem),
)
_ON_INVOICE = t.placements.join(t.connections, _c.id == _g.connection_id).join(
    t.invoices,
    sa.and_(_i.connection_id == _g.connection_id, _i.kind == Kind.INVOICE.value, _i.remote_id == _g.target),
)
_REFUSED = (
    sa.select(
        *(_g.id, _g.problem, _g.changed_at, _i.number, _i.remote_id, _c.system, _c.name.label("connection")),
        *_INVOICE_FIELDS,
    )
    .select_from(_ON_INVOICE)
    .where(*_REFUSED_WHERE)
    .order_by(_g.changed_at.desc(), _g.id.desc())
    .limit(SHOWN)
)
_COUNT = sa.select(
    sa.select(sa.func.count()).select_from(_OF_CONNECTION).where(*_UNREAD_WHERE).scalar_subquery(),
    sa.select(sa.func.count()).select_from(_ON_INVOICE).where(*_REFUSED_WHERE).scalar_subquery(),
)


def count(reader: Reader) -> int:
    """How many records and links wait for a person."""
    unread, refused = reader.first(_COUNT)
    return int(unread) + int(refused)


def waiting(reader: Reader, title: Callable[[str], str]) -> list[Difference]:
    """The latest of both; `title` names a system in words."""
    return [
        *(_unread(row, title(row.system)) for row in reader.rows(_UNREAD)),
        *(_refused(row, title(row.system)) for row in reader.rows(_REFUSED)),
    ]


def _unread(row: Any, title: str) -> Difference:
    return Difference(
        ref=f"r{row.id}",
        address=f"/differences/records/{row.id}",
        system=row.system,
        connection=row.connection,
        what=What.UNREAD.value,
        name=record_name(row.kind, row.number or row.remote_id),
        ours="Not here" if row.invoice_id is None else f"As it was read before: {in_words(row)}",
        theirs="A record we cannot read",
        cause=row.why,
        found_at=row.seen_at,
        payment_id=None,
        fixes=fixes_of_record(title, alone=row.kind == Kind.INVOICE and bool(row.remote_id)),
        dated="Last tried",
    )


def _refused(row: Any, title: str) -> Difference:
    return Difference(
        ref=f"l{row.id}",
        address=f"/differences/links/{row.id}",
        system=row.system,
        connection=row.connection,
        what=What.LINK_REFUSED.value,
        name=row.number or row.remote_id,
        ours=f"A link to pay online belongs on it. {in_words(row)}",
        theirs="No link of ours was written; its text is as it was",
        cause=row.problem,
        found_at=row.changed_at,
        payment_id=None,
        fixes=fixes_of_link(title, row.invoice_id),
    )
