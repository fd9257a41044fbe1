"""Amounts, dates and states as people read them. English; fast, because a page shows a hundred of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import NamedTuple

from babel.numbers import get_currency_symbol

from connector.domain.money import exponent, minor_to_text
from connector.domain.records import InvoiceState, PaymentState

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NO_BREAK = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"


class Words(NamedTuple):
    """A state in words: `label` for a badge, `tone` its colour (good, warn, bad, info, or none), a `sentence` on it."""

    label: str
    tone: str
    sentence: str = ""


@lru_cache(maxsize=512)
def _currency_format(currency: str) -> tuple[str, int, int]:
    """(what stands before the digits, decimals, units in a whole), following CLDR's English pattern."""
    symbol = str(get_currency_symbol(currency, locale="en"))
    places = exponent(currency)
    return symbol + (_NO_BREAK if symbol[-1].isalpha() else ""), places, 10**places


def money(minor: int, currency: str) -> str:
    """An amount for reading: (123450, 'EUR') -> '€1,234.50', (-5, 'JPY') -> '−¥5', (1250, 'KWD') -> 'KWD 1.250'."""
    before, places, unit = _currency_format(currency)
    sign = _MINUS if minor < 0 else ""
    if not places:
        return f"{sign}{before}{abs(minor):,}"
    whole, rest = divmod(abs(minor), unit)
    return f"{sign}{before}{whole:,}.{rest:0{places}}"


def plain_amount(minor: int, currency: str) -> str:
    """An amount as it is typed into a form: '1234.50'."""
    return minor_to_text(minor, currency)


def day(value: date | None) -> str:
    """A date that nobody can misread: '5 Nov 2026'."""
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}" if value else ""


def moment(value: datetime | None) -> str:
    """An instant: '5 Nov 2026, 14:07 UTC'."""
    if value is None:
        return ""
    value = value.astimezone(UTC)
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}, {value.hour:02}:{value.minute:02} UTC"


def due_words(due: date | None, today: date) -> Words:
    """When an open invoice is due, in words and with its urgency."""
    if due is None:
        return Words("No due date", "")
    days = (due - today).days
    if days < 0:
        return Words(f"{-days} day{'s' if days < -1 else ''} overdue", "bad")
    if days == 0:
        return Words("Due today", "warn")
    if days == 1:
        return Words("Due tomorrow", "warn")
    if days <= 7:
        return Words(f"Due in {days} days", "warn")
    return Words(f"Due {day(due)}", "")


_INVOICE_STATES = {
    InvoiceState.DRAFT: Words("Draft", "", "This invoice has not been issued yet."),
    InvoiceState.PAID: Words("Paid", "good", "This invoice is paid. Thank you."),
    InvoiceState.VOID: Words("Void", "", "This invoice was cancelled. Nothing is to be paid."),
    InvoiceState.DELETED: Words("Withdrawn", "", "This invoice was withdrawn. Nothing is to be paid."),
    InvoiceState.UNKNOWN: Words("Being checked", "warn", "The state of this invoice is being checked."),
}
_UNDER_WAY = Words("Payment processing", "info", "A payment of this invoice is under way.")


def invoice_words(
    *, state: str, balance: int, total: int, due: date | None, today: date, paying: bool = False
) -> Words:
    """An invoice's state in honest words. `paying`: a payment of it is under way."""
    if paying:
        return _UNDER_WAY
    if state == InvoiceState.OPEN and balance > 0:
        words = due_words(due, today)
        return Words(f"Part paid, {words.label[0].lower()}{words.label[1:]}", words.tone) if balance < total else words
    if state == InvoiceState.OPEN:
        return _INVOICE_STATES[InvoiceState.PAID]
    return _INVOICE_STATES.get(InvoiceState(state), _INVOICE_STATES[InvoiceState.UNKNOWN])


_PAYMENT_STATES = {
    PaymentState.INTENDED: Words("Started", "info", "The payment was started and is not finished."),
    PaymentState.CHECKOUT: Words(
        "Not finished", "info", "The payment page was opened and the payment is not finished."
    ),
    PaymentState.REQUIRES_ACTION: Words(
        "Needs confirmation", "warn", "The bank asks for a confirmation before it releases the money."
    ),
    PaymentState.PROCESSING: Words(
        "Processing", "info", "The payment was sent and the bank has not confirmed it yet. This can take a few days."
    ),
    PaymentState.SETTLED: Words("Paid", "good", "The money has been received."),
    PaymentState.FAILED: Words("Failed", "bad", "The payment did not go through. Nothing was charged."),
    PaymentState.CANCELLED: Words("Cancelled", "", "The payment was cancelled. Nothing was charged."),
    PaymentState.RETURNED: Words("Returned by the bank", "bad", "The bank took the money back; it is due again."),
    PaymentState.PARTLY_REFUNDED: Words("Partly refunded", "warn", "A part of this payment was given back."),
    PaymentState.REFUNDED: Words("Refunded", "", "This payment was given back in full."),
    PaymentState.UNKNOWN: Words("Being checked", "warn", "We are asking the payment provider how this payment stands."),
}


def payment_words(state: str) -> Words:
    """A payment's state in honest words."""
    return _PAYMENT_STATES.get(PaymentState(state), _PAYMENT_STATES[PaymentState.UNKNOWN])


def initial(name: str) -> str:
    """One letter that stands for a name where there is no logo."""
    return next((letter.upper() for letter in name if letter.isalnum()), "•")


def shorten(text: str, longest: int) -> str:
    """Text cut at `longest` characters, with an ellipsis where something is missing."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
