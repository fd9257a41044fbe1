"""The seeded company is believable, varied and always the same; its figures add up."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from integrations.simulator.company import exponent, make_company, to_decimal

TODAY = date(2026, 11, 22)


def test_the_same_day_gives_the_same_company() -> None:
    assert make_company(TODAY) == make_company(TODAY)
    assert make_company(TODAY) != make_company(date(2026, 11, 23))


def test_it_has_everything_the_simulators_need() -> None:
    company = make_company(TODAY)
    assert len(company.customers) == 40
    assert len(company.invoices) == 300
    assert {invoice.state for invoice in company.invoices} == {
        "draft",
        "open",
        "overdue",
        "partially_paid",
        "paid",
        "void",
    }
    assert {invoice.currency for invoice in company.invoices} == {"USD", "EUR", "GBP", "JPY"}
    assert any(customer.email is None for customer in company.customers)
    assert any(not customer.active for customer in company.customers)
    assert any(customer.parent for customer in company.customers)
    assert {"Müller & Söhne GmbH", "株式会社さくら", "O'Brien Roofing"} <= {c.name for c in company.customers}
    assert len({invoice.number for invoice in company.invoices}) == 300
    assert 950 < max(len(invoice.memo) for invoice in company.invoices) < 1000
    assert len(company.recurring) == 3
    assert company.credit_notes
    assert {estimate.status for estimate in company.estimates} == {"pending", "accepted", "declined"}
    assert len({customer.key for customer in company.customers}) == 40


def test_every_invoice_adds_up_to_the_smallest_unit() -> None:
    for invoice in make_company(TODAY).invoices:
        assert invoice.subtotal == sum(line.amount for line in invoice.lines)
        assert invoice.total == invoice.subtotal + invoice.tax
        assert 1 <= len(invoice.lines) <= 6
        assert invoice.issued <= TODAY
        paid = sum(payment.amount for payment in invoice.payments)
        assert invoice.balance == (0 if invoice.state == "void" else invoice.total - paid)
        if invoice.state == "paid":
            assert invoice.balance == 0
        if invoice.state == "partially_paid":
            assert 0 < invoice.balance < invoice.total
        if invoice.state == "overdue":
            assert invoice.due < TODAY
        for line in invoice.lines:
            exact = line.quantity * line.unit_price
            assert abs(exact - line.amount) <= Decimal("0.5")


def test_amounts_carry_the_decimals_of_their_currency() -> None:
    assert str(to_decimal(12345, "USD")) == "123.45"
    assert str(to_decimal(10, "EUR")) == "0.10"
    assert str(to_decimal(5000, "JPY")) == "5000"
    assert str(to_decimal(1500, "KWD")) == "1.500"
    assert (exponent("JPY"), exponent("KWD"), exponent("GBP")) == (0, 3, 2)
