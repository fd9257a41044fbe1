"""A payment's way from the customer's choice to money settled, and what each word of the gateway changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connector.domain.records import GatewayPayment, PaymentState

# A customer has this long to finish at the gateway before the checkout is cancelled and the invoices are released.
CHECKOUT_SECONDS = 30 * 60
# How old an upstream's word on a balance may be when the upstream cannot be asked right now.
CONFIRMED_WITHIN_SECONDS = 15 * 60

IN_FLIGHT = frozenset(
    {PaymentState.INTENDED, PaymentState.CHECKOUT, PaymentState.REQUIRES_ACTION, PaymentState.PROCESSING}
)
UNPAID_END = frozenset({PaymentState.FAILED, PaymentState.CANCELLED})
_HOLDS_MONEY = frozenset({PaymentState.SETTLED, PaymentState.PARTLY_REFUNDED})


@dataclass(frozen=True, slots=True)
class PortalScope:
    """Whose money is concerned: one customer of one connection, and only one invoice when `invoice` is given.

    `customer` and `invoice` are remote ids; `link_id` the link that was used, if any.
    """

    merchant_id: int
    connection_id: int
    customer: str
    invoice: str | None = None
    link_id: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One invoice the customer ticked, with the amount as typed (decimal text)."""

    invoice_id: int
    amount_text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gateway's word changes: the new state, what the ledger must hold (minor units), and whether the
    invoices can be paid again."""

    state: PaymentState
    hold: int
    release: bool


class WordDoesNotFit(ValueError):
    """The gateway speaks of another amount or currency than was asked for; a person must look."""


def judge(*, amount: int, currency: str, state: PaymentState, booked: int, word: GatewayPayment) -> Verdict:
    """Decide what one payment becomes. Pure, and the same word twice changes nothing the second time.

    An unknown word keeps what is known. Money that arrived on a payment we gave up on is still money.
    Raises WordDoesNotFit when amount or currency differ.
    """
    if (word.amount, word.currency) != (amount, currency):
        raise WordDoesNotFit(
            f"The gateway reports {word.amount} {word.currency} (smallest units), we asked for {amount} {currency}."
        )
    if word.state is PaymentState.UNKNOWN:
        return Verdict(state, booked, release=False)
    if word.state in _HOLDS_MONEY:
        hold = amount - word.refunded
        return Verdict(PaymentState.PARTLY_REFUNDED if word.refunded else PaymentState.SETTLED, hold, release=False)
    if word.state in (PaymentState.RETURNED, PaymentState.REFUNDED):
        return Verdict(word.state, 0, release=booked == 0)
    if word.state in UNPAID_END:
        return Verdict(word.state, 0, release=True)
    return Verdict(word.state, booked, release=False)


def merge_shares(shares: Mapping[int, int]) -> tuple[tuple[int, int], ...]:
    """Allocations in a stable order, for comparing two choices."""
    return tuple(sorted(shares.items()))
