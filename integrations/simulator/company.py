"""A believable small company the simulators are seeded with: deterministic, vendor-neutral, amounts in minor units."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from integrations.simulator.company_people import CUSTOMERS, ITEMS, Customer, Item

__all__ = [
    "Company",
    "CreditNote",
    "Customer",
    "Estimate",
    "Invoice",
    "InvoiceState",
    "Item",
    "Line",
    "Payment",
    "Recurring",
    "exponent",
    "make_company",
    "to_decimal",
]

InvoiceState = Literal["draft", "open", "overdue", "partially_paid", "paid", "void"]

_EXPONENTS = {"JPY": 0, "KRW": 0, "KWD": 3, "BHD": 3}


def exponent(currency: str) -> int:
    """Decimal places of a currency (ISO 4217)."""
    return _EXPONENTS.get(currency, 2)


def to_decimal(minor: int, currency: str) -> Decimal:
    """Minor units as the exact decimal number a vendor's JSON carries: 12345 USD is 123.45, 5000 JPY is 5000."""
    return Decimal(minor).scaleb(-exponent(currency))


@dataclass(frozen=True)
class Line:
    """One billed service; `amount` is quantity times unit price in minor units, before tax."""

    item: Item
    description: str
    quantity: Decimal
    unit_price: int
    amount: int
    taxable: bool


@dataclass(frozen=True)
class Payment:
    """Money the customer already paid outside the portal, in the invoice's currency."""

    on: date
    amount: int
    reference: str


@dataclass(frozen=True)
class Invoice:
    """An invoice as the company issued it; `tax_rate` is in hundredths of a percent, `balance` what is still due."""

    number: str
    customer: Customer
    issued: date
    due: date
    currency: str
    lines: tuple[Line, ...]
    tax_rate: int
    subtotal: int
    tax: int
    total: int
    memo: str
    state: InvoiceState
    emailed: bool
    payments: tuple[Payment, ...]
    recurring: str = ""

    @property
    def balance(self) -> int:
        """What is still due, in minor units; nothing on a void one."""
        return 0 if self.state == "void" else self.total - sum(payment.amount for payment in self.payments)


@dataclass(frozen=True)
class CreditNote:
    """Money given back on paper and not yet used."""

    number: str
    customer: Customer
    issued: date
    currency: str
    line: Line
    total: int
    memo: str


@dataclass(frozen=True)
class Estimate:
    """An offer the customer may accept."""

    number: str
    customer: Customer
    issued: date
    expires: date
    currency: str
    lines: tuple[Line, ...]
    total: int
    status: Literal["pending", "accepted", "declined"]


@dataclass(frozen=True)
class Recurring:
    """A template an invoice is made from every month."""

    name: str
    customer: Customer
    currency: str
    lines: tuple[Line, ...]
    total: int
    next_on: date


@dataclass(frozen=True)
class Company:
    """Everything the simulators are seeded with."""

    name: str
    email: str
    phone: str
    street: str
    city: str
    region: str
    postal_code: str
    country: str
    home_currency: str
    customers: tuple[Customer, ...]
    items: tuple[Item, ...]
    invoices: tuple[Invoice, ...]
    credit_notes: tuple[CreditNote, ...]
    estimates: tuple[Estimate, ...]
    recurring: tuple[Recurring, ...]


_DRAFTS = 4
_LONG_MEMO_NUMBER = 290
_HOME_TAX_RATE = 825
_RATE_BY_CURRENCY = {"USD": (1, 1), "EUR": (92, 100), "GBP": (79, 100), "JPY": (150, 1)}
_MEMO = "Thank you for your business."


def make_company(today: date, *, invoices: int = 300) -> Company:
    """The company as it stands on `today`; the same date and count always give the same company."""
    chance = random.Random(20261122)  # noqa: S311 - a believable spread, not a secret
    billed = [customer for customer in CUSTOMERS if customer.active]
    made = tuple(_invoice(chance, billed, today, index, invoices) for index in range(invoices))
    return Company(
        name="Northwind IT & Design",
        email="billing@northwind.example",
        phone="(503) 555-0142",
        street="1410 SE Water Ave",
        city="Portland",
        region="OR",
        postal_code="97214",
        country="US",
        home_currency="USD",
        customers=CUSTOMERS,
        items=ITEMS,
        invoices=made,
        credit_notes=tuple(_credit_note(billed, today, index) for index in range(5)),
        estimates=tuple(_estimate(chance, billed, today, index) for index in range(6)),
        recurring=tuple(_recurring(billed, today, index) for index in range(3)),
    )


def _invoice(chance: random.Random, customers: list[Customer], today: date, index: int, count: int) -> Invoice:
    number = 1001 + index
    customer = customers[index % len(customers)] if index < len(customers) else chance.choice(customers)
    issued = today - timedelta(days=270 - index * 270 // count)
    due = issued + timedelta(days=chance.choice((14, 30, 30, 30)))
    lines = tuple(_line(chance.choice(ITEMS), customer.currency, chance) for _ in range(chance.randint(1, 6)))
    tax_rate = _HOME_TAX_RATE if customer.taxable else 0
    subtotal = sum(line.amount for line in lines)
    tax = _round(Decimal(sum(line.amount for line in lines if line.taxable)) * tax_rate / 10000)
    total = subtotal + tax
    state = _state(chance, index, count, due < today)
    payments = _payments(chance, state, total, issued, today, number)
    memo = chance.choice((_MEMO, _MEMO, "", f"Project {number % 17:02d}"))
    if index == _LONG_MEMO_NUMBER:
        memo = _long_memo()
    return Invoice(
        number=str(number),
        customer=customer,
        issued=issued,
        due=due,
        currency=customer.currency,
        lines=lines,
        tax_rate=tax_rate,
        subtotal=subtotal,
        tax=tax,
        total=total,
        memo=memo,
        state=state,
        emailed=state != "draft" and customer.email is not None and chance.random() < 0.8,
        payments=payments,
        recurring=f"Monthly care {index % 3 + 1}" if index % 60 == 59 else "",
    )


def _state(chance: random.Random, index: int, count: int, past_due: bool) -> InvoiceState:
    if index >= count - _DRAFTS:
        return "draft"
    if index == _LONG_MEMO_NUMBER:
        return "open"
    roll = chance.random()
    if roll < 0.03:
        return "void"
    if past_due and roll < 0.72:
        return "paid"
    if roll < 0.8 + (0 if past_due else -0.7):
        return "partially_paid"
    return "overdue" if past_due else "open"


def _payments(
    chance: random.Random, state: InvoiceState, total: int, issued: date, today: date, number: int
) -> tuple[Payment, ...]:
    on = min(issued + timedelta(days=chance.randint(2, 40)), today)
    if state == "paid":
        return (Payment(on, total, f"CHK-{number}"),)
    if state == "partially_paid":
        return (Payment(on, max(1, total * chance.choice((25, 40, 50)) // 100), f"ACH-{number}"),)
    return ()


def _line(item: Item, currency: str, chance: random.Random | None = None) -> Line:
    quantity = Decimal(1)
    if chance is not None:
        quantity = Decimal(chance.choice((2, 3, 5, 8))) / 2 if item.unit == "hour" else Decimal(chance.randint(1, 12))
    numerator, denominator = _RATE_BY_CURRENCY[currency]
    minor = Decimal(item.price_cents) * numerator / denominator
    unit_price = _round(minor.scaleb(exponent(currency) - 2))
    return Line(item, item.description, quantity, unit_price, _round(quantity * unit_price), item.taxable)


def _credit_note(customers: list[Customer], today: date, index: int) -> CreditNote:
    customer = customers[index * 3]
    line = _line(ITEMS[index], customer.currency)
    issued = today - timedelta(days=20 + 9 * index)
    return CreditNote(f"CN-{101 + index}", customer, issued, customer.currency, line, line.amount, "Service credit")


def _estimate(chance: random.Random, customers: list[Customer], today: date, index: int) -> Estimate:
    customer = customers[index * 2 + 1]
    lines = tuple(_line(ITEMS[(index + step) % len(ITEMS)], customer.currency, chance) for step in range(2))
    issued = today - timedelta(days=6 * index + 1)
    status: tuple[Literal["pending", "accepted", "declined"], ...] = ("pending", "accepted", "declined")
    total = sum(line.amount for line in lines)
    expires = issued + timedelta(days=30)
    return Estimate(f"E-{501 + index}", customer, issued, expires, customer.currency, lines, total, status[index % 3])


def _recurring(customers: list[Customer], today: date, index: int) -> Recurring:
    customer = customers[index * 4]
    lines = (_line(ITEMS[0], customer.currency), _line(ITEMS[1], customer.currency))
    total = sum(line.amount for line in lines)
    return Recurring(
        f"Monthly care {index + 1}", customer, customer.currency, lines, total, today + timedelta(days=7 * (index + 1))
    )


def _long_memo() -> str:
    """Nearly 1,000 characters, so that no further line fits under QuickBooks' limit."""
    terms = (
        "This invoice covers work agreed in the statement of work signed in spring. "
        "Payment is due within the term above; please quote the invoice number with your transfer. "
    )
    return (terms * 8)[:990]


def _round(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))
