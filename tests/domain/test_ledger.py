"""Every booking sums to zero, and what is given back never raises what was paid."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.ledger import Entry, EntryLine, Unbalanced, giving_back, receipt, receivable, shift
from connector.domain.money import Money, NotMoney

share_maps = st.dictionaries(st.integers(1, 10**6), st.integers(1, 10**9), min_size=1, max_size=12)
currencies = st.sampled_from(("EUR", "JPY", "KWD"))


def _sum(entry: Entry) -> int:
    return sum(line.amount.minor for line in entry.lines)


@given(share_maps, currencies)
def test_a_receipt_and_its_return_cancel_each_other_out(shares: dict[int, int], currency: str) -> None:
    given_shares = {"gateway": "sandbox", "connection_id": 7, "shares": shares, "currency": currency}
    came = receipt(payment_id="p", reason="p:1", **given_shares)  # type: ignore[arg-type]
    went = giving_back(payment_id="p", reason="p:2", **given_shares)  # type: ignore[arg-type]
    assert _sum(came) == _sum(went) == 0
    assert {line.amount.currency for line in came.lines} == {currency}
    for arrived, left in zip(came.lines, went.lines, strict=True):
        assert (arrived.account, arrived.amount) == (left.account, -left.amount)
    accounts = {line.account: line.amount.minor for line in came.lines}
    assert accounts.pop("clearing:sandbox") == sum(shares.values()), "a debit of what the gateway owes"
    assert accounts == {receivable(7, invoice): -share for invoice, share in shares.items()}


def test_an_invoice_without_a_share_has_no_line() -> None:
    entry = receipt(
        payment_id="p", reason="p:1", gateway="sandbox", connection_id=1, shares={1: 5, 2: 0}, currency="EUR"
    )
    assert [line.account for line in entry.lines] == ["clearing:sandbox", "receivable:1:1"]


@given(st.lists(st.integers(-1000, 1000), max_size=6))
def test_what_does_not_balance_is_no_entry(amounts: list[int]) -> None:
    lines = tuple(EntryLine(f"a{index}", Money(amount, "EUR")) for index, amount in enumerate(amounts))
    if len(lines) >= 2 and sum(amounts) == 0:
        assert Entry("receipt", "p", "r", lines).lines == lines
    else:
        with pytest.raises(Unbalanced):
            Entry("receipt", "p", "r", lines)


def test_an_entry_has_one_currency() -> None:
    lines = (EntryLine("a", Money(5, "EUR")), EntryLine("b", Money(-5, "USD")))
    with pytest.raises(NotMoney):
        Entry("receipt", "p", "r", lines)


@given(st.data(), share_maps)
def test_every_move_is_shared_out_whole_in_one_direction(data: st.DataObject, shares: dict[int, int]) -> None:
    total = sum(shares.values())
    holds = [0, *data.draw(st.lists(st.integers(0, total), max_size=8)), total, 0]
    paid: dict[int, int] = {}
    for before, hold in pairwise(holds):
        was, paid = {invoice: paid.get(invoice, 0) for invoice in shares}, shift(paid, shares, hold)
        assert sum(paid.values()) == hold
        assert all(0 <= paid[invoice] <= share for invoice, share in shares.items())
        rising = hold >= before
        assert all((paid[invoice] >= was[invoice]) if rising else (paid[invoice] <= was[invoice]) for invoice in shares)
    assert set(paid.values()) == {0}


def test_giving_back_a_cent_more_never_raises_a_share() -> None:
    """Sharing out the whole anew by largest remainder would: 5 of 38, 7 and 21 is 3, 0, 2, and 4 of them is 2, 1, 1."""
    shares = {1: 38, 2: 7, 3: 21}
    paid = shares
    for hold in range(sum(shares.values()), -1, -1):
        now = shift(paid, shares, hold)
        assert sum(paid.values()) - sum(now.values()) in (0, 1)
        assert all(now[invoice] <= paid[invoice] for invoice in shares)
        paid = now


@pytest.mark.parametrize("hold", [-1, 101])
def test_a_payment_holds_no_more_than_was_paid_and_no_debt(hold: int) -> None:
    with pytest.raises(Unbalanced):
        shift({}, {1: 60, 2: 40}, hold)
