"""What the gateway's word makes of a payment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.payments import IN_FLIGHT, UNPAID_END, Verdict, WordDoesNotFit, judge, merge_shares
from connector.domain.records import GatewayPayment, PaymentState

AMOUNT = 10_000
HOLDS = {PaymentState.SETTLED, PaymentState.PARTLY_REFUNDED}
ENDED = {PaymentState.REFUNDED, PaymentState.RETURNED}
states = st.sampled_from(PaymentState)


def word(
    state: PaymentState, refunded: int = 0, amount: int = AMOUNT, currency: str = "EUR", payable: bool = False
) -> GatewayPayment:
    return GatewayPayment("co_1", "pay_1", "ours", state, amount, currency, refunded, payable, "Card", "", None)


def judged(state: PaymentState, booked: int, said: GatewayPayment) -> Verdict:
    return judge(amount=AMOUNT, currency="EUR", state=state, booked=booked, word=said)


@st.composite
def standings(draw: st.DrawFn) -> tuple[PaymentState, int]:
    """A payment as it can stand: money is booked in the states that hold money, and in no other."""
    state = draw(states)
    if state is PaymentState.PARTLY_REFUNDED:
        return state, draw(st.integers(1, AMOUNT - 1))
    return state, AMOUNT if state is PaymentState.SETTLED else 0


words = st.builds(word, states, st.integers(0, AMOUNT))


@given(standings(), words)
def test_the_same_word_twice_changes_nothing_the_second_time(
    standing: tuple[PaymentState, int], said: GatewayPayment
) -> None:
    first = judged(*standing, said)
    again = judged(first.state, first.hold, said)
    assert (again.state, again.hold) == (first.state, first.hold)
    if not first.release:
        assert not again.release, "invoices are let go by the first word or by the write-back, never by a repetition"


@given(standings(), words)
def test_money_and_state_agree(standing: tuple[PaymentState, int], said: GatewayPayment) -> None:
    verdict = judged(*standing, said)
    assert 0 <= verdict.hold <= AMOUNT
    assert (verdict.hold > 0) == (verdict.state in HOLDS)
    if verdict.release:
        assert verdict.hold == standing[1] == 0, "an invoice whose payment is in the books is not let go here"


@given(standings())
def test_an_unknown_word_keeps_what_is_known(standing: tuple[PaymentState, int]) -> None:
    assert judged(*standing, word(PaymentState.UNKNOWN)) == Verdict(*standing, release=False)


@given(standings().filter(lambda standing: standing[0] in HOLDS | ENDED), st.sampled_from(sorted(IN_FLIGHT)))
def test_a_word_from_before_the_money_moved_takes_nothing_back(
    standing: tuple[PaymentState, int], late: PaymentState
) -> None:
    assert judged(*standing, word(late)) == Verdict(*standing, release=False)


@pytest.mark.parametrize("given_up", sorted(UNPAID_END))
def test_money_that_arrives_on_a_payment_given_up_is_still_money(given_up: PaymentState) -> None:
    assert judged(given_up, 0, word(PaymentState.SETTLED)) == Verdict(PaymentState.SETTLED, AMOUNT, release=False)


@pytest.mark.parametrize(
    ("state", "booked", "said", "verdict"),
    [
        (PaymentState.CHECKOUT, 0, word(PaymentState.SETTLED), (PaymentState.SETTLED, AMOUNT, False)),
        (PaymentState.CHECKOUT, 0, word(PaymentState.FAILED), (PaymentState.FAILED, 0, True)),
        (PaymentState.CHECKOUT, 0, word(PaymentState.CANCELLED), (PaymentState.CANCELLED, 0, True)),
        (PaymentState.CHECKOUT, 0, word(PaymentState.PROCESSING), (PaymentState.PROCESSING, 0, False)),
        (PaymentState.PROCESSING, 0, word(PaymentState.RETURNED), (PaymentState.RETURNED, 0, True)),
        (PaymentState.SETTLED, AMOUNT, word(PaymentState.RETURNED), (PaymentState.RETURNED, 0, False)),
        (PaymentState.SETTLED, AMOUNT, word(PaymentState.FAILED), (PaymentState.RETURNED, 0, False)),
        (PaymentState.REFUNDED, 0, word(PaymentState.CANCELLED), (PaymentState.RETURNED, 0, False)),
        (PaymentState.SETTLED, AMOUNT, word(PaymentState.SETTLED, 2500), (PaymentState.PARTLY_REFUNDED, 7500, False)),
        (
            PaymentState.PARTLY_REFUNDED,
            7500,
            word(PaymentState.PARTLY_REFUNDED, 6000),
            (PaymentState.PARTLY_REFUNDED, 4000, False),
        ),
        (PaymentState.PARTLY_REFUNDED, 4000, word(PaymentState.REFUNDED, AMOUNT), (PaymentState.REFUNDED, 0, False)),
        (PaymentState.SETTLED, AMOUNT, word(PaymentState.SETTLED, AMOUNT), (PaymentState.REFUNDED, 0, False)),
        (PaymentState.PARTLY_REFUNDED, 4000, word(PaymentState.RETURNED, 6000), (PaymentState.RETURNED, 0, False)),
        (PaymentState.PARTLY_REFUNDED, 4000, word(PaymentState.SETTLED), (PaymentState.SETTLED, AMOUNT, False)),
    ],
)
def test_what_each_word_means(
    state: PaymentState, booked: int, said: GatewayPayment, verdict: tuple[PaymentState, int, bool]
) -> None:
    assert judged(state, booked, said) == Verdict(*verdict)


@pytest.mark.parametrize(
    "said",
    [
        word(PaymentState.SETTLED, amount=AMOUNT + 1),
        word(PaymentState.SETTLED, amount=0),
        word(PaymentState.SETTLED, currency="USD"),
        word(PaymentState.PARTLY_REFUNDED, refunded=AMOUNT + 1),
        word(PaymentState.SETTLED, refunded=-1),
    ],
)
def test_a_word_on_other_money_is_for_a_person(said: GatewayPayment) -> None:
    with pytest.raises(WordDoesNotFit):
        judged(PaymentState.CHECKOUT, 0, said)


@given(st.dictionaries(st.integers(), st.integers(), max_size=8), st.randoms())
def test_two_choices_are_compared_whatever_their_order(shares: dict[int, int], random: object) -> None:
    mixed = list(shares.items())
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert merge_shares(dict(mixed)) == merge_shares(shares)
