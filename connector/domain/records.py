"""The records every upstream's words are mapped into, field by field the same for all systems.

Amounts are integers in minor units of the record's currency; dates are dates, instants are aware UTC datetimes.
They are named tuples because an import makes hundreds of thousands of them.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What can be read in pages."""

    CUSTOMER = "customer"
    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    ESTIMATE = "estimate"
    RECURRING = "recurring"
    PAYMENT = "payment"


class InvoiceState(StrEnum):
    """Where a document stands upstream. `UNKNOWN` is kept and shown, never guessed at."""

    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    DELETED = "deleted"
    UNKNOWN = "unknown"


class Line(NamedTuple):
    """One line of a document. `quantity` and `unit_price` are the upstream's decimal text (finer than a coin)."""

    description: str
    quantity: str
    unit_price: str
    amount: int
    tax: int


class UpstreamInvoice(NamedTuple):
    """An invoice, credit note or estimate as the upstream states it now.

    `balance` is what is still due by the upstream's own word, never a sum of payments. `version` changes with every
    upstream edit (SyncToken, UpdatedDateUTC). `memo` is the text the customer sees; `theme` the branding theme.
    A deleted record carries only remote_id, state and updated_at.
    """

    kind: Kind
    remote_id: str
    number: str
    state: InvoiceState
    customer: str
    issue_date: date | None
    due_date: date | None
    currency: str
    total: int
    tax: int
    balance: int
    memo: str
    reference: str
    theme: str
    emailed: bool
    version: str
    updated_at: datetime | None
    lines: tuple[Line, ...]


class Contact(NamedTuple):
    """A person at a customer."""

    name: str
    email: str
    phone: str
    billing: bool


class UpstreamCustomer(NamedTuple):
    """A customer with its people; `parent` is the remote id of the customer it belongs to."""

    remote_id: str
    name: str
    number: str
    email: str
    phone: str
    currency: str
    parent: str
    active: bool
    version: str
    updated_at: datetime | None
    contacts: tuple[Contact, ...]


class UpstreamPayment(NamedTuple):
    """A payment recorded upstream by anybody. `allocations` are (invoice remote id, minor)."""

    remote_id: str
    customer: str
    amount: int
    currency: str
    paid_on: date | None
    reference: str
    note: str
    reversed: bool
    version: str
    updated_at: datetime | None
    allocations: tuple[tuple[str, int], ...]


class UpstreamRecurring(NamedTuple):
    """A recurring profile: `every` is the upstream's schedule in words, `amount` its next invoice's total."""

    remote_id: str
    name: str
    customer: str
    amount: int
    currency: str
    every: str
    next_on: date | None
    active: bool
    version: str


class UpstreamAccount(NamedTuple):
    """An account a payment may be deposited to. `currency` is empty where the system does not say."""

    remote_id: str
    name: str
    kind: str
    currency: str


def record_name(kind: str, number: str) -> str:
    """One record in words: "Credit note 1042"."""
    words = "Recurring invoice" if kind == Kind.RECURRING else kind.replace("_", " ").capitalize()
    return f"{words} {number}".strip()


class Unreadable(NamedTuple):
    """A record that could not be mapped: kept and shown with its cause, so that one never costs a page."""

    remote_id: str
    number: str
    why: str


Record = UpstreamInvoice | UpstreamCustomer | UpstreamPayment | UpstreamRecurring


class Page(NamedTuple):
    """One page of a reading.

    `next` is the cursor to go on with; when `done` it is where the next delta reading starts. `total` is how many
    records the whole reading has, where the upstream says it.
    """

    records: list[Record]
    unreadable: list[Unreadable]
    next: str
    done: bool
    total: int | None


class RemotePayment(NamedTuple):
    """A payment of ours as it stands upstream. `version` is what a reversal must name."""

    remote_id: str
    amount: int
    currency: str
    reversed: bool
    version: str
    allocations: tuple[tuple[str, int], ...]


class SurveyLine(NamedTuple):
    """One line of a dry run: how many (`number`) of `what` would be imported."""

    what: str
    number: int


class Survey(NamedTuple):
    """What a first import would bring and what placing links would write, counted upstream."""

    organisation: str
    currency: str
    lines: tuple[SurveyLine, ...]
    links: int
    warnings: tuple[str, ...]


class PaymentState(StrEnum):
    """Where a payment stands. Only the first four can still change into `settled`."""

    INTENDED = "intended"
    CHECKOUT = "checkout"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    SETTLED = "settled"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETURNED = "returned"
    PARTLY_REFUNDED = "partly_refunded"
    REFUNDED = "refunded"
    UNKNOWN = "unknown"


class GatewayPayment(NamedTuple):
    """The gateway's word on one checkout. `refunded` is minor units given back so far, settled refunds only.

    `payable`: whether the customer can still pay it. `method` is a word for people ("Card", "Bank debit").
    """

    ref: str
    payment_ref: str
    reference: str
    state: PaymentState
    amount: int
    currency: str
    refunded: int
    payable: bool
    method: str
    failure: str
    settled_at: datetime | None


class Event(NamedTuple):
    """What a webhook points at. For gateways `tenant` is our reference; `remote_id` may be empty (re-read all)."""

    tenant: str
    kind: str
    remote_id: str
    event_id: str
    happened_at: datetime | None
