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
_MONEY_MOVED = _HOLDS_MONEY | {PaymentState.REFUNDED, PaymentState.RETURNED}


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

    An unknown word keeps what is known, and so does one that speaks of a payment still to be made when its money was
    booked or came back already. Money that arrived on a payment we gave up on is still money. Invoices of money that
    left again are released by the write-back, once the accounting system shows them as due.
    Raises WordDoesNotFit when amount or currency differ, or more was given back than was paid.
    """
    if (word.amount, word.currency) != (amount, currency):
        raise WordDoesNotFit(
            f"The gateway reports {word.amount} {word.currency} (smallest units), we asked for {amount} {currency}."
        )
    if not 0 <= word.refunded <= amount:
        raise WordDoesNotFit(f"The gateway reports {word.refunded} given back of {amount} {currency} (smallest units).")
    if word.state is PaymentState.UNKNOWN:
        return Verdict(state, booked, release=False)
    if word.state in _HOLDS_MONEY:
        hold = amount - word.refunded
        now = PaymentState.PARTLY_REFUNDED if word.refunded else PaymentState.SETTLED
        return Verdict(now if hold else PaymentState.REFUNDED, hold, release=False)
    if word.state in IN_FLIGHT:
        late = state in _MONEY_MOVED
        return Verdict(state if late else word.state, booked, release=False)
    if state in _MONEY_MOVED:
        # Money that had arrived and is said never to have been paid has gone back.
        return Verdict(PaymentState.RETURNED if word.state in UNPAID_END else word.state, 0, release=False)
    return Verdict(word.state, 0, release=booked == 0)


def merge_shares(shares: Mapping[int, int]) -> tuple[tuple[int, int], ...]:
    """Allocations in a stable order, for comparing two choices."""
    return tuple(sorted(shares.items()))
