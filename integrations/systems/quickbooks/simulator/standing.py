"""Checks and effects every transaction shares: present SyncToken, open period, the customer's balance."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from integrations.systems.quickbooks.simulator import fault
from integrations.systems.quickbooks.simulator.amounts import converted, minor, number
from integrations.systems.quickbooks.simulator.books import HOME_CURRENCY, Change, Document

CURRENCY_NAMES = {
    "USD": "United States Dollar",
    "EUR": "Euro",
    "GBP": "British Pound Sterling",
    "JPY": "Japanese Yen",
}
EXCHANGE_RATES = {
    "USD": Decimal(1),
    "EUR": Decimal("1.0869565"),
    "GBP": Decimal("1.2658228"),
    "JPY": Decimal("0.0066667"),
}


def present(change: Change, entity: str, request: Document) -> Document:
    """The document a request means; Fault 610, 2020, 2030, or 5010 when its SyncToken is not the present one."""
    if "Id" not in request:
        raise fault.missing("Id")
    doc = change.get(entity, str(request["Id"]))
    if request.get("SyncToken") is None:
        raise fault.missing("SyncToken")
    if str(request["SyncToken"]) != doc["SyncToken"]:
        raise fault.stale()
    return doc


def check_open(change: Change, *days: str) -> None:
    """Fault 6210 when one of the dates lies in a closed period, 2010 when one is no date."""
    closing = change.books.closing_date()
    for day in days:
        try:
            on = date.fromisoformat(day)
        except ValueError:
            raise fault.unreadable(f"Invalid date {day}") from None
        if closing is not None and on <= closing:
            raise fault.closed_period()


def currency_reference(currency: str) -> Document:
    """A currency as answers name it."""
    return {"value": currency, "name": CURRENCY_NAMES.get(currency, currency)}


def currency_of(change: Change, request: Document, customer: Document) -> str:
    """The currency of a new transaction, the home currency when not sent; Fault 6000 unless it is the customer's."""
    sent = request.get("CurrencyRef")
    currency = str(sent["value"]) if sent else HOME_CURRENCY
    if currency != customer["CurrencyRef"]["value"]:
        raise fault.business("The currency of the transaction is invalid for customer / vendor / account.")
    return currency


def rate_of(request: Document, currency: str) -> Decimal:
    """Home currency for one unit of the transaction's currency."""
    rate = request.get("ExchangeRate")
    if rate is None:
        return EXCHANGE_RATES.get(currency, Decimal(1))
    if isinstance(rate, bool) or not isinstance(rate, int | Decimal) or rate <= 0:
        raise fault.bad_number("ExchangeRate", rate)
    return Decimal(rate)


def set_balance(doc: Document, balance: int, currency: str) -> None:
    """Write what is still due, and the same in the home currency for a foreign form."""
    doc["Balance"] = number(balance, currency)
    if currency != HOME_CURRENCY:
        home = converted(balance, currency, rate_of(doc, currency), HOME_CURRENCY)
        doc["HomeBalance"] = number(home, HOME_CURRENCY)


def adjust_customer(change: Change, customer_id: str, delta: int, currency: str) -> None:
    """Move a customer's balance, and the balance with jobs of everyone above, by minor units."""
    above = False
    next_id: str | None = customer_id
    while delta and next_id is not None:
        customer = change.get("Customer", next_id)
        if not above:
            balance = minor("Balance", customer.get("Balance", 0), currency) + delta
            customer["Balance"] = number(balance, currency)
        with_jobs = minor("BalanceWithJobs", customer.get("BalanceWithJobs", 0), currency) + delta
        customer["BalanceWithJobs"] = number(with_jobs, currency)
        change.touch("Customer", customer)
        next_id = customer.get("ParentRef", {}).get("value")
        above = True


def voided_note(note: object) -> str:
    """The private note of a voided transaction."""
    return f"Voided - {note}" if note else "Voided"
