"""The payments, newest first."""

from __future__ import annotations

import re
from datetime import datetime

from flask import request
from flask.typing import ResponseReturnValue

from connector.dashboard import words
from connector.dashboard.frame import merchant_id, show, staff_blueprint
from connector.dashboard.typed import address, chosen
from connector.reading import payments
from connector.web.context import wiring

blueprint = staff_blueprint("payments")
_PLACE = re.compile(r"([0-9T:.+-]{19,40})~([0-9a-f]{32})", re.ASCII)


@blueprint.get("/payments")
def listing() -> ResponseReturnValue:
    """Page by page; `state=review` shows what waits for a person."""
    state, before = chosen("state", words.PAYMENT_FILTERS), request.args.get("before", "")
    rows = payments.page(
        wiring(),
        merchant_id(),
        state="" if state == "review" else state,
        review=state == "review",
        after=_place(before),
    )
    shown, more = rows[: payments.PAGE], len(rows) > payments.PAGE
    return show(
        "payments",
        "payments",
        rows=shown,
        state=state,
        review=payments.waiting_for_review(wiring(), merchant_id()),
        older=address("/payments", state=state, before=_text(shown[-1])) if more else None,
        newest=address("/payments", state=state) if before else None,
    )


def _text(row: payments.Listed) -> str:
    return f"{row.created_at.isoformat()}~{row.id}"


def _place(text: str) -> payments.Place | None:
    """Where a page begins; what cannot be read begins at the top."""
    found = _PLACE.fullmatch(text)
    if found is None:
        return None
    try:
        instant = datetime.fromisoformat(found[1])
    except ValueError:
        return None
    return payments.Place(instant, found[2]) if instant.tzinfo else None
