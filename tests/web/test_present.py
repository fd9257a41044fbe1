"""Amounts, dates and states in words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from babel.numbers import format_currency
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.money import exponent
from connector.domain.records import InvoiceState, PaymentState
from connector.web import present

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("minor", "currency", "words"),
    [
        (123_450, "EUR", "€1,234.50"),
        (5, "USD", "$0.05"),
        (-5, "JPY", "−¥5"),
        (1_250, "KWD", "KWD\N{NO-BREAK SPACE}1.250"),
        (0, "GBP", "£0.00"),
        (100_000_000_00, "CHF", "CHF\N{NO-BREAK SPACE}100,000,000.00"),
    ],
)
def test_money(minor: int, currency: str, words: str) -> None:
    assert present.money(minor, currency) == words


@given(st.integers(-(10**15), 10**15), st.sampled_from(["EUR", "USD", "JPY", "KWD", "CAD", "CHF", "INR", "BRL", "SEK"]))
def test_money_reads_as_the_locale_data_says(minor: int, currency: str) -> None:
    said = format_currency(Decimal(minor).scaleb(-exponent(currency)), currency, locale="en", currency_digits=True)
    # CLDR puts a blank between a currency in letters and the digits; Babel leaves it out.
    assert present.money(minor, currency).replace("\N{NO-BREAK SPACE}", "") == said.replace("-", "−")


def test_dates_and_instants() -> None:
    assert present.day(date(2026, 3, 5)) == "5 Mar 2026" and present.day(None) == ""
    assert present.moment(datetime(2026, 3, 5, 7, 4, tzinfo=UTC)) == "5 Mar 2026, 07:04 UTC"
    assert present.moment(datetime(2026, 3, 5, 1, 4, tzinfo=timezone(timedelta(hours=2)))) == "4 Mar 2026, 23:04 UTC"


@pytest.mark.parametrize(
    ("days", "label", "tone"),
    [
        (-2, "2 days overdue", "bad"),
        (-1, "1 day overdue", "bad"),
        (0, "Due today", "warn"),
        (1, "Due tomorrow", "warn"),
        (7, "Due in 7 days", "warn"),
        (8, "Due 30 Nov 2026", ""),
    ],
)
def test_when_it_is_due(days: int, label: str, tone: str) -> None:
    assert present.due_words(TODAY + timedelta(days=days), TODAY)[:2] == (label, tone)


def test_every_state_has_words() -> None:
    for payment_state in PaymentState:
        assert present.payment_words(payment_state).sentence
    for state in InvoiceState:
        words = present.invoice_words(state=state, balance=5, total=9, due=None, today=TODAY)
        assert words.label
    part = present.invoice_words(state="open", balance=5, total=9, due=TODAY, today=TODAY)
    assert part.label == "Part paid, due today"
    assert present.invoice_words(state="open", balance=0, total=9, due=TODAY, today=TODAY).label == "Paid"
    assert present.invoice_words(state="open", balance=9, total=9, due=None, today=TODAY, paying=True).tone == "info"


def test_shortened_text_says_so() -> None:
    assert present.shorten("abcdef", 6) == "abcdef" and present.shorten("abcdefg", 6) == "abcde…"
    assert present.initial("  (élan)") == "É" and present.initial("!!") == "•"
