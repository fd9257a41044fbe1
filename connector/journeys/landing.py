"""The address a template carries (Xero's custom payment URL): its query only looks up, and never decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connector.db.rows import InvoiceRow
from connector.domain.money import NotMoney, parse
from connector.domain.payments import PortalScope
from connector.domain.records import InvoiceState
from connector.errors import NotFound, TooMany, Unavailable
from connector.journeys import fresh
from connector.wiring import Wiring

_VISITS_A_MINUTE = 60


@dataclass(frozen=True, slots=True)
class LandingView:
    """What may be shown. `invoice` is set when a code may be asked for it; `payable` when the query proved to know
    the amount, and then only amount and currency (minor units) may be shown with a Pay button."""

    merchant_id: int
    connection_id: int
    invoice: str | None
    payable: bool
    scope: PortalScope | None
    invoice_id: int | None
    amount: int
    currency: str


def look(wiring: Wiring, install_key: str, query: Mapping[str, str]) -> LandingView:
    """Find the invoice a template link means and re-read it upstream. Raises NotFound, TooMany, Unavailable."""
    wait = wiring.limiter.reserve(f"landing:{install_key[:40]}", limit=_VISITS_A_MINUTE, period=60.0, burst=20)
    if wait > 0:
        raise TooMany("Too many visits at once. Please try again in a moment.", retry_after=int(wait) + 1)
    with wiring.database.lookup() as all_merchants:
        found = all_merchants.install(install_key)
    if found is None:
        raise NotFound("This payment address is not in use. Please contact the company that sent you the invoice.")
    merchant_id, connection_id = found
    with wiring.database.view(merchant_id) as view:
        connection = view.connections.get(connection_id)
        candidates = view.invoices.by_number(connection_id, query.get("invoiceNo", "")[:255])
    code = connection.extra.get("short_code", "")
    if len(candidates) != 1 or (code and query.get("shortCode") != code):
        return LandingView(merchant_id, connection_id, None, False, None, None, 0, "")
    invoice = candidates[0]
    try:
        fresh.reread(wiring, connection, [invoice])
    except Unavailable:
        return _unproven(merchant_id, connection_id, invoice)
    with wiring.database.unit_of_work(merchant_id) as uow:
        if connection.first_hit_at is None:
            uow.connections.change(connection_id, first_hit_at=uow.now)
        now = uow.invoices.get(invoice.id)
    if now.state != InvoiceState.OPEN or now.balance <= 0 or not _knows_amount(now, query):
        return _unproven(merchant_id, connection_id, now)
    scope = PortalScope(merchant_id, connection_id, now.customer, now.remote_id)
    return LandingView(merchant_id, connection_id, now.remote_id, True, scope, now.id, now.balance, now.currency)


def _knows_amount(invoice: InvoiceRow, query: Mapping[str, str]) -> bool:
    if query.get("currency") != invoice.currency:
        return False
    try:
        amount = parse(query.get("amount", "").replace(",", ""), invoice.currency).minor
    except NotMoney:
        return False
    return amount in (invoice.total, invoice.balance)


def _unproven(merchant_id: int, connection_id: int, invoice: InvoiceRow) -> LandingView:
    return LandingView(merchant_id, connection_id, invoice.remote_id, False, None, None, 0, "")
