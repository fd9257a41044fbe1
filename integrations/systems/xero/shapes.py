"""What Xero's lists look like, for msgspec: only the fields we keep. Field names are those of Xero's OpenAPI 16.1.

Everything but the ids may be absent or null. Enumerations are plain text: Xero adds values without notice, and one
new value must not cost a page.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

Text = str | None
Number = Decimal | None


class LineShape(msgspec.Struct, gc=False):
    Description: Text = None
    Quantity: Number = None
    UnitAmount: Number = None
    LineAmount: Number = None
    TaxAmount: Number = None


class ContactLinkShape(msgspec.Struct, gc=False):
    ContactID: Text = None


class DocumentShape(msgspec.Struct, gc=False):
    Type: Text = None
    InvoiceID: Text = None
    InvoiceNumber: Text = None
    CreditNoteID: Text = None
    CreditNoteNumber: Text = None
    QuoteID: Text = None
    QuoteNumber: Text = None
    Status: Text = None
    Reference: Text = None
    Contact: ContactLinkShape | None = None
    DateString: Text = None
    Date: Text = None
    DueDateString: Text = None
    DueDate: Text = None
    ExpiryDateString: Text = None
    ExpiryDate: Text = None
    BrandingThemeID: Text = None
    CurrencyCode: Text = None
    Total: Number = None
    TotalTax: Number = None
    AmountDue: Number = None
    RemainingCredit: Number = None
    Summary: Text = None
    Terms: Text = None
    SentToContact: bool | None = None
    UpdatedDateUTC: Text = None
    LineItems: list[LineShape] | None = None


class PersonShape(msgspec.Struct, gc=False):
    FirstName: Text = None
    LastName: Text = None
    EmailAddress: Text = None
    IncludeInEmails: bool | None = None


class PhoneShape(msgspec.Struct, gc=False):
    PhoneType: Text = None
    PhoneCountryCode: Text = None
    PhoneAreaCode: Text = None
    PhoneNumber: Text = None


class ContactShape(msgspec.Struct, gc=False):
    ContactID: str
    Name: Text = None
    FirstName: Text = None
    LastName: Text = None
    EmailAddress: Text = None
    AccountNumber: Text = None
    ContactNumber: Text = None
    ContactStatus: Text = None
    DefaultCurrency: Text = None
    Phones: list[PhoneShape] | None = None
    ContactPersons: list[PersonShape] | None = None
    UpdatedDateUTC: Text = None


class InvoiceLinkShape(msgspec.Struct, gc=False):
    InvoiceID: Text = None
    CurrencyCode: Text = None
    Contact: ContactLinkShape | None = None


class PaymentShape(msgspec.Struct, gc=False):
    PaymentID: str
    Invoice: InvoiceLinkShape | None = None
    Date: Text = None
    Amount: Number = None
    Reference: Text = None
    Status: Text = None
    UpdatedDateUTC: Text = None


class ScheduleShape(msgspec.Struct, gc=False):
    Period: int | None = None
    Unit: Text = None
    NextScheduledDate: Text = None


class RecurringShape(msgspec.Struct, gc=False):
    RepeatingInvoiceID: str
    Type: Text = None
    Reference: Text = None
    Contact: ContactLinkShape | None = None
    Schedule: ScheduleShape | None = None
    CurrencyCode: Text = None
    Status: Text = None
    Total: Number = None


class PaginationShape(msgspec.Struct, gc=False):
    pageCount: int = 1
    itemCount: int = 0


class PageShape(msgspec.Struct, gc=False):
    DateTimeUTC: Text = None
    pagination: PaginationShape | None = None
    Invoices: list[msgspec.Raw] | None = None
    CreditNotes: list[msgspec.Raw] | None = None
    Quotes: list[msgspec.Raw] | None = None
    Contacts: list[msgspec.Raw] | None = None
    Payments: list[msgspec.Raw] | None = None
    RepeatingInvoices: list[msgspec.Raw] | None = None
