"""The dry run: what a first import would bring and how many links would be placed. Reads and counts only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from connector.domain.records import Survey, SurveyLine, UpstreamInvoice
from integrations.systems.quickbooks.client import Client, literal
from integrations.systems.quickbooks.links import length
from integrations.systems.quickbooks.manifest import MEMO_LIMIT
from integrations.systems.quickbooks.mapping import invoice
from integrations.systems.quickbooks.values import Unmappable

# Room for the line 'Pay online: https://…' with its line break.
_LINK_ROOM = 90
_LOOKED_AT = 1000


def survey(client: Client, since: date | None, organisation: str, home_currency: str) -> Survey:
    """Count what lies on or after `since` (customers and recurring profiles: all of them)."""
    dated = f" WHERE TxnDate >= {literal(since.isoformat())}" if since else ""
    unpaid = f"{dated} AND Balance > '0'" if dated else " WHERE Balance > '0'"
    links = client.count("Invoice", unpaid)[0]
    lines = (
        SurveyLine("customers", client.count("Customer", " WHERE Active IN (true, false)")[0]),
        SurveyLine("invoices", client.count("Invoice", dated)[0]),
        SurveyLine("open invoices", links),
        SurveyLine("credit notes", client.count("CreditMemo", dated)[0]),
        SurveyLine("estimates", client.count("Estimate", dated)[0]),
        SurveyLine("payments", client.count("Payment", dated)[0]),
        SurveyLine("recurring invoices", sum(1 for row in client.rows("RecurringTransaction") if "Invoice" in row)),
    )
    rows = client.rows("Invoice", f"{unpaid} ORDERBY Id", most=_LOOKED_AT) if links else []
    warnings = (*_about_books(client.preferences()), *_about_invoices(rows, links, home_currency))
    return Survey(organisation, home_currency, lines, links, warnings)


def _about_books(preferences: dict[str, Any]) -> Iterator[str]:
    accounting = preferences.get("AccountingInfoPrefs")
    closed = accounting.get("BookCloseDate") if isinstance(accounting, dict) else None
    if closed:
        yield (
            f"The books are closed up to {str(closed)[:10]}. Links cannot be placed on invoices, and payments cannot "
            "be recorded, with a date in the closed period."
        )


def _about_invoices(rows: list[dict[str, Any]], links: int, home_currency: str) -> Iterator[str]:
    found: list[UpstreamInvoice] = []
    unreadable = 0
    for row in rows:
        try:
            found.append(invoice(row, home_currency))
        except Unmappable:
            unreadable += 1
    among = f"Of the first {len(rows)} open invoices" if links > len(rows) else f"Of {len(rows)} open invoices"
    full = [each for each in found if length(each.memo) + _LINK_ROOM > MEMO_LIMIT]
    sent = sum(1 for each in found if each.emailed)
    nobody = sum(1 for each in found if not each.customer)
    foreign = sorted({each.currency for each in found} - {home_currency})
    if full:
        numbers = ", ".join(each.number or each.remote_id for each in full[:5])
        yield f"{among}, {len(full)} {_have(full)} no room for the link in the customer message: {numbers}."
    if sent:
        yield f"{among}, {sent} {'was' if sent == 1 else 'were'} already e-mailed; those e-mails stay without the link."
    if nobody:
        yield f"{among}, {nobody} {'has' if nobody == 1 else 'have'} no customer and cannot get a link."
    if unreadable:
        yield f"{among}, {unreadable} cannot be read and will be listed with the reason after the import."
    if foreign:
        yield f"Some open invoices are in other currencies than {home_currency}: {', '.join(foreign)}."


def _have(items: list[UpstreamInvoice]) -> str:
    return "has" if len(items) == 1 else "have"
