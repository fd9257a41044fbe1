"""Double entry: what is booked when money arrives, is given back or is returned.

Accounts are `clearing:<gateway>` (what the gateway owes the merchant) and `receivable:<connection>:<invoice>`.
A debit is positive, a credit negative; the lines of an entry sum to zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connector.domain.money import Money, allocate


class Unbalanced(ValueError):
    """An entry's lines do not sum to zero, or it has none."""


@dataclass(frozen=True, slots=True)
class EntryLine:
    """One line: a debit (positive) or a credit (negative) of an account."""

    account: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Entry:
    """A booking. `reason` names its cause once and for all, so that the same cause is never booked twice."""

    kind: str
    payment_id: str
    reason: str
    lines: tuple[EntryLine, ...]

    def __post_init__(self) -> None:
        if len(self.lines) < 2:
            raise Unbalanced("An entry has at least two lines.")
        total = self.lines[0].amount
        for line in self.lines[1:]:
            total = total + line.amount
        if total:
            raise Unbalanced(f"The lines of {self.reason} are off by {total}.")


def receipt(
    *, payment_id: str, reason: str, gateway: str, connection_id: int, shares: Mapping[int, int], currency: str
) -> Entry:
    """Money has arrived at the gateway: debit clearing, credit each invoice's receivable. `shares` in minor units."""
    return Entry("receipt", payment_id, reason, _lines(1, gateway, connection_id, shares, currency))


def giving_back(
    *, payment_id: str, reason: str, gateway: str, connection_id: int, shares: Mapping[int, int], currency: str
) -> Entry:
    """Money left again (refund, returned debit): the receipt's lines the other way round, for `shares` minor units."""
    return Entry("reversal", payment_id, reason, _lines(-1, gateway, connection_id, shares, currency))


def shift(paid: Mapping[int, int], shares: Mapping[int, int], hold: int) -> dict[int, int]:
    """What each invoice counts as paid once the payment holds `hold` minor units in all, `paid` being what it is now.

    Only the difference is shared out, by largest remainder over what can still change: sharing out the whole anew
    could raise one invoice's share while money is given back. Raises Unbalanced for more than the shares sum to.
    """
    if not 0 <= hold <= sum(shares.values()):
        raise Unbalanced(f"A payment cannot hold {hold} of {sum(shares.values())}.")
    now = {invoice: paid.get(invoice, 0) for invoice in shares}
    change = hold - sum(now.values())
    if not change:
        return now
    room = [share - now[invoice] if change > 0 else now[invoice] for invoice, share in shares.items()]
    steps = allocate(change, room)
    return {invoice: now[invoice] + step for invoice, step in zip(shares, steps, strict=True)}


def receivable(connection_id: int, invoice: int) -> str:
    """The account of what a customer owes on one invoice."""
    return f"receivable:{connection_id}:{invoice}"


def _lines(
    sign: int, gateway: str, connection_id: int, shares: Mapping[int, int], currency: str
) -> tuple[EntryLine, ...]:
    total = sum(shares.values())
    return (
        EntryLine(f"clearing:{gateway}", Money(sign * total, currency)),
        *(
            EntryLine(receivable(connection_id, invoice), Money(-sign * share, currency))
            for invoice, share in shares.items()
            if share
        ),
    )
