"""What the sandbox gateway remembers: checkouts, payments, refunds, events and what is due later.

Amounts are minor units, times whole seconds since the epoch on the virtual clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

PAYABLE = frozenset({"open", "requires_authentication"})
_ENDED_UNPAID = frozenset({"failed", "cancelled", "expired"})

# Which state may follow which. A move that is not here is a fault of the gateway itself.
NEXT_STATES: Mapping[str, frozenset[str]] = {
    "open": frozenset({"requires_authentication", "processing", "settled", "failed", "cancelled", "expired"}),
    "requires_authentication": frozenset({"settled", "failed", "cancelled", "expired"}),
    "processing": frozenset({"settled", "returned"}),
    "settled": frozenset({"partly_refunded", "refunded", "returned"}),
    "partly_refunded": frozenset({"partly_refunded", "refunded", "returned"}),
    "refunded": frozenset(),
    "returned": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
    "expired": frozenset(),
}


@dataclass(frozen=True)
class Record:
    """A frozen record that is kept as a JSON document of its `kind`."""

    kind: ClassVar[str]

    id: str

    def document(self) -> dict[str, Any]:
        """The JSON document to store."""
        return asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The record a stored document was made from."""
        return cls(**document)


@dataclass(frozen=True)
class Checkout(Record):
    """One attempt to take a payment on the hosted page; its state is the state of its payment."""

    kind: ClassVar[str] = "checkout"

    payment: str
    reference: str
    amount_minor: int
    currency: str
    lines: list[dict[str, Any]]
    merchant_name: str
    success_url: str
    cancel_url: str
    created: int
    expires_at: int
    form_token: str
    action: str | None = None


@dataclass(frozen=True)
class Payment(Record):
    """The money of one checkout."""

    kind: ClassVar[str] = "payment"

    checkout: str
    reference: str
    amount_minor: int
    currency: str
    created: int
    status: str = "open"
    method: str | None = None
    failure_code: str | None = None
    settled_at: int | None = None
    returned_at: int | None = None
    refunds: list[str] = field(default_factory=list)

    @property
    def payable(self) -> bool:
        """Whether the customer can still pay it on the hosted page."""
        return self.status in PAYABLE

    @property
    def checkout_status(self) -> str:
        """The state of the checkout that belongs to it."""
        if self.payable:
            return "open"
        return self.status if self.status in _ENDED_UNPAID else "complete"


@dataclass(frozen=True)
class Refund(Record):
    """Money going back, in full or in part."""

    kind: ClassVar[str] = "refund"

    payment: str
    reference: str
    amount_minor: int
    currency: str
    created: int
    reason: str = ""
    status: str = "pending"
    failure_code: str | None = None
    settled_at: int | None = None


@dataclass(frozen=True)
class Event(Record):
    """Something that happened; its document is the webhook's body and what the events list shows."""

    kind: ClassVar[str] = "event"

    type: str
    created: str
    data: dict[str, str]


@dataclass(frozen=True)
class Transition(Record):
    """Something the clock brings about: `settle` or `return` a payment, `expire` a checkout, settle a `refund`."""

    kind: ClassVar[str] = "transition"

    due_at: int
    move: str
    subject: str
    code: str | None = None


FAILURES: Mapping[str, str] = {
    "card_declined": "The bank declined the card.",
    "authentication_failed": "The customer could not confirm the payment with the bank.",
    "R01": "Insufficient funds.",
    "R10": "The account holder says the debit was not authorised.",
    "debit_returned": "The debit was returned before the refund went out.",
}
