"""Amounts between the wire and the rules: JSON numbers outside, integers of the smallest unit inside, never a float."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal

from integrations.simulator.company import exponent, to_decimal
from integrations.systems.quickbooks.simulator import fault

_PLAIN = re.compile(r"-?[0-9]{1,10}(\.[0-9]{1,5})?")


def minor(name: str, value: object, currency: str) -> int:
    """A wire amount in minor units; Fault 2090 when it is no plain number or finer than the currency allows.

    Intuit's parser also takes a number written as a string.
    """
    text = str(value)
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal) or _PLAIN.fullmatch(text) is None:
        raise fault.bad_number(name, value)
    scaled = Decimal(text).scaleb(exponent(currency))
    if scaled != scaled.to_integral_value():
        raise fault.bad_number(name, value)
    return int(scaled)


def number(amount: int, currency: str) -> Decimal | int:
    """Minor units as the number QuickBooks writes; nothing is plain 0."""
    return to_decimal(amount, currency) if amount else 0


def converted(amount: int, currency: str, rate: Decimal, home: str) -> int:
    """An amount in the home currency's minor units, rounded half up; `rate` is home units for one foreign unit."""
    value = (to_decimal(amount, currency) * rate).scaleb(exponent(home))
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))
