"""The dry run: what an import would bring, counted by Xero itself. Reads only, at most a dozen calls."""

from __future__ import annotations

from datetime import date

from connector.contract import Refused
from connector.domain.records import Kind, Survey, SurveyLine
from integrations.systems.xero.client import Client
from integrations.systems.xero.mapping_bulk import decode_page
from integrations.systems.xero.reading import LIST_CALLS, count_query
from integrations.systems.xero.vocabulary import day

_NAMES = {
    Kind.CUSTOMER: "Contacts",
    Kind.INVOICE: "Invoices",
    Kind.CREDIT_NOTE: "Credit notes",
    Kind.ESTIMATE: "Quotes",
    Kind.RECURRING: "Repeating invoices",
    Kind.PAYMENT: "Payments",
}
# Quotes come without a count: pages are read until one is not full, this many at most.
_MOST_QUOTE_PAGES = 5


def survey(client: Client, since: date | None, *, partner: bool) -> Survey:
    """Counts by kind, the open invoices that would show the pay button, and what the merchant should know first."""
    organisation = client.organisation()
    warnings = []
    if not partner:
        warnings.append(
            "Xero shows the pay button by branding theme: you paste one address into Xero once. "
            "Nothing is written on your invoices."
        )
    if organisation.get("IsDemoCompany") is True:
        warnings.append("This is Xero's demo company: Xero resets it every 28 days and all links to it end then.")
    locked = [day(text) for name in ("PeriodLockDate", "EndOfYearLockDate") if (text := organisation.get(name))]
    if locked:
        warnings.append(f"The books are locked up to {max(locked).isoformat()}; payments dated before are refused.")
    lines = []
    for kind, name in _NAMES.items():
        count, complete = _count(client, kind, since)
        if not complete:
            warnings.append(f"There are more than {count} {name.lower()}.")
        lines.append(SurveyLine(name, count))
    return Survey(
        organisation=str(organisation.get("Name") or ""),
        currency=str(organisation.get("BaseCurrency") or ""),
        lines=tuple(lines),
        links=_open_invoices(client, since),
        warnings=tuple(warnings),
    )


def _count(client: Client, kind: Kind, since: date | None) -> tuple[int, bool]:
    counted, page = 0, 1
    while True:
        query = count_query(kind, since)
        if page > 1:
            query["page"] = page
        found = _figures(client, kind, query)
        if found[1] is not None:
            return found[1], True
        counted += found[0]
        size = LIST_CALLS[kind].size
        if not size or found[0] < size:
            return counted, True
        if page == _MOST_QUOTE_PAGES:
            return counted, False
        page += 1


def _open_invoices(client: Client, since: date | None) -> int:
    query = count_query(Kind.INVOICE, since, statuses=["AUTHORISED"])
    query["where"] = f"{query['where']} AND AmountDue>0"
    rows, items = _figures(client, Kind.INVOICE, query)
    return rows if items is None else items


def _figures(client: Client, kind: Kind, query: dict[str, object]) -> tuple[int, int | None]:
    try:
        found = decode_page(kind, client.count(kind, query))
    except ValueError as error:
        raise Refused(f"Xero's {_NAMES[kind].lower()} cannot be counted.", "unreadable") from error
    return found.rows, found.items
