"""What callers may ask of the API, read strictly: wrong types, unknown fields and impossible values are refused."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from integrations.gateways.sandbox.simulator.amounts import CURRENCIES
from integrations.gateways.sandbox.simulator.refusals import Refusal

LARGEST_AMOUNT = 10**12

Amount = Annotated[int, msgspec.Meta(ge=1, le=LARGEST_AMOUNT)]
Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Address = Annotated[str, msgspec.Meta(min_length=8, max_length=2000)]
_FIELD = re.compile(r"`\$\.?([^`]*)`")
_UNKNOWN_FIELD = re.compile(r"unknown field `([^`]*)`")


class OrderLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line the customer reads beside the total; its amount in minor units may be left out."""

    description: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    amount_minor: Annotated[int, msgspec.Meta(ge=0, le=LARGEST_AMOUNT)] | None = None


class CheckoutOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /v1/checkouts; `expires_in` in seconds."""

    amount_minor: Amount
    currency: Annotated[str, msgspec.Meta(min_length=3, max_length=3)]
    reference: Reference
    success_url: Address
    cancel_url: Address
    lines: Annotated[list[OrderLine], msgspec.Meta(max_length=1000)] = []
    expires_in: Annotated[int, msgspec.Meta(ge=60, le=7 * 24 * 60 * 60)] | None = None
    merchant_name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | None = None

    def check(self) -> None:
        """Refuse what the types cannot: unknown currency, lines that do not sum up, addresses that lead nowhere."""
        if self.currency not in CURRENCIES:
            message = f"{self.currency!r} is not an ISO 4217 currency code in capitals, such as EUR."
            raise Refusal(400, "invalid_request", message, field="currency")
        amounts = [line.amount_minor for line in self.lines if line.amount_minor is not None]
        if amounts and (len(amounts) < len(self.lines) or sum(amounts) != self.amount_minor):
            message = f"Either no line has an amount, or all have and they sum to {self.amount_minor}."
            raise Refusal(400, "invalid_request", message, field="lines")
        for field, address in (("success_url", self.success_url), ("cancel_url", self.cancel_url)):
            _check_address(field, address)


class RefundOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /v1/payments/{id}/refunds."""

    amount_minor: Amount
    reference: Reference
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""

    def check(self) -> None:
        """Nothing beyond the types."""


Order = TypeVar("Order", CheckoutOrder, RefundOrder)


def read(raw: bytes, order: type[Order]) -> Order:
    """The order in a request body. Raises Refusal 400 naming the field and what is wrong with it."""
    try:
        found = msgspec.json.decode(raw, type=order)
    except msgspec.ValidationError as error:
        raise Refusal(400, "invalid_request", str(error), field=_field(str(error))) from None
    except msgspec.DecodeError:
        raise Refusal(400, "invalid_json", "The request body is not JSON.") from None
    found.check()
    return found


def fingerprint(order: CheckoutOrder | RefundOrder) -> Any:
    """The order as plain values, equal for equal orders however their JSON was spaced.

    `expires_in` is left out: it counts from the moment of asking, so that a repeated call names a smaller figure.
    """
    values = msgspec.to_builtins(order)
    values.pop("expires_in", None)
    return values


def _field(message: str) -> str | None:
    found = _UNKNOWN_FIELD.search(message) or _FIELD.search(message)
    return found[1] or None if found else None


def _check_address(field: str, address: str) -> None:
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and not parts.username and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s;,'\"<>\\]", address):
        raise Refusal(400, "invalid_request", f"{field} must be an absolute http or https address.", field=field)
