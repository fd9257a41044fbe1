"""The invoices, with the address customers pay at in the header."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date
from itertools import chain

from flask import Response, jsonify, request
from flask.typing import ResponseReturnValue

from connector.dashboard import words
from connector.dashboard.frame import merchant_id, show, staff_blueprint, this_frame, today
from connector.dashboard.typed import address, chosen, safe_cell, search, whole
from connector.domain.money import minor_to_text
from connector.reading import connections, differences, invoices, ledger
from connector.web.context import wiring

blueprint = staff_blueprint("invoices")
_COLUMNS = (
    "system", "connection", "number", "customer", "state", "issue_date", "due_date", "currency", "total", "balance",
    "link",
)  # fmt: skip


@blueprint.get("/invoices")
def listing() -> ResponseReturnValue:
    """Search, filter, page by page; what is owed in every currency."""
    filters = _filters()
    before = request.args.get("before", "")
    rows = invoices.page(wiring(), merchant_id(), filters, _place(before), today=today())
    shown, more = rows[: invoices.PAGE], len(rows) > invoices.PAGE
    narrowed = {"q": filters.search, "state": filters.state, "connection": filters.connection}
    return show(
        "invoices",
        "invoices",
        rows=shown,
        filters=filters,
        connections=connections.connections(wiring(), merchant_id()),
        outstanding=invoices.outstanding(wiring(), merchant_id(), today=today(), connection=filters.connection),
        portal_url=f"{wiring().settings.public_url}/portal/{this_frame().slug}",
        older=address("/invoices", **narrowed, before=_text(shown[-1])) if more else None,
        newest=address("/invoices", **narrowed) if before else None,
        export=address("/invoices.csv", **narrowed),
    )


@blueprint.get("/invoices.csv")
def export() -> ResponseReturnValue:
    """The same list, all of it, for a spreadsheet."""
    known, merchant, filters, day = wiring(), merchant_id(), _filters(), today()
    rows = invoices.every(known, merchant, filters, today=day)
    first = next(rows, None)
    everything = chain(() if first is None else (first,), rows)
    return Response(
        _lines(everything),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="invoices-{day.isoformat()}.csv"'},
    )


@blueprint.get("/books.json")
def books() -> ResponseReturnValue:
    """What the double-entry ledger sums to (zero in every currency, or something is wrong), and what waits for a person
    because the accounting systems' books differ."""
    sums = ledger.sums(wiring(), merchant_id())
    off = [minor_to_text(minor, currency) for currency, minor in sums.items() if minor]
    return jsonify(
        ledger_sum=off[0] if off else "0",
        currencies={currency: minor_to_text(minor, currency) for currency, minor in sums.items()},
        open_differences=differences.between_books(wiring(), merchant_id()),
    )


def _filters() -> invoices.Filters:
    return invoices.Filters(search(), chosen("state", words.INVOICE_FILTERS), whole(request.args.get("connection", "")))


def _lines(rows: Iterator[invoices.Listed]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(_COLUMNS)
    for number, row in enumerate(rows, 1):
        writer.writerow(
            (
                row.system,
                safe_cell(row.connection),
                safe_cell(row.number),
                safe_cell(row.customer or ""),
                row.state,
                row.issue_date or "",
                row.due_date or "",
                row.currency,
                minor_to_text(row.total, row.currency),
                minor_to_text(row.balance, row.currency),
                "yes" if row.link else "no",
            )
        )
        if number % 500 == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _text(row: invoices.Listed) -> str:
    return f"{row.issue_date.isoformat() if row.issue_date else '-'}.{row.id}"


def _place(text: str) -> invoices.Place | None:
    """Where a page begins; what cannot be read begins at the top."""
    day, _, number = text.partition(".")
    if not whole(number):
        return None
    if day == "-":
        return invoices.Place(None, whole(number))
    try:
        return invoices.Place(date.fromisoformat(day), whole(number))
    except ValueError:
        return None
