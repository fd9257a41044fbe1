"""A sales form as its customer gets it: the figures of the page and the PDF."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from integrations.simulator.company import exponent
from integrations.systems.quickbooks.simulator import pdf
from integrations.systems.quickbooks.simulator.books import Books

_LINK = re.compile(r"https?://[^\s<>\"]+")
_TITLES = {"Invoice": "Invoice", "Estimate": "Estimate", "CreditMemo": "Credit memo"}


@dataclass(frozen=True)
class ShownLine:
    """One line of the form, figures already written out."""

    description: str
    quantity: str
    price: str
    amount: str


@dataclass(frozen=True)
class Part:
    """A piece of the memo: plain text, or an address to click."""

    text: str
    link: bool


@dataclass(frozen=True)
class Shown:
    """Everything a customer sees."""

    title: str
    company: str
    company_lines: tuple[str, ...]
    number: str
    date: str
    due: str
    to: tuple[str, ...]
    email: str
    lines: tuple[ShownLine, ...]
    subtotal: str
    tax: str
    total: str
    balance: str
    currency: str
    memo: tuple[tuple[Part, ...], ...]
    memo_text: str
    voided: bool


def shown(books: Books, entity: str, doc: dict[str, Any]) -> Shown:
    """What the customer sees of a form."""
    company = books.find("CompanyInfo", "1") or {}
    currency = doc["CurrencyRef"]["value"]
    memo = str(doc.get("CustomerMemo", {}).get("value", ""))
    subtotal = next((line["Amount"] for line in doc["Line"] if line["DetailType"] == "SubTotalLineDetail"), 0)
    return Shown(
        title=_TITLES[entity],
        company=str(company.get("CompanyName", "")),
        company_lines=address_lines(company.get("CompanyAddr", {})),
        number=str(doc.get("DocNumber", "")),
        date=doc["TxnDate"],
        due=str(doc.get("DueDate", "")),
        to=(doc["CustomerRef"].get("name", ""), *address_lines(doc.get("BillAddr", {}))),
        email=str(doc.get("BillEmail", {}).get("Address", "")),
        lines=tuple(_line(line, currency) for line in doc["Line"] if line["DetailType"] == "SalesItemLineDetail"),
        subtotal=money(subtotal, currency),
        tax=money(doc.get("TxnTaxDetail", {}).get("TotalTax", 0), currency),
        total=money(doc["TotalAmt"], currency),
        balance=money(doc.get("Balance", doc["TotalAmt"]), currency),
        currency=currency,
        memo=tuple(_parts(line) for line in memo.splitlines()),
        memo_text=memo,
        voided=str(doc.get("PrivateNote", "")).startswith("Voided"),
    )


def pdf_of(books: Books, entity: str, doc: dict[str, Any]) -> bytes:
    """The form as PDF, memo and link included."""
    view = shown(books, entity, doc)
    rows = [view.company, *view.company_lines, "", f"{view.title} {view.number}", f"Date {view.date}"]
    if view.due:
        rows.append(f"Due {view.due}")
    rows += ["", "To", *view.to, ""]
    rows += [f"{line.description}   {line.quantity} x {line.price}   {line.amount}" for line in view.lines]
    rows += ["", f"Subtotal {view.subtotal}", f"Tax {view.tax}"]
    rows += [f"Total {view.total}", f"Balance due {view.balance}", ""]
    rows += view.memo_text.splitlines()
    return pdf.render(rows)


def money(value: object, currency: str) -> str:
    """An amount with its currency, thousands set apart."""
    amount = Decimal(str(value))
    return f"{amount:,.{exponent(currency)}f} {currency}"


def address_lines(address: dict[str, Any]) -> tuple[str, ...]:
    """An address as printed."""
    city = " ".join(str(address[key]) for key in ("City", "CountrySubDivisionCode", "PostalCode") if address.get(key))
    lines = (*(address.get(f"Line{number}") for number in range(1, 6)), city, address.get("Country"))
    return tuple(str(line) for line in lines if line)


def _line(line: dict[str, Any], currency: str) -> ShownLine:
    detail = line["SalesItemLineDetail"]
    price = money(detail["UnitPrice"], currency) if "UnitPrice" in detail else ""
    description = line.get("Description") or detail["ItemRef"].get("name", "")
    return ShownLine(str(description), str(detail.get("Qty", "")), price, money(line["Amount"], currency))


def _parts(line: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    position = 0
    for found in _LINK.finditer(line):
        if found.start() > position:
            parts.append(Part(line[position : found.start()], False))
        parts.append(Part(found.group(), True))
        position = found.end()
    if position < len(line):
        parts.append(Part(line[position:], False))
    return tuple(parts)
