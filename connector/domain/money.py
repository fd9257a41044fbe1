"""Money: a whole number of the smallest unit, with its currency."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import cache

# ISO 4217 exponents that are not 2 (source: ISO 4217 list one, "minor unit" column).
_EXPONENTS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND"), 0),
    **dict.fromkeys(("VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_PLAIN_NUMBER = re.compile(r"(-?)([0-9]{1,15})(?:\.([0-9]{1,6}))?", re.ASCII)
LARGEST = 10**15 - 1
# Enough digits for whatever an upstream sends; what does not fit even so is no amount.
_MOST_DIGITS = 15
_EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])


class NotMoney(ValueError):
    """The text or number is not an exact amount of the currency; the message says why."""


@cache
def exponent(currency: str) -> int:
    """How many decimals the currency has (JPY 0, EUR 2, KWD 3). Raises NotMoney for what is no ISO code."""
    if not _CURRENCY.fullmatch(currency):
        raise NotMoney(f"{currency[:12]!r} is not a currency code; use three capital letters such as EUR.")
    return _EXPONENTS.get(currency, 2)


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An exact amount: `minor` whole units of the smallest coin of `currency`.

    Two currencies never meet: adding or comparing them raises NotMoney.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise NotMoney("An amount is a whole number of the smallest unit.")
        if abs(self.minor) > LARGEST:
            raise NotMoney("The amount is too large.")
        exponent(self.currency)

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise NotMoney(f"{self.currency} and {other.currency} cannot be mixed.")
        return other.minor

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.minor <= self._same(other)

    def __bool__(self) -> bool:
        return self.minor != 0

    def decimal_text(self) -> str:
        """The amount as plain decimal text, e.g. '12.50', '-3', for JSON and forms."""
        return minor_to_text(self.minor, self.currency)

    def __str__(self) -> str:
        return f"{self.decimal_text()} {self.currency}"


def minor_to_text(minor: int, currency: str) -> str:
    """Plain decimal text of an amount in minor units: (1250, 'EUR') -> '12.50', (12, 'JPY') -> '12'."""
    places = exponent(currency)
    sign, digits = ("-" if minor < 0 else ""), str(abs(minor)).rjust(places + 1, "0")
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else sign + digits


def parse(text: str, currency: str) -> Money:
    """Read what a person typed, exactly or not at all.

    Accepts plain ASCII digits with at most the currency's decimals ('12', '12.5', '12.50'); refuses signs,
    exponents, separators, other digits and finer fractions with NotMoney.
    """
    places = exponent(currency)
    found = _PLAIN_NUMBER.fullmatch(text.strip(" "))
    if not found or found[1]:
        example = minor_to_text(1250 * 10**places // 100, currency) if places >= 2 else "1250"
        raise NotMoney(f"Enter the amount as plain digits, for example {example}.")
    whole, fraction = found[2], found[3] or ""
    if len(fraction) > places:
        raise NotMoney(f"{currency} has {places} decimals; this amount has {len(fraction)}.")
    return Money(int(whole) * 10**places + int(fraction.ljust(places, "0") or "0"), currency)


def decimal_to_minor(value: Decimal, currency: str) -> int:
    """Minor units of an upstream's decimal. Trailing zeros are fine; a real fraction of a coin raises NotMoney, and so
    does what is no number or too large for any account."""
    if not value.is_finite() or value.adjusted() > _MOST_DIGITS:
        raise NotMoney(f"An amount in {currency} is no number, or too large.")
    try:
        scaled = value.scaleb(exponent(currency), _EXACT)
        minor = int(scaled)
    except (Inexact, InvalidOperation):
        raise NotMoney(f"An amount in {currency} has more digits than any amount.") from None
    if minor != scaled:
        raise NotMoney(f"{value} {currency} is finer than the smallest coin of {currency}.")
    if abs(minor) > LARGEST:
        raise NotMoney("The amount is too large.")
    return minor


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """Share out `total` minor units in proportion to `weights` by largest remainder; ties go to the earlier share.

    The shares always sum to `total`. Raises ValueError for no weights, a negative one, or all zero.
    """
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise ValueError("Weights are non-negative and not all zero.")
    sign = -1 if total < 0 else 1
    shares, remainders = [], []
    for index, weight in enumerate(weights):
        share, rest = divmod(abs(total) * weight, whole)
        shares.append(share)
        remainders.append((-rest, index))
    for _, index in sorted(remainders)[: abs(total) - sum(shares)]:
        shares[index] += 1
    return [sign * share for share in shares]
