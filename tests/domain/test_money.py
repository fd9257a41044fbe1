"""Money is exact or refused."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connector.domain.money import LARGEST, Money, NotMoney, allocate, decimal_to_minor, exponent, minor_to_text, parse

CURRENCIES = ("EUR", "USD", "JPY", "KWD", "CLF")
currencies = st.sampled_from(CURRENCIES)
minors = st.integers(-LARGEST, LARGEST)
weights = st.lists(st.integers(0, 10**9), min_size=1, max_size=30).filter(any)


@given(st.integers(0, LARGEST), currencies)
@example(LARGEST, "JPY")
def test_what_is_shown_is_read_back(minor: int, currency: str) -> None:
    assert parse(minor_to_text(minor, currency), currency) == Money(minor, currency)


@given(minors, currencies)
def test_an_upstreams_decimal_is_the_amount_it_says(minor: int, currency: str) -> None:
    text = minor_to_text(minor, currency)
    assert decimal_to_minor(Decimal(text), currency) == minor
    assert decimal_to_minor(Decimal(f"{text}{'' if '.' in text else '.'}000"), currency) == minor
    assert str(Money(minor, currency)) == f"{text} {currency}"


@given(st.text(max_size=20), currencies)
def test_typed_text_is_an_exact_amount_or_refused(text: str, currency: str) -> None:
    try:
        money = parse(text, currency)
    except NotMoney as refusal:
        assert str(refusal)
        return
    plain = text.strip(" ")
    assert plain.isascii() and plain.replace(".", "", 1).isdigit()
    assert Decimal(plain).scaleb(exponent(currency)) == money.minor
    assert money.currency == currency


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "1e3", "1E3", "-5", "+5", "12.345", "1,000.00", "1.000,00", "1 000", "1_000", "0x10", "١٢", "१२",
        "１２", "12.", ".5", "1..2", "12.50 EUR", "€12", "NaN", "Infinity", "12\n", "\t12", "12\u00a0", "9" * 16,
        "9" * 400, "1" + "0" * 15 + ".00",
    ],
)  # fmt: skip
def test_what_is_no_plain_amount_of_euro_is_refused(text: str) -> None:
    with pytest.raises(NotMoney):
        parse(text, "EUR")


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12", "EUR", 1200), ("12.5", "EUR", 1250), (" 12.50 ", "EUR", 1250), ("0.01", "EUR", 1), ("007", "EUR", 700),
        ("1250", "JPY", 1250), ("1.5", "KWD", 1500), ("1.005", "KWD", 1005), ("0.0001", "CLF", 1),
    ],
)  # fmt: skip
def test_plain_amounts_are_read(text: str, currency: str, minor: int) -> None:
    assert parse(text, currency).minor == minor


@pytest.mark.parametrize(
    ("text", "currency"), [("12.5", "JPY"), ("12.0", "JPY"), ("0.0005", "KWD"), ("0.001", "EUR"), ("0.00001", "CLF")]
)
def test_finer_than_the_smallest_coin_is_refused(text: str, currency: str) -> None:
    with pytest.raises(NotMoney, match="decimals"):
        parse(text, currency)


@pytest.mark.parametrize("currency", ["", "eur", "EU", "EURO", "ЕUR", "E1R", "EUR\n"])
def test_no_currency_no_money(currency: str) -> None:
    for make in (lambda: Money(1, currency), lambda: parse("1", currency), lambda: exponent(currency)):
        with pytest.raises(NotMoney):
            make()


@pytest.mark.parametrize(
    "value",
    [
        "NaN", "sNaN", "Infinity", "-Infinity", "1E+999999999", "1E+16", "12.345", "0.001", "1E-999999999",
        "1.0000000000000000000000000000000000000000000001", "1" * 40, str(LARGEST),
    ],
)  # fmt: skip
def test_an_upstreams_decimal_that_is_no_amount_is_refused_at_once(value: str) -> None:
    """Rounding, a number without end, and one that would fill the memory are all answered with a plain no."""
    with pytest.raises(NotMoney):
        decimal_to_minor(Decimal(value), "EUR")


@given(minors, minors, currencies, currencies)
def test_two_currencies_never_meet(first: int, second: int, one: str, other: str) -> None:
    left, right = Money(first, one), Money(second, other)
    if one == other:
        if abs(first + second) <= LARGEST:
            assert (left + right).minor == first + second
        if abs(first - second) <= LARGEST:
            assert (left - right).minor == first - second
        assert (left < right, left <= right) == (first < second, first <= second)
        return
    for meet in (lambda: left + right, lambda: left - right, lambda: left < right, lambda: left <= right):
        with pytest.raises(NotMoney, match="cannot be mixed"):
            meet()
    assert left != right


@pytest.mark.parametrize("minor", [1.0, True, "1", None, Decimal(1), LARGEST + 1, -LARGEST - 1])
def test_only_whole_numbers_in_bounds_are_money(minor: object) -> None:
    with pytest.raises(NotMoney):
        Money(minor, "EUR")  # type: ignore[arg-type]


@given(st.integers(-LARGEST, LARGEST), weights)
def test_shares_sum_to_the_whole_and_stay_within_a_coin_of_their_quota(total: int, parts: list[int]) -> None:
    shares = allocate(total, parts)
    assert sum(shares) == total
    for share, part in zip(shares, parts, strict=True):
        # |share - total * part / whole| < 1, in whole numbers
        assert abs(share * sum(parts) - total * part) < sum(parts)
        assert share == 0 or (share > 0) == (total > 0)
        assert part or not share


@given(st.integers(0, 10**12), weights)
def test_a_larger_weight_never_gets_less(total: int, parts: list[int]) -> None:
    shares = allocate(total, parts)
    ranked = sorted(zip(parts, shares, strict=True))
    assert all(low[1] <= high[1] or low[0] == high[0] for low, high in pairwise(ranked))


def test_ties_go_to_the_earlier_share() -> None:
    assert allocate(100, [1, 1, 1]) == [34, 33, 33]
    assert allocate(-100, [1, 1, 1]) == [-34, -33, -33]
    assert allocate(0, [3, 4]) == [0, 0]


@pytest.mark.parametrize("parts", [[], [0], [0, 0], [1, -1], [-1, 2]])
def test_what_cannot_be_shared_out_is_refused(parts: list[int]) -> None:
    with pytest.raises(ValueError, match="Weights"):
        allocate(10, parts)
