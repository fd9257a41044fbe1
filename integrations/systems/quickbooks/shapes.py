"""The shapes of QuickBooks' JSON, as far as it is read. Field names are QuickBooks' (Intuit's XSD, v3 entity pages).

Everything but the id is optional: of a deleted record only Id, status and MetaData come.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

_Text = str | None
_Number = Decimal | None


class Ref(msgspec.Struct, gc=False):
    value: _Text = None
    name: _Text = None


class Meta(msgspec.Struct, gc=False):
    LastUpdatedTime: _Text = None


class SalesItem(msgspec.Struct, gc=False):
    ItemRef: Ref | None = None
    UnitPrice: _Number = None
    Qty: _Number = None


class Group(msgspec.Struct, gc=False):
    Line: list[DocumentLine] | None = None


class DocumentLine(msgspec.Struct, gc=False):
    Amount: _Number = None
    Description: _Text = None
    DetailType: _Text = None
    SalesItemLineDetail: SalesItem | None = None
    GroupLineDetail: Group | None = None


class Tax(msgspec.Struct, gc=False):
    TotalTax: _Number = None


class Delivery(msgspec.Struct, gc=False):
    DeliveryTime: _Text = None


class Document(msgspec.Struct, gc=False):
    """An Invoice, a CreditMemo or an Estimate."""

    Id: str
    status: _Text = None
    SyncToken: _Text = None
    MetaData: Meta | None = None
    DocNumber: _Text = None
    TxnDate: _Text = None
    DueDate: _Text = None
    ExpirationDate: _Text = None
    CurrencyRef: Ref | None = None
    Line: list[DocumentLine] | None = None
    TxnTaxDetail: Tax | None = None
    CustomerRef: Ref | None = None
    CustomerMemo: Ref | None = None
    PONumber: _Text = None
    TotalAmt: _Number = None
    Balance: _Number = None
    RemainingCredit: _Number = None
    EmailStatus: _Text = None
    DeliveryInfo: Delivery | None = None
    PrivateNote: _Text = None
    TxnStatus: _Text = None


class Email(msgspec.Struct, gc=False):
    Address: _Text = None


class Phone(msgspec.Struct, gc=False):
    FreeFormNumber: _Text = None


class Customer(msgspec.Struct, gc=False):
    Id: str
    status: _Text = None
    SyncToken: _Text = None
    MetaData: Meta | None = None
    DisplayName: _Text = None
    FullyQualifiedName: _Text = None
    GivenName: _Text = None
    FamilyName: _Text = None
    CompanyName: _Text = None
    AcctNum: _Text = None
    PrimaryEmailAddr: Email | None = None
    PrimaryPhone: Phone | None = None
    Mobile: Phone | None = None
    CurrencyRef: Ref | None = None
    ParentRef: Ref | None = None
    Active: bool | None = None


class LinkedTxn(msgspec.Struct, gc=False):
    TxnId: _Text = None
    TxnType: _Text = None


class PaymentLine(msgspec.Struct, gc=False):
    Amount: _Number = None
    LinkedTxn: list[LinkedTxn] | None = None


class Payment(msgspec.Struct, gc=False):
    Id: str
    status: _Text = None
    SyncToken: _Text = None
    MetaData: Meta | None = None
    TxnDate: _Text = None
    CurrencyRef: Ref | None = None
    CustomerRef: Ref | None = None
    TotalAmt: _Number = None
    PaymentRefNum: _Text = None
    PrivateNote: _Text = None
    Line: list[PaymentLine] | None = None


class Rows(msgspec.Struct, gc=False):
    """What a query or a change answer lists: one of these at a time."""

    Invoice: list[Document] | None = None
    CreditMemo: list[Document] | None = None
    Estimate: list[Document] | None = None
    Customer: list[Customer] | None = None
    Payment: list[Payment] | None = None


class RawRows(msgspec.Struct, gc=False):
    """The same with each record left as JSON, for answers in which one record is broken."""

    Invoice: list[msgspec.Raw] | None = None
    CreditMemo: list[msgspec.Raw] | None = None
    Estimate: list[msgspec.Raw] | None = None
    Customer: list[msgspec.Raw] | None = None
    Payment: list[msgspec.Raw] | None = None


_NOTHING = msgspec.Raw(b"")


class Answer(msgspec.Struct, gc=False):
    """The answer to a query. A Fault can stand in it even under HTTP 200."""

    QueryResponse: Rows | None = None
    Fault: msgspec.Raw = _NOTHING
    time: str | int | None = None


class RawAnswer(msgspec.Struct, gc=False):
    QueryResponse: RawRows | None = None
    Fault: msgspec.Raw = _NOTHING
    time: str | int | None = None


class Change(msgspec.Struct, gc=False):
    QueryResponse: list[Rows] | None = None
    Fault: msgspec.Raw = _NOTHING


class Changes(msgspec.Struct, gc=False):
    """The answer to a change data capture call."""

    CDCResponse: list[Change] | None = None
    Fault: msgspec.Raw = _NOTHING
    time: str | int | None = None


class RawChange(msgspec.Struct, gc=False):
    QueryResponse: list[RawRows] | None = None
    Fault: msgspec.Raw = _NOTHING


class RawChanges(msgspec.Struct, gc=False):
    CDCResponse: list[RawChange] | None = None
    Fault: msgspec.Raw = _NOTHING
    time: str | int | None = None


class Identity(msgspec.Struct, gc=False):
    """What a broken record is told apart by."""

    Id: str | int | None = None
    DocNumber: str | int | None = None
