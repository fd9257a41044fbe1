"""Single records: raw JSON (as dicts, numbers as Decimal) through marshmallow into our records.

The schemas end in the same shapes and functions as the pages in bulk, so one record means the same on both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load

from connector.domain.records import (
    Kind,
    Record,
    RemotePayment,
    UpstreamAccount,
    UpstreamInvoice,
    UpstreamPayment,
    UpstreamRecurring,
)
from integrations.systems.quickbooks import shapes
from integrations.systems.quickbooks.mapping_bulk import map_shape
from integrations.systems.quickbooks.values import Unmappable, day, minor_units


def _text() -> fields.String:
    return fields.String(load_default=None, allow_none=True)


def _number() -> fields.Decimal:
    return fields.Decimal(load_default=None, allow_none=True)


def _one(schema: Callable[[], Schema]) -> fields.Nested:
    return fields.Nested(schema, load_default=None, allow_none=True)


def _many(schema: Callable[[], Schema]) -> fields.List[Any]:
    return fields.List(fields.Nested(schema), load_default=None, allow_none=True)


class _Shaped(Schema):
    """Loads into the shape its subclass names; what we do not read is left out."""

    shape: type[Any]

    class Meta:
        unknown = EXCLUDE

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> Any:
        return self.shape(**data)


class _Ref(_Shaped):
    shape = shapes.Ref
    value = _text()
    name = _text()


class _Meta(_Shaped):
    shape = shapes.Meta
    LastUpdatedTime = _text()


class _SalesItem(_Shaped):
    shape = shapes.SalesItem
    ItemRef = _one(_Ref)
    UnitPrice = _number()
    Qty = _number()


class _Group(_Shaped):
    shape = shapes.Group
    Line = _many(lambda: _DocumentLine())


class _DocumentLine(_Shaped):
    shape = shapes.DocumentLine
    Amount = _number()
    Description = _text()
    DetailType = _text()
    SalesItemLineDetail = _one(_SalesItem)
    GroupLineDetail = _one(_Group)


class _Tax(_Shaped):
    shape = shapes.Tax
    TotalTax = _number()


class _Delivery(_Shaped):
    shape = shapes.Delivery
    DeliveryTime = _text()


class _Entity(_Shaped):
    Id = fields.String(required=True)
    status = _text()
    SyncToken = _text()
    MetaData = _one(_Meta)


class _Document(_Entity):
    shape = shapes.Document
    DocNumber = _text()
    TxnDate = _text()
    DueDate = _text()
    ExpirationDate = _text()
    CurrencyRef = _one(_Ref)
    Line = _many(_DocumentLine)
    TxnTaxDetail = _one(_Tax)
    CustomerRef = _one(_Ref)
    CustomerMemo = _one(_Ref)
    PONumber = _text()
    TotalAmt = _number()
    Balance = _number()
    RemainingCredit = _number()
    EmailStatus = _text()
    DeliveryInfo = _one(_Delivery)
    PrivateNote = _text()
    TxnStatus = _text()


class _Email(_Shaped):
    shape = shapes.Email
    Address = _text()


class _Phone(_Shaped):
    shape = shapes.Phone
    FreeFormNumber = _text()


class _Customer(_Entity):
    shape = shapes.Customer
    DisplayName = _text()
    FullyQualifiedName = _text()
    GivenName = _text()
    FamilyName = _text()
    CompanyName = _text()
    AcctNum = _text()
    PrimaryEmailAddr = _one(_Email)
    PrimaryPhone = _one(_Phone)
    Mobile = _one(_Phone)
    CurrencyRef = _one(_Ref)
    ParentRef = _one(_Ref)
    Active = fields.Boolean(load_default=None, allow_none=True)


class _LinkedTxn(_Shaped):
    shape = shapes.LinkedTxn
    TxnId = _text()
    TxnType = _text()


class _PaymentLine(_Shaped):
    shape = shapes.PaymentLine
    Amount = _number()
    LinkedTxn = _many(_LinkedTxn)


class _Payment(_Entity):
    shape = shapes.Payment
    TxnDate = _text()
    CurrencyRef = _one(_Ref)
    CustomerRef = _one(_Ref)
    TotalAmt = _number()
    PaymentRefNum = _text()
    PrivateNote = _text()
    Line = _many(_PaymentLine)


_SCHEMA: dict[Kind, Schema] = {
    Kind.INVOICE: _Document(),
    Kind.CREDIT_NOTE: _Document(),
    Kind.ESTIMATE: _Document(),
    Kind.CUSTOMER: _Customer(),
    Kind.PAYMENT: _Payment(),
}


def record(kind: Kind, raw: Mapping[str, Any], home_currency: str) -> Record:
    """Map one record of any paged kind but recurring profiles. Raises Unmappable."""
    try:
        shape = _SCHEMA[kind].load(raw)
    except ValidationError as error:
        raise Unmappable(f"QuickBooks sent a value of another kind: {error.messages}") from error
    return map_shape(kind, shape, home_currency)


def invoice(raw: Mapping[str, Any], home_currency: str) -> UpstreamInvoice:
    """Map one invoice. Raises Unmappable."""
    return cast(UpstreamInvoice, record(Kind.INVOICE, raw, home_currency))


def remote_payment(raw: Mapping[str, Any], home_currency: str) -> RemotePayment:
    """Map a payment of ours. Raises Unmappable."""
    found = cast(UpstreamPayment, record(Kind.PAYMENT, raw, home_currency))
    return RemotePayment(
        found.remote_id, found.amount, found.currency, found.reversed, found.version, found.allocations
    )


class _Schedule(Schema):
    class Meta:
        unknown = EXCLUDE

    IntervalType = _text()
    NumInterval = fields.Integer(load_default=None, allow_none=True)
    DayOfMonth = fields.Integer(load_default=None, allow_none=True)
    DayOfWeek = _text()
    MonthOfYear = _text()
    NextDate = _text()


class _RecurringInfo(Schema):
    class Meta:
        unknown = EXCLUDE

    Name = _text()
    Active = fields.Boolean(load_default=True, allow_none=True)
    ScheduleInfo = fields.Nested(_Schedule, load_default=dict, allow_none=True)


_recurring_info = _RecurringInfo()


def recurring(raw: Mapping[str, Any], home_currency: str) -> UpstreamRecurring | None:
    """Map one recurring transaction; None for those that make no invoices. Raises Unmappable.

    QuickBooks wraps the template by its type: {"Invoice": {..., "RecurringInfo": {...}}}.
    """
    template = raw.get("Invoice")
    if not isinstance(template, Mapping):
        return None
    try:
        shape = _SCHEMA[Kind.INVOICE].load(template)
        info = _recurring_info.load(template.get("RecurringInfo") or {})
    except ValidationError as error:
        raise Unmappable(f"QuickBooks sent a value of another kind: {error.messages}") from error
    schedule = info["ScheduleInfo"] or {}
    currency = (shape.CurrencyRef.value if shape.CurrencyRef else None) or home_currency
    return UpstreamRecurring(
        remote_id=shape.Id,
        name=info["Name"] or "",
        customer=(shape.CustomerRef.value or "") if shape.CustomerRef else "",
        amount=minor_units(currency)[str(shape.TotalAmt)] if shape.TotalAmt is not None else 0,
        currency=currency,
        every=_every(schedule),
        next_on=day(schedule.get("NextDate")),
        active=info["Active"] is not False,
        version=shape.SyncToken or "",
    )


_UNIT = {"daily": "day", "weekly": "week", "monthly": "month", "yearly": "year"}


def _every(schedule: Mapping[str, Any]) -> str:
    """The schedule in words: 'every month on day 1', 'every 2 weeks on Monday'; empty for one without."""
    interval = (schedule.get("IntervalType") or "").lower()
    unit = _UNIT.get(interval)
    if unit is None:
        return interval
    count = schedule.get("NumInterval") or 1
    words = f"every {unit}" if count == 1 else f"every {count} {unit}s"
    if unit == "week" and schedule.get("DayOfWeek"):
        return f"{words} on {schedule['DayOfWeek']}"
    if unit in ("month", "year") and schedule.get("DayOfMonth"):
        month = f" of {schedule['MonthOfYear']}" if unit == "year" and schedule.get("MonthOfYear") else ""
        return f"{words} on day {schedule['DayOfMonth']}{month}"
    return words


class _Account(Schema):
    class Meta:
        unknown = EXCLUDE

    Id = fields.String(required=True)
    Name = _text()
    FullyQualifiedName = _text()
    AccountType = _text()
    CurrencyRef = _one(_Ref)


_account = _Account()


def account(raw: Mapping[str, Any]) -> UpstreamAccount:
    """Map one account. Raises Unmappable."""
    try:
        given = _account.load(raw)
    except ValidationError as error:
        raise Unmappable(f"QuickBooks sent a value of another kind: {error.messages}") from error
    return UpstreamAccount(
        remote_id=given["Id"],
        name=given["FullyQualifiedName"] or given["Name"] or given["Id"],
        kind=given["AccountType"] or "",
        currency=(given["CurrencyRef"].value if given["CurrencyRef"] else None) or "",
    )
