"""All invoices of a customer."""

from __future__ import annotations

from flask import Response, current_app, request

from connector.domain.records import InvoiceState, PaymentState
from connector.errors import NotFound
from connector.reading import portal_invoices
from connector.reading.portal_invoices import HISTORY_A_PAGE, ListedInvoice
from connector.web.context import wiring
from connector.web.present import Words, invoice_words
from portal.account import page_address, skipped
from portal.doors import Knock
from portal.references import references_of

_FILTERS = (("", "All"), (InvoiceState.OPEN.value, "Open"), (InvoiceState.PAID.value, "Paid"))
_LONGEST_SEARCH = 40


def show(knock: Knock) -> Response:
    """Newest first, searched by number and filtered by state."""
    state = request.args.get("state", "")
    state = state if state in {value for value, _ in _FILTERS} else ""
    search = request.args.get("q", "").strip()[:_LONGEST_SEARCH]
    skip = skipped(HISTORY_A_PAGE)
    with knock.open() as door:
        if door.portal.scope.invoice is not None:
            raise NotFound("This link opens one invoice only.")
        found = portal_invoices.history(door.visit.reader, door.portal.scope, state=state, search=search, skip=skip)
    more, found = len(found) > HISTORY_A_PAGE, found[:HISTORY_A_PAGE]
    names = references_of(wiring().settings.secret_key).name([invoice.id for invoice in found])
    path = f"{door.path}/history"
    keep = {"state": state, "q": search, "preview": "1" if door.preview else ""}
    page = current_app.jinja_env.get_template("portal/history.html").render(
        brand=door.portal.brand,
        door=door,
        rows=[(invoice, name, _words(invoice)) for invoice, name in zip(found, names, strict=True)],
        filters=_FILTERS,
        state=state,
        search=search,
        before=page_address(path, skip - HISTORY_A_PAGE, HISTORY_A_PAGE, **keep) if skip else "",
        after=page_address(path, skip + HISTORY_A_PAGE, HISTORY_A_PAGE, **keep) if more else "",
    )
    return Response(page, mimetype="text/html")


def _words(invoice: ListedInvoice) -> Words:
    return invoice_words(
        state=invoice.state,
        balance=invoice.balance,
        total=invoice.total,
        due=invoice.due_date,
        today=wiring().clock().date(),
        paying=invoice.paying == PaymentState.PROCESSING,
    )
