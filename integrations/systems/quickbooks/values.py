"""Single values in QuickBooks' words and what they mean: amounts, quantities, dates, instants, states.

Both mappings (one record, and pages in bulk) use these, so that they cannot differ.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from connector.domain.money import LARGEST, NotMoney, decimal_to_minor
from connector.domain.records import InvoiceState, Kind

ENTITY = {
    Kind.CUSTOMER: "Customer",
    Kind.INVOICE: "Invoice",
    Kind.CREDIT_NOTE: "CreditMemo",
    Kind.ESTIMATE: "Estimate",
    Kind.RECURRING: "RecurringTransaction",
    Kind.PAYMENT: "Payment",
}
DELETED = "Deleted"
_TOO_LONG = 40
_REMEMBERED = 20_000


class Unmappable(ValueError):
    """A value that has no exact meaning for us; the message is fit for a merchant."""


class MinorUnits(dict[str, int]):
    """The text of a Decimal -> minor units of one currency, remembering what it has worked out. Raises Unmappable.

    By text, because a Decimal's hash takes longer than its text and the text's hash together.
    """

    def __init__(self, currency: str) -> None:
        super().__init__()
        self._currency = currency

    def __missing__(self, text: str) -> int:
        value = Decimal(text)
        if not value.is_finite() or abs(value) > LARGEST:
            raise Unmappable("An amount is too large.")
        try:
            minor = decimal_to_minor(value, self._currency)
        except NotMoney as refusal:
            raise Unmappable(str(refusal)) from refusal
        if len(self) >= _REMEMBERED:
            self.clear()
        self[text] = minor
        return minor


class DecimalTexts(dict[str, str]):
    """A Decimal's text -> plain text without trailing zeros ('32.5', '0.00125'), remembering. Raises Unmappable."""

    def __missing__(self, given: str) -> str:
        value = Decimal(given)
        if not value.is_finite() or abs(value.adjusted()) > _TOO_LONG:
            raise Unmappable("A quantity or a price is not a usable number.")
        text = format(value, "f")
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        if len(text) > _TOO_LONG:
            raise Unmappable("A quantity or a price has too many digits.")
        if len(self) >= _REMEMBERED:
            self.clear()
        self[given] = text
        return text


_minor_units: dict[str, MinorUnits] = {}
decimal_texts = DecimalTexts()


def minor_units(currency: str) -> MinorUnits:
    """The conversion for a currency. Raises Unmappable for what is no ISO code."""
    found = _minor_units.get(currency)
    if found is None:
        if not (len(currency) == 3 and currency.isascii() and currency.isupper() and currency.isalpha()):
            raise Unmappable("The record has no usable currency.")
        found = _minor_units[currency] = MinorUnits(currency)
    return found


def day(text: str | None) -> date | None:
    """A QuickBooks date ('2026-11-22', sometimes with a time after it)."""
    if not text:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError as error:
        raise Unmappable(f"{text[:20]!r} is not a date.") from error


def instant(text: str | None) -> datetime | None:
    """A QuickBooks time ('2026-11-22T06:04:48.863-07:00') as UTC. A time without a zone is taken as UTC."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Unmappable(f"{text[:40]!r} is not a time.") from error


def invoice_state(status: str | None, total: int, balance: int, private_note: str | None) -> InvoiceState:
    """Where an invoice or credit memo stands.

    QuickBooks has no void flag: voiding sets all amounts to 0 and puts 'Voided' in front of PrivateNote.
    """
    if status and status != "Synchronized":
        return {"Voided": InvoiceState.VOID, "Draft": InvoiceState.DRAFT, DELETED: InvoiceState.DELETED}.get(
            status, InvoiceState.UNKNOWN
        )
    if balance:
        return InvoiceState.OPEN
    return InvoiceState.VOID if is_voided(total, private_note) else InvoiceState.PAID


def is_voided(total: int, private_note: str | None) -> bool:
    """Whether a transaction has been voided (see invoice_state)."""
    return total == 0 and (private_note or "").lstrip().startswith("Voided")


def estimate_state(status: str | None, txn_status: str | None) -> InvoiceState:
    """Where an estimate stands: closed and converted ones are done, rejected ones void."""
    if status and status != "Synchronized":
        return InvoiceState.UNKNOWN
    return {
        None: InvoiceState.OPEN,
        "": InvoiceState.OPEN,
        "Pending": InvoiceState.OPEN,
        "Accepted": InvoiceState.OPEN,
        "Closed": InvoiceState.PAID,
        "Converted": InvoiceState.PAID,
        "Rejected": InvoiceState.VOID,
    }.get(txn_status, InvoiceState.UNKNOWN)
