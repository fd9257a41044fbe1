"""Rows as repositories hand them out: frozen, typed, nothing lazy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from connector.domain.postings import PostingState
from connector.domain.records import PaymentState


@dataclass(frozen=True, slots=True)
class MerchantRow:
    """A merchant and its branding."""

    id: int
    slug: str
    name: str
    colour: str
    help_email: str
    help_phone: str
    country: str
    allow_partial: bool
    gateway: str
    has_logo: bool
    branded_at: datetime | None


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """A connected organisation. `extra` holds what the vendor wants named (connection id, short code)."""

    id: int
    merchant_id: int
    system: str
    tenant: str
    name: str
    currency: str
    extra: Mapping[str, str]
    state: str
    role: str
    history_start: date | None
    place_links: bool
    deposit_account: str
    install_key: str | None
    problem: str
    first_import_done_at: datetime | None
    first_hit_at: datetime | None


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    """An invoice of the mirror. Amounts in minor units of `currency`."""

    id: int
    connection_id: int
    remote_id: str
    kind: str
    number: str
    state: str
    customer: str
    currency: str
    total: int
    balance: int
    confirmed_at: datetime


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """A payment. Amounts in minor units of `currency`."""

    id: str
    merchant_id: int
    connection_id: int
    customer: str
    amount: int
    currency: str
    gateway: str
    gateway_ref: str | None
    checkout_url: str
    state: PaymentState
    method: str
    refunded: int
    booked: int
    link_id: int | None
    sealed_receipt: bytes
    expires_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class PostingRow:
    """What must stand in a system's books. Allocations are (invoice remote id, minor units).

    `problem`: why a person had to look, until it stands."""

    key: str
    connection_id: int
    payment_id: str
    part: str
    generation: int
    state: PostingState
    amount: int
    currency: str
    allocations: tuple[tuple[str, int], ...]
    paid_on: date
    remote_id: str
    remote_version: str
    problem: str
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class PlacementRow:
    """A link that stands, or shall stand, upstream."""

    id: int
    connection_id: int
    target: str
    target_name: str
    link_id: int | None
    state: str
    replaces_link_id: int | None
    text_before: str | None
    problem: str


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """A record upstream that could not be read, and why."""

    id: int
    connection_id: int
    kind: str
    remote_id: str
    number: str
    why: str


@dataclass(frozen=True, slots=True)
class RefundRow:
    """Money to be given back."""

    id: str
    payment_id: str
    amount: int
    currency: str
    reason: str
    state: str
