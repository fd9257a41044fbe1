"""Xero's words for ours, one record at a time: schemas in, records out. Pure.

`mapping_bulk` does the same for whole pages; the same golden files pass through both. Field names are those of
Xero's OpenAPI 16.1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load

from connector.domain.money import LARGEST, NotMoney, decimal_to_minor
from connector.domain.records import (
    Contact,
    InvoiceState,
    Kind,
    Line,
    RemotePayment,
    UpstreamAccount,
    UpstreamCustomer,
    UpstreamInvoice,
    UpstreamPayment,
    UpstreamRecurring,
)
from integrations.systems.xero.vocabulary import (
    INVOICE_STATES,
    QUOTE_STATES,
    SALES_TYPES,
    Unmappable,
    account_kind,
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


class _Xero(Schema):
    """Xero leaves out or sends null for what is not set, and adds fields at any time."""

    class Meta:
        unknown = EXCLUDE

    @pre_load
    def _drop_nulls(self, data: Any, **_: Any) -> Any:
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data


def _text() -> fields.String:
    return fields.String(load_default="")


def _amount() -> fields.Decimal:
    return fields.Decimal(load_default=None)


class _Line(_Xero):
    Description = _text()
    Quantity = _amount()
    UnitAmount = _amount()
    LineAmount = _amount()
    TaxAmount = _amount()


class _Person(_Xero):
    FirstName = _text()
    LastName = _text()
    EmailAddress = _text()
    IncludeInEmails = fields.Boolean(load_default=False)


class _Phone(_Xero):
    PhoneType = _text()
    PhoneCountryCode = _text()
    PhoneAreaCode = _text()
    PhoneNumber = _text()


class _Contact(_Person):
    ContactID = fields.String(required=True)
    Name = _text()
    AccountNumber = _text()
    ContactNumber = _text()
    ContactStatus = _text()
    DefaultCurrency = _text()
    Phones = fields.List(fields.Nested(_Phone), load_default=list)
    ContactPersons = fields.List(fields.Nested(_Person), load_default=list)
    UpdatedDateUTC = _text()


class _ContactLink(_Xero):
    ContactID = _text()


class _Document(_Xero):
    Type = _text()
    InvoiceID = _text()
    InvoiceNumber = _text()
    CreditNoteID = _text()
    CreditNoteNumber = _text()
    QuoteID = _text()
    QuoteNumber = _text()
    Status = _text()
    Reference = _text()
    Contact = fields.Nested(_ContactLink, load_default=dict)
    DateString = _text()
    Date = _text()
    DueDateString = _text()
    DueDate = _text()
    ExpiryDateString = _text()
    ExpiryDate = _text()
    BrandingThemeID = _text()
    CurrencyCode = _text()
    Total = _amount()
    TotalTax = _amount()
    AmountDue = _amount()
    RemainingCredit = _amount()
    Summary = _text()
    Terms = _text()
    SentToContact = fields.Boolean(load_default=False)
    UpdatedDateUTC = _text()
    LineItems = fields.List(fields.Nested(_Line), load_default=list)


class _InvoiceLink(_Xero):
    InvoiceID = _text()
    CurrencyCode = _text()
    Contact = fields.Nested(_ContactLink, load_default=dict)


class _Payment(_Xero):
    PaymentID = fields.String(required=True)
    Invoice = fields.Nested(_InvoiceLink, load_default=dict)
    Date = _text()
    Amount = _amount()
    Reference = _text()
    Status = _text()
    UpdatedDateUTC = _text()


class _Schedule(_Xero):
    Period = fields.Integer(load_default=1)
    Unit = _text()
    NextScheduledDate = _text()


class _Recurring(_Xero):
    Type = _text()
    RepeatingInvoiceID = fields.String(required=True)
    Reference = _text()
    Contact = fields.Nested(_ContactLink, load_default=dict)
    Schedule = fields.Nested(_Schedule, load_default=dict)
    CurrencyCode = _text()
    Status = _text()
    Total = _amount()


class _Account(_Xero):
    AccountID = fields.String(required=True)
    Name = _text()
    Code = _text()
    Type = _text()
    Status = _text()
    CurrencyCode = _text()
    EnablePaymentsToAccount = fields.Boolean(load_default=False)


_DOCUMENT, _CONTACT, _PAYMENT = _Document(), _Contact(), _Payment()
_RECURRING, _ACCOUNT = _Recurring(), _Account()
_IDS = {Kind.INVOICE: "InvoiceID", Kind.CREDIT_NOTE: "CreditNoteID", Kind.ESTIMATE: "QuoteID"}
_NUMBERS = {Kind.INVOICE: "InvoiceNumber", Kind.CREDIT_NOTE: "CreditNoteNumber", Kind.ESTIMATE: "QuoteNumber"}


def decode(raw: bytes) -> Any:
    """JSON with decimals kept exact. Raises ValueError for what is no JSON."""
    return json.loads(raw, parse_float=Decimal)


def _load(schema: Schema, data: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], schema.load(data))
    except ValidationError as error:
        raise Unmappable(f"Xero sent something unexpected in {_where(error.messages)}.") from None


def _where(messages: Any) -> str:
    while isinstance(messages, dict) and messages:
        name, messages = next(iter(messages.items()))
        if not isinstance(messages, dict):
            return str(name)
    return "the record"


def _minor(value: Decimal | None, currency: str, what: str) -> int:
    if value is None:
        raise Unmappable(f"Xero gave no {what}.")
    try:
        minor = decimal_to_minor(value, currency)
    except NotMoney as error:
        raise Unmappable(str(error)) from None
    if abs(minor) > LARGEST:
        raise Unmappable(f"{value} {currency} is too large an amount.")
    return minor


def to_document(kind: Kind, data: Mapping[str, Any]) -> UpstreamInvoice:
    """An invoice, credit note or quote from its JSON. Raises Unmappable."""
    found = _load(_DOCUMENT, data)
    remote_id, quote = found[_IDS[kind]], kind is Kind.ESTIMATE
    if not remote_id:
        raise Unmappable(f"Xero gave no {_IDS[kind]}.")
    if kind in SALES_TYPES and found["Type"] != SALES_TYPES[kind]:
        raise wrong_type(kind, found["Type"])
    state = (QUOTE_STATES if quote else INVOICE_STATES).get(found["Status"], InvoiceState.UNKNOWN)
    updated = instant(found["UpdatedDateUTC"]) if found["UpdatedDateUTC"] else None
    if state is InvoiceState.DELETED:
        return deleted(kind, remote_id, updated)
    currency = found["CurrencyCode"]
    due = found["ExpiryDateString"] or found["ExpiryDate"] if quote else found["DueDateString"] or found["DueDate"]
    issued = found["DateString"] or found["Date"]
    balance = found["RemainingCredit" if kind is Kind.CREDIT_NOTE else "AmountDue"]
    return UpstreamInvoice(
        kind=kind,
        remote_id=remote_id,
        number=found[_NUMBERS[kind]],
        state=state,
        customer=found["Contact"].get("ContactID", ""),
        issue_date=day(issued) if issued else None,
        due_date=day(due) if due else None,
        currency=currency,
        total=_minor(found["Total"], currency, "total"),
        tax=_minor(found["TotalTax"] or Decimal(), currency, "tax"),
        balance=0 if quote else _minor(balance, currency, "amount due"),
        memo=(found["Summary"] or found["Terms"]) if quote else "",
        reference=found["Reference"],
        theme=found["BrandingThemeID"],
        emailed=found["SentToContact"],
        version=version_of(updated) if updated else "",
        updated_at=updated,
        lines=tuple(
            Line(
                line["Description"],
                plain(line["Quantity"]),
                plain(line["UnitAmount"]),
                _minor(line["LineAmount"] or Decimal(), currency, "line amount"),
                _minor(line["TaxAmount"] or Decimal(), currency, "line tax"),
            )
            for line in found["LineItems"]
        ),
    )


def to_customer(data: Mapping[str, Any]) -> UpstreamCustomer:
    """A contact with its people. The contact's own address is the one Xero mails invoices to. Raises Unmappable."""
    found = _load(_CONTACT, data)
    phone = next((text for text in map(_phone, found["Phones"]) if text), "")
    updated = instant(found["UpdatedDateUTC"]) if found["UpdatedDateUTC"] else None
    return UpstreamCustomer(
        remote_id=found["ContactID"],
        name=found["Name"],
        number=found["AccountNumber"] or found["ContactNumber"],
        email=found["EmailAddress"].strip(),
        phone=phone,
        currency=found["DefaultCurrency"],
        parent="",
        active=found["ContactStatus"] in ("ACTIVE", ""),
        version=version_of(updated) if updated else "",
        updated_at=updated,
        contacts=people(found["FirstName"], found["LastName"], found["EmailAddress"], phone)
        + tuple(
            Contact(
                full_name(one["FirstName"], one["LastName"]), one["EmailAddress"].strip(), "", one["IncludeInEmails"]
            )
            for one in found["ContactPersons"]
        ),
    )


def _phone(found: Mapping[str, str]) -> str:
    if found["PhoneType"] == "FAX" or not found["PhoneNumber"]:
        return ""
    return phone_text(found["PhoneCountryCode"], found["PhoneAreaCode"], found["PhoneNumber"])


def to_payment(data: Mapping[str, Any]) -> UpstreamPayment:
    """A customer payment. Raises Unmappable."""
    found = _load(_PAYMENT, data)
    invoice = found["Invoice"]
    currency, invoice_id = invoice.get("CurrencyCode", ""), invoice.get("InvoiceID", "")
    updated = instant(found["UpdatedDateUTC"]) if found["UpdatedDateUTC"] else None
    amount = _minor(found["Amount"], currency, "amount")
    return UpstreamPayment(
        remote_id=found["PaymentID"],
        customer=invoice.get("Contact", {}).get("ContactID", ""),
        amount=amount,
        currency=currency,
        paid_on=day(found["Date"]) if found["Date"] else None,
        reference=found["Reference"],
        note="",
        reversed=found["Status"] == "DELETED",
        version=version_of(updated) if updated else "",
        updated_at=updated,
        allocations=((invoice_id, amount),) if invoice_id else (),
    )


def to_remote_payment(payment: UpstreamPayment) -> RemotePayment:
    """A payment as a write-back knows it."""
    return RemotePayment(
        payment.remote_id, payment.amount, payment.currency, payment.reversed, payment.version, payment.allocations
    )


def to_recurring(data: Mapping[str, Any]) -> UpstreamRecurring:
    """A repeating invoice. Raises Unmappable."""
    found = _load(_RECURRING, data)
    if found["Type"] != SALES_TYPES[Kind.RECURRING]:
        raise wrong_type(Kind.RECURRING, found["Type"])
    schedule = found["Schedule"]
    every = schedule_text(schedule.get("Period", 1), schedule.get("Unit", ""))
    following = schedule.get("NextScheduledDate", "")
    next_on = day(following) if following else None
    customer, currency, status = found["Contact"].get("ContactID", ""), found["CurrencyCode"], found["Status"]
    amount = _minor(found["Total"], currency, "total")
    return UpstreamRecurring(
        remote_id=found["RepeatingInvoiceID"],
        name=found["Reference"],
        customer=customer,
        amount=amount,
        currency=currency,
        every=every,
        next_on=next_on,
        active=status == "AUTHORISED",
        version=fingerprint(found["Reference"], customer, amount, currency, every, next_on, status),
    )


def to_accounts(rows: Sequence[Mapping[str, Any]]) -> tuple[UpstreamAccount, ...]:
    """The active accounts a payment may go to: banks, and those the merchant has enabled payments to."""
    loaded = [_load(_ACCOUNT, row) for row in rows]
    return tuple(
        UpstreamAccount(
            remote_id=row["AccountID"],
            name=f"{row['Code']} {row['Name']}".strip(),
            kind=account_kind(row["Type"]),
            currency=row["CurrencyCode"],
        )
        for row in loaded
        if row["Status"] in ("ACTIVE", "") and (row["Type"] == "BANK" or row["EnablePaymentsToAccount"])
    )
