"""Pages in bulk: raw bytes straight into our records by msgspec.

A page is 1,000 invoices, so the loops below avoid calls and remember conversions. Single records come through
`mapping`, which ends in the same functions; the same golden files pass through both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

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
)
from integrations.systems.quickbooks import shapes
from integrations.systems.quickbooks.shapes import Customer, Document, DocumentLine, Payment
from integrations.systems.quickbooks.values import (
    DELETED,
    ENTITY,
    MinorUnits,
    Unmappable,
    day,
    decimal_texts,
    estimate_state,
    instant,
    invoice_state,
    is_voided,
    minor_units,
)

_tuple: Callable[..., Any] = tuple.__new__


def document(kind: Kind, given: Document, home_currency: str) -> UpstreamInvoice:
    """Map one document. Raises Unmappable."""
    meta = given.MetaData
    updated_at = instant(meta.LastUpdatedTime) if meta else None
    if given.status == DELETED:
        return deleted_document(kind, given.Id, updated_at)
    ref = given.CurrencyRef
    currency = (ref.value if ref else None) or home_currency
    minor = minor_units(currency)
    if given.TotalAmt is None:
        raise Unmappable("The record has no total.")
    total = minor[str(given.TotalAmt)]
    tax = given.TxnTaxDetail
    balance, due, state = 0, given.DueDate, InvoiceState.UNKNOWN
    if kind is Kind.ESTIMATE:
        due, state = given.ExpirationDate, estimate_state(given.status, given.TxnStatus)
    else:
        left = (
            given.RemainingCredit if kind is Kind.CREDIT_NOTE and given.RemainingCredit is not None else given.Balance
        )
        balance = minor[str(left if left is not None else 0)]
        state = invoice_state(given.status, total, balance, given.PrivateNote)
    customer, memo, delivery = given.CustomerRef, given.CustomerMemo, given.DeliveryInfo
    found: UpstreamInvoice = _tuple(
        UpstreamInvoice,
        (
            kind,
            given.Id,
            given.DocNumber or "",
            state,
            (customer.value or "") if customer else "",
            day(given.TxnDate),
            day(due),
            currency,
            total,
            minor[str(tax.TotalTax)] if tax and tax.TotalTax is not None else 0,
            balance,
            (memo.value or "") if memo else "",
            given.PONumber or "",
            "",
            given.EmailStatus == "EmailSent" or bool(delivery and delivery.DeliveryTime),
            given.SyncToken or "",
            updated_at,
            tuple(_lines(given.Line or (), minor)),
        ),
    )
    return found


def _lines(given: Iterable[DocumentLine], minor: MinorUnits) -> list[Line]:
    lines: list[Line] = []
    for line in given:
        kind, amount = line.DetailType, line.Amount
        if kind == "SalesItemLineDetail":
            item = line.SalesItemLineDetail
            description, quantity, price = line.Description or "", "", ""
            if item:
                if not description and item.ItemRef:
                    description = item.ItemRef.name or ""
                if item.Qty is not None:
                    quantity = decimal_texts[str(item.Qty)]
                if item.UnitPrice is not None:
                    price = decimal_texts[str(item.UnitPrice)]
            value = minor[str(amount)] if amount is not None else 0
            lines.append(_tuple(Line, (description, quantity, price, value, 0)))
        elif kind == "SubTotalLineDetail":
            continue
        elif kind == "DiscountLineDetail":
            lines.append(Line(line.Description or "Discount", "", "", -minor[str(amount or 0)], 0))
        elif kind == "GroupLineDetail" and line.GroupLineDetail and line.GroupLineDetail.Line:
            # A bundle's amount is the sum of its parts, which follow: it stands here as their heading.
            if line.Description:
                lines.append(Line(line.Description, "", "", 0, 0))
            lines.extend(_lines(line.GroupLineDetail.Line, minor))
        else:
            lines.append(Line(line.Description or "", "", "", minor[str(amount or 0)], 0))
    return lines


def deleted_document(kind: Kind, remote_id: str, updated_at: datetime | None) -> UpstreamInvoice:
    """All that is left of a deleted document."""
    return UpstreamInvoice(
        kind, remote_id, "", InvoiceState.DELETED, "", None, None, "", 0, 0, 0, "", "", "", False, "", updated_at, ()
    )


def customer(given: Customer, home_currency: str) -> UpstreamCustomer:
    """Map one customer. Raises Unmappable."""
    name = given.DisplayName or given.FullyQualifiedName or given.CompanyName or ""
    if given.status == DELETED and not name:
        name = f"Customer {given.Id} (deleted)"
    email = (given.PrimaryEmailAddr.Address if given.PrimaryEmailAddr else None) or ""
    phones = [phone.FreeFormNumber for phone in (given.PrimaryPhone, given.Mobile) if phone and phone.FreeFormNumber]
    phone = phones[0] if phones else ""
    person = " ".join(part for part in (given.GivenName, given.FamilyName) if part)
    return UpstreamCustomer(
        remote_id=given.Id,
        name=name,
        number=given.AcctNum or "",
        email=email,
        phone=phone,
        currency=(given.CurrencyRef.value if given.CurrencyRef else None) or home_currency,
        parent=(given.ParentRef.value or "") if given.ParentRef else "",
        active=given.status != DELETED and given.Active is not False,
        version=given.SyncToken or "",
        updated_at=instant(given.MetaData.LastUpdatedTime) if given.MetaData else None,
        contacts=(Contact(person or name, email, phone, True),) if email else (),
    )


def payment(given: Payment, home_currency: str) -> UpstreamPayment:
    """Map one payment; what it is applied to is its lines that link to invoices. Raises Unmappable."""
    updated_at = instant(given.MetaData.LastUpdatedTime) if given.MetaData else None
    if given.status == DELETED:
        return UpstreamPayment(given.Id, "", 0, home_currency, None, "", "", True, "", updated_at, ())
    currency = (given.CurrencyRef.value if given.CurrencyRef else None) or home_currency
    minor = minor_units(currency)
    if given.TotalAmt is None:
        raise Unmappable("The record has no total.")
    amount = minor[str(given.TotalAmt)]
    allocations = []
    for line in given.Line or ():
        for linked in line.LinkedTxn or ():
            if linked.TxnType == "Invoice" and linked.TxnId:
                allocations.append((linked.TxnId, minor[str(line.Amount or 0)]))
    return UpstreamPayment(
        remote_id=given.Id,
        customer=(given.CustomerRef.value or "") if given.CustomerRef else "",
        amount=amount,
        currency=currency,
        paid_on=day(given.TxnDate),
        reference=given.PaymentRefNum or "",
        note=given.PrivateNote or "",
        reversed=given.status == "Voided" or is_voided(amount, given.PrivateNote),
        version=given.SyncToken or "",
        updated_at=updated_at,
        allocations=tuple(allocations),
    )


class Garbled(ValueError):
    """The answer is not the JSON it should be."""


class Faulty(ValueError):
    """A Fault stands in the answer in place of records; `fault` is its raw JSON."""

    def __init__(self, fault: bytes) -> None:
        super().__init__("The answer holds a fault.")
        self.fault = fault


class Batch(NamedTuple):
    """One decoded answer: the records, what could not be mapped, how many rows came in all, the upstream's clock.

    `last_updated` is the MetaData.LastUpdatedTime of the last record as QuickBooks wrote it, `deleted` how many
    records were no more than the notice of a deletion.
    """

    records: list[Record]
    unreadable: list[Unreadable]
    seen: int
    time: str
    last_updated: str
    deleted: int


_SHAPE: dict[Kind, type[Document] | type[Customer] | type[Payment]] = {
    Kind.INVOICE: Document,
    Kind.CREDIT_NOTE: Document,
    Kind.ESTIMATE: Document,
    Kind.CUSTOMER: Customer,
    Kind.PAYMENT: Payment,
}
_answer = msgspec.json.Decoder(shapes.Answer)
_changes = msgspec.json.Decoder(shapes.Changes)
_raw_answer = msgspec.json.Decoder(shapes.RawAnswer)
_raw_changes = msgspec.json.Decoder(shapes.RawChanges)
_one = {kind: msgspec.json.Decoder(shape) for kind, shape in _SHAPE.items()}
_identity = msgspec.json.Decoder(shapes.Identity)


def read_answer(kind: Kind, body: bytes, home_currency: str) -> Batch:
    """Map the answer to a query. Raises Faulty, Garbled."""
    return _read(kind, body, home_currency, _answer, _raw_answer)


def read_changes(kind: Kind, body: bytes, home_currency: str) -> Batch:
    """Map the answer to a change data capture call, deleted records included. Raises Faulty, Garbled."""
    return _read(kind, body, home_currency, _changes, _raw_changes)


def _read(kind: Kind, body: bytes, home_currency: str, strict: Any, raw: Any) -> Batch:
    rows: list[Any] = []
    unreadable: list[Unreadable] = []
    try:
        try:
            answer = strict.decode(body)
            rows = _rows(kind, answer)
        except msgspec.ValidationError:
            # One record with a field of another type spoils the whole decode: take them one by one.
            answer = raw.decode(body)
            for item in _rows(kind, answer):
                try:
                    rows.append(_one[kind].decode(item))
                except msgspec.ValidationError as error:
                    unreadable.append(_spoilt(item, str(error)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Garbled(str(error)) from error
    seen = len(rows) + len(unreadable)
    records: list[Record] = []
    for row in rows:
        try:
            records.append(map_shape(kind, row, home_currency))
        except Unmappable as reason:
            unreadable.append(Unreadable(row.Id, getattr(row, "DocNumber", None) or "", str(reason)))
    last = rows[-1].MetaData if rows else None
    deleted = sum(1 for row in rows if row.status == DELETED)
    updated = (last.LastUpdatedTime or "") if last else ""
    return Batch(records, unreadable, seen, str(answer.time or ""), updated, deleted)


def map_shape(kind: Kind, shape: Any, home_currency: str) -> Record:
    """Map one decoded record of any kind. Raises Unmappable."""
    if kind is Kind.CUSTOMER:
        return customer(shape, home_currency)
    if kind is Kind.PAYMENT:
        return payment(shape, home_currency)
    return document(kind, shape, home_currency)


def _rows(kind: Kind, answer: Any) -> list[Any]:
    """The records in an answer, whichever of its two forms it has; nothing at all is what 'none' looks like."""
    if fault := bytes(answer.Fault):
        raise Faulty(fault)
    if hasattr(answer, "QueryResponse"):
        lists = [answer.QueryResponse]
    else:
        changes = answer.CDCResponse or []
        for change in changes:
            if fault := bytes(change.Fault):
                raise Faulty(fault)
        lists = [rows for change in changes for rows in change.QueryResponse or []]
    found = [getattr(rows, ENTITY[kind]) or [] for rows in lists if rows is not None]
    return found[0] if len(found) == 1 else [row for rows in found for row in rows]


def _spoilt(item: msgspec.Raw, why: str) -> Unreadable:
    try:
        known = _identity.decode(item)
    except msgspec.ValidationError:
        known = shapes.Identity()
    return Unreadable(
        str(known.Id or ""), str(known.DocNumber or ""), f"QuickBooks sent a value of another kind: {why}"
    )
