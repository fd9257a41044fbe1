"""Whole pages of Xero's words for ours: msgspec straight from bytes into records, about ten times marshmallow's speed.

Each record is decoded alone, so that one that cannot be read (a new kind of value, a broken amount) becomes
`Unreadable` and never costs its page. `mapping` does the same for single records; golden files hold both to one result.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from connector.domain.money import LARGEST, NotMoney, exponent
from connector.domain.records import (
    Contact,
    InvoiceState,
    Kind,
    Line,
    Record,
    Unreadable,
    UpstreamCustomer,
    UpstreamInvoice,
    UpstreamPayment,
    UpstreamRecurring,
)
from integrations.systems.xero.shapes import (
    ContactShape,
    DocumentShape,
    InvoiceLinkShape,
    LineShape,
    PageShape,
    PaymentShape,
    RecurringShape,
    ScheduleShape,
)
from integrations.systems.xero.vocabulary import (
    INVOICE_STATES,
    QUOTE_STATES,
    SALES_TYPES,
    Unmappable,
    day,
    deleted,
    fingerprint,
    full_name,
    instant,
    people,
    phone_text,
    plain,
    schedule_text,
    version_of,
    wrong_type,
)


class Decoded(NamedTuple):
    """A page in our words. `rows` counts what Xero sent, `pages` and `items` are its own figures where it gives them.

    `told_at` is Xero's clock when it answered.
    """

    records: list[Record]
    unreadable: list[Unreadable]
    rows: int
    pages: int | None
    items: int | None
    told_at: datetime | None


_page = msgspec.json.Decoder(PageShape, strict=False)
_document = msgspec.json.Decoder(DocumentShape, strict=False)
_contact = msgspec.json.Decoder(ContactShape, strict=False)
_payment = msgspec.json.Decoder(PaymentShape, strict=False)
_recurring = msgspec.json.Decoder(RecurringShape, strict=False)
_factors: dict[str, Decimal] = {}
_ZERO = Decimal()
# A named tuple's own constructor takes twice the time.
_line: Callable[..., Line] = tuple.__new__


def decode_page(kind: Kind, raw: bytes) -> Decoded:
    """Read one page of `kind`. Raises ValueError for what is no JSON or no list of Xero's."""
    try:
        page = _page.decode(raw)
    except msgspec.DecodeError as error:
        raise ValueError(f"Not a list of {LISTS[kind]}: {error}") from None
    rows: list[msgspec.Raw] = getattr(page, LISTS[kind]) or []
    records: list[Record] = []
    unreadable: list[Unreadable] = []
    to_record = _MAPPERS[kind]
    for row in rows:
        try:
            records.append(to_record(row))
        except (msgspec.ValidationError, Unmappable, NotMoney) as problem:
            unreadable.append(_unreadable(kind, row, problem))
    paged = page.pagination
    return Decoded(
        records,
        unreadable,
        len(rows),
        paged.pageCount if paged else None,
        paged.itemCount if paged else None,
        _told_at(page.DateTimeUTC),
    )


def _told_at(text: str | None) -> datetime | None:
    try:
        return instant(text) if text else None
    except Unmappable:
        return None


def _unreadable(kind: Kind, row: msgspec.Raw, problem: Exception) -> Unreadable:
    found = msgspec.json.decode(row)
    about: dict[str, Any] = found if isinstance(found, dict) else {}
    id_name, number_name = _NAMES[kind]
    why = str(problem)
    if isinstance(problem, msgspec.ValidationError):
        why = f"Xero sent something unexpected: {why}."
    return Unreadable(str(about.get(id_name) or ""), str(about.get(number_name) or ""), why[:300])


def _factor(currency: str) -> Decimal:
    factor = _factors.get(currency)
    if factor is None:
        factor = _factors[currency] = Decimal(10 ** exponent(currency))
    return factor


def _minor(value: Decimal | None, factor: Decimal, currency: str, what: str) -> int:
    if value is None:
        raise Unmappable(f"Xero gave no {what}.")
    try:
        scaled = value * factor
        minor = int(scaled)
    except (ValueError, ArithmeticError):
        raise Unmappable(f"{value} is not an amount.") from None
    if minor != scaled:
        raise Unmappable(f"{value} {currency} is finer than the smallest coin of {currency}.")
    if not -LARGEST <= minor <= LARGEST:
        raise Unmappable(f"{value} {currency} is too large an amount.")
    return minor


def _lines(items: list[LineShape], factor: Decimal, currency: str) -> tuple[Line, ...]:
    return tuple(
        [
            _line(
                Line,
                (
                    item.Description or "",
                    plain(item.Quantity),
                    plain(item.UnitAmount),
                    _minor(item.LineAmount or _ZERO, factor, currency, "line amount"),
                    _minor(item.TaxAmount or _ZERO, factor, currency, "line tax"),
                ),
            )
            for item in items
        ]
    )


def _to_document(
    kind: Kind,
    found: DocumentShape,
    remote_id: str | None,
    number: str | None,
    state: InvoiceState,
    due: str | None,
    balance: Decimal | None,
    memo: str | None,
) -> UpstreamInvoice:
    if not remote_id:
        raise Unmappable(f"Xero gave no {_NAMES[kind][0]}.")
    updated = instant(found.UpdatedDateUTC) if found.UpdatedDateUTC else None
    if state is InvoiceState.DELETED:
        return deleted(kind, remote_id, updated)
    currency = found.CurrencyCode or ""
    factor = _factor(currency)
    issued = found.DateString or found.Date
    return UpstreamInvoice(
        kind,
        remote_id,
        number or "",
        state,
        (found.Contact.ContactID or "") if found.Contact else "",
        day(issued) if issued else None,
        day(due) if due else None,
        currency,
        _minor(found.Total, factor, currency, "total"),
        _minor(found.TotalTax or _ZERO, factor, currency, "tax"),
        _minor(balance, factor, currency, "amount due"),
        memo or "",
        found.Reference or "",
        found.BrandingThemeID or "",
        found.SentToContact or False,
        version_of(updated) if updated else "",
        updated,
        _lines(found.LineItems, factor, currency) if found.LineItems else (),
    )


def _to_invoice(row: msgspec.Raw) -> UpstreamInvoice:
    found = _document.decode(row)
    if found.Type != "ACCREC":
        raise wrong_type(Kind.INVOICE, found.Type or "")
    state = INVOICE_STATES.get(found.Status or "", InvoiceState.UNKNOWN)
    due = found.DueDateString or found.DueDate
    return _to_document(Kind.INVOICE, found, found.InvoiceID, found.InvoiceNumber, state, due, found.AmountDue, None)


def _to_credit_note(row: msgspec.Raw) -> UpstreamInvoice:
    found = _document.decode(row)
    if found.Type != SALES_TYPES[Kind.CREDIT_NOTE]:
        raise wrong_type(Kind.CREDIT_NOTE, found.Type or "")
    state = INVOICE_STATES.get(found.Status or "", InvoiceState.UNKNOWN)
    due = found.DueDateString or found.DueDate
    return _to_document(
        Kind.CREDIT_NOTE, found, found.CreditNoteID, found.CreditNoteNumber, state, due, found.RemainingCredit, None
    )


def _to_quote(row: msgspec.Raw) -> UpstreamInvoice:
    found = _document.decode(row)
    state = QUOTE_STATES.get(found.Status or "", InvoiceState.UNKNOWN)
    due = found.ExpiryDateString or found.ExpiryDate
    memo = found.Summary or found.Terms
    return _to_document(Kind.ESTIMATE, found, found.QuoteID, found.QuoteNumber, state, due, _ZERO, memo)


def _to_customer(row: msgspec.Raw) -> UpstreamCustomer:
    found = _contact.decode(row)
    phone = ""
    for one in found.Phones or ():
        if one.PhoneNumber and one.PhoneType != "FAX" and not phone:
            phone = phone_text(one.PhoneCountryCode or "", one.PhoneAreaCode or "", one.PhoneNumber)
    updated = instant(found.UpdatedDateUTC) if found.UpdatedDateUTC else None
    email = (found.EmailAddress or "").strip()
    return UpstreamCustomer(
        found.ContactID,
        found.Name or "",
        found.AccountNumber or found.ContactNumber or "",
        email,
        phone,
        found.DefaultCurrency or "",
        "",
        (found.ContactStatus or "ACTIVE") == "ACTIVE",
        version_of(updated) if updated else "",
        updated,
        people(found.FirstName or "", found.LastName or "", email, phone)
        + tuple(
            Contact(
                full_name(who.FirstName or "", who.LastName or ""),
                (who.EmailAddress or "").strip(),
                "",
                who.IncludeInEmails or False,
            )
            for who in found.ContactPersons or ()
        ),
    )


def _to_payment(row: msgspec.Raw) -> UpstreamPayment:
    found = _payment.decode(row)
    invoice = found.Invoice or InvoiceLinkShape()
    currency, invoice_id = invoice.CurrencyCode or "", invoice.InvoiceID or ""
    updated = instant(found.UpdatedDateUTC) if found.UpdatedDateUTC else None
    amount = _minor(found.Amount, _factor(currency), currency, "amount")
    return UpstreamPayment(
        found.PaymentID,
        (invoice.Contact.ContactID or "") if invoice.Contact else "",
        amount,
        currency,
        day(found.Date) if found.Date else None,
        found.Reference or "",
        "",
        found.Status == "DELETED",
        version_of(updated) if updated else "",
        updated,
        ((invoice_id, amount),) if invoice_id else (),
    )


def _to_recurring(row: msgspec.Raw) -> UpstreamRecurring:
    found = _recurring.decode(row)
    if found.Type != SALES_TYPES[Kind.RECURRING]:
        raise wrong_type(Kind.RECURRING, found.Type or "")
    schedule = found.Schedule or ScheduleShape()
    period = 1 if schedule.Period is None else schedule.Period
    every = schedule_text(period, schedule.Unit or "")
    next_on = day(schedule.NextScheduledDate) if schedule.NextScheduledDate else None
    name, status, currency = found.Reference or "", found.Status or "", found.CurrencyCode or ""
    customer = (found.Contact.ContactID or "") if found.Contact else ""
    amount = _minor(found.Total, _factor(currency), currency, "total")
    version = fingerprint(name, customer, amount, currency, every, next_on, status)
    return UpstreamRecurring(
        found.RepeatingInvoiceID, name, customer, amount, currency, every, next_on, status == "AUTHORISED", version
    )


LISTS = {
    Kind.INVOICE: "Invoices",
    Kind.CREDIT_NOTE: "CreditNotes",
    Kind.ESTIMATE: "Quotes",
    Kind.CUSTOMER: "Contacts",
    Kind.PAYMENT: "Payments",
    Kind.RECURRING: "RepeatingInvoices",
}
_NAMES = {
    Kind.INVOICE: ("InvoiceID", "InvoiceNumber"),
    Kind.CREDIT_NOTE: ("CreditNoteID", "CreditNoteNumber"),
    Kind.ESTIMATE: ("QuoteID", "QuoteNumber"),
    Kind.CUSTOMER: ("ContactID", "Name"),
    Kind.PAYMENT: ("PaymentID", "Reference"),
    Kind.RECURRING: ("RepeatingInvoiceID", "Reference"),
}
_MAPPERS: dict[Kind, Callable[[msgspec.Raw], Record]] = {
    Kind.INVOICE: _to_invoice,
    Kind.CREDIT_NOTE: _to_credit_note,
    Kind.ESTIMATE: _to_quote,
    Kind.CUSTOMER: _to_customer,
    Kind.PAYMENT: _to_payment,
    Kind.RECURRING: _to_recurring,
}
