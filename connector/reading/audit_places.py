"""Audit of what is kept and where links stand: no invoice kept without a reason, no placement without its link."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.installation import Installation
from connector.db.reader import Reader
from connector.domain.findings import START_A_WORKER, UNATTENDED_SECONDS, Finding
from connector.domain.payments import IN_FLIGHT, UNPAID_END
from connector.domain.postings import PostingState
from connector.domain.records import PaymentState
from connector.domain.work import Work

_k, _p, _o, _w, _g, _n, _c, _d = (
    table.c
    for table in (t.invoice_locks, t.payments, t.postings, t.work, t.placements, t.links, t.connections, t.deliveries)
)
_MERCHANT: sa.BindParameter[int] = sa.bindparam("merchant")
_OVER = [state.value for state in (PostingState.POSTED, PostingState.SUPERSEDED, PostingState.REVERSED)]
_MONEY_UNDER_WAY = (PaymentState.PROCESSING, PaymentState.UNKNOWN)
_UNPAID = [state.value for state in IN_FLIGHT if state is not PaymentState.PROCESSING]
# The schedule looks for forgotten checkouts every half hour.
_FORGOTTEN = timedelta(hours=2)

_OPEN = sa.exists().where(_o.payment_id == _p.id, _o.state.not_in(_OVER))
_OF_PAYMENT = sa.literal(":") + sa.cast(_p.merchant_id, sa.String) + ":" + _p.id
_WORKED_ON = sa.exists().where(
    _w.merchant_id == _MERCHANT,
    _w.state == "pending",
    sa.or_(
        _w.id == sa.literal(Work.RELEASE.value) + _OF_PAYMENT,
        _w.id == sa.literal(Work.RECONCILE.value) + _OF_PAYMENT,
        _w.id == sa.literal(Work.WRITE_BACK.value) + _OF_PAYMENT + ":" + sa.cast(_p.connection_id, sa.String),
    ),
)
_LOCKS = (
    sa.select(_k.invoice_id, _k.since, _p.id, _p.state, _p.expires_at, _OPEN.label("open"), _WORKED_ON.label("worked"))
    .join(t.payments, _p.id == _k.payment_id)
    .where(_k.merchant_id == _MERCHANT)
)
_PLACEMENTS = (
    sa.select(
        _g.id,
        _g.connection_id,
        _g.target,
        _g.target_name,
        _g.state,
        _g.link_id,
        _n.state.label("link_state"),
        _n.target.label("link_target"),
        _c.install_key,
    )
    .join(t.connections, _c.id == _g.connection_id)
    .outerjoin(t.links, _n.id == _g.link_id)
    .where(
        _g.merchant_id == _MERCHANT,
        _c.state == "active",
        _g.state.in_(("planned", "placing", "placed")),
        # Where links stand on templates a placement names the installation's own address, and no link.
        sa.or_(
            sa.and_(_g.link_id.is_(None), _c.install_key.is_(None)),
            sa.and_(_g.link_id.is_not(None), sa.or_(_n.id.is_(None), _n.state != "live", _n.target != _g.target)),
        ),
    )
)
_PLACED = sa.select(sa.func.count()).select_from(t.placements).where(_g.merchant_id == _MERCHANT)
_OLD_DELIVERIES = sa.select(sa.func.count().label("number"), sa.func.min(_d.received_at).label("oldest")).where(
    _d.state == "new", _d.received_at < sa.bindparam("before", type_=t.Instant)
)
_DELIVERY_WORK = sa.select(_w.id).where(_w.kind == Work.DELIVERY.value, _w.state == "pending").limit(1)


def locks_have_a_live_payment(reader: Reader, now: datetime, counted: Counter[str]) -> Iterator[Finding]:
    """An invoice kept from being paid is kept for a payment that is under way or not yet in the books."""
    for row in reader.rows(_LOCKS):
        counted["locked invoices"] += 1
        why = ""
        if row.state in UNPAID_END:
            why = f"is {row.state} and took no money"
        elif row.state in _UNPAID:
            if row.expires_at + _FORGOTTEN < now and not row.worked:
                why = f"ran out on {row.expires_at:%Y-%m-%d %H:%M} UTC and nobody ends it"
        elif row.state not in _MONEY_UNDER_WAY and not row.open and not row.worked:
            why = f"is {row.state} and everything of it stands in the books"
        if why:
            what = f"Invoice {row.invoice_id} cannot be paid: it is kept for payment {row.id}, which {why}."
            do = "Ask the gateway about the payment again (duebridge work retry); if the lock stays, report this."
            yield Finding("lock_stale", reader.merchant_id, what, do, {"invoice": row.invoice_id, "payment": row.id})


def placements_have_a_link(reader: Reader, now: datetime, counted: Counter[str]) -> Iterator[Finding]:
    """What stands on an invoice leads somewhere: to the live link of this very invoice."""
    counted["placements"] += int(reader.rows(_PLACED)[0][0])
    for row in reader.rows(_PLACEMENTS):
        ids = {"placement": row.id, "connection": row.connection_id, "invoice": row.target}
        about = f"The placement on {row.target_name or row.target} of connection {row.connection_id} is {row.state}"
        if row.link_id is None or row.link_state is None:
            what = f"{about} and has no link."
        elif row.link_target != row.target:
            what = f"{about} and has the link of another invoice, {row.link_target}."
        else:
            what = f"{about} and its link has ended, so customers are turned away."
        do = "Open the invoice in the dashboard and press Regenerate: a new link is made and put in its place."
        yield Finding("placement_without_link", reader.merchant_id, what, do, ids)


def deliveries_are_worked_on(everybody: Installation, now: datetime) -> Iterator[Finding]:
    """Webhooks we have taken in do not lie unread with nobody about to read them."""
    row = everybody.first(_OLD_DELIVERIES, before=now - timedelta(seconds=UNATTENDED_SECONDS))
    if row.number and everybody.first(_DELIVERY_WORK) is None:
        what = f"{row.number} webhooks are unread since {row.oldest:%Y-%m-%d %H:%M} UTC, and no work looks at them."
        yield Finding("delivery_unattended", None, what, START_A_WORKER, {"deliveries": row.number})
