"""A document as its customer receives it, for the online page and the PDF alike: plain texts, ready to lay out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from urllib.parse import quote

from connector.domain.money import minor_to_text
from integrations.simulator.store import Document
from integrations.systems.xero.simulator.books import (
    CONTACT,
    CREDIT_NOTE,
    INVOICE,
    PAYMENT_SERVICE,
    QUOTE,
    THEME,
    Organisation,
)
from integrations.systems.xero.simulator.wire import number

_TITLES = {INVOICE: "Invoice", CREDIT_NOTE: "Credit note", QUOTE: "Quote"}


@dataclass(frozen=True)
class PaperLine:
    """One line as printed."""

    description: str
    quantity: str
    unit_price: str
    tax: str
    amount: str


@dataclass(frozen=True)
class Paper:
    """Everything printed on the document; `pay_url` is empty where no Pay now button stands."""

    title: str
    number: str
    seller: tuple[str, ...]
    buyer: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    lines: tuple[PaperLine, ...]
    totals: tuple[tuple[str, str], ...]
    currency: str
    stamp: str
    theme: str
    pay_url: str
    pay_text: str


def print_out(org: Organisation, kind: str, doc: Document) -> Paper:
    """Lay out an invoice, credit note or quote."""
    currency, profile = doc["currency"], org.profile
    contact = org.get(CONTACT, doc["contact"]) or {"name": "", "address": {}}
    address = contact.get("address", {})
    theme = org.get(THEME, doc.get("theme") or "") or {"name": ""}
    pay_url, pay_text = payment_link(org, doc) if kind == INVOICE else ("", "")
    return Paper(
        title=_TITLES[kind],
        number=doc["number"],
        seller=(profile["name"], *profile["address"]),
        buyer=tuple(
            part
            for part in (
                contact["name"],
                address.get("line1", ""),
                f"{address.get('postal_code', '')} {address.get('city', '')}".strip(),
                address.get("country", ""),
            )
            if part
        ),
        facts=tuple((name, value) for name, value in _facts(kind, doc) if value),
        lines=tuple(_line(line, currency) for line in doc["lines"]),
        totals=_totals(kind, doc),
        currency=currency,
        stamp={"PAID": "Paid", "VOIDED": "Void", "DRAFT": "Draft", "DELETED": "Deleted"}.get(doc["status"], ""),
        theme=theme["name"],
        pay_url=pay_url,
        pay_text=pay_text,
    )


def payment_link(org: Organisation, invoice: Document) -> tuple[str, str]:
    """Where the Pay now button of an invoice leads and what it says; empty when there is no button.

    The button needs a payment service on the invoice's theme, an approved sales invoice, and something due. The four
    placeholders are filled in percent-encoded; there is none for the invoice's id.
    Source: help.xero.com/us/PaymentServices_CustomSetup.
    """
    theme = org.get(THEME, invoice.get("theme") or "")
    service = org.get(PAYMENT_SERVICE, (theme or {}).get("service") or "")
    if (
        service is None
        or invoice["type"] != "ACCREC"
        or invoice["status"] != "AUTHORISED"
        or invoice["amount_due"] <= 0
    ):
        return "", ""
    values = {
        "[INVOICENUMBER]": invoice["number"],
        "[CURRENCY]": invoice["currency"],
        "[AMOUNTDUE]": minor_to_text(invoice["amount_due"], invoice["currency"]),
        "[SHORTCODE]": org.profile["short_code"],
    }
    url = str(service["url"])
    for placeholder, value in values.items():
        url = url.replace(placeholder, quote(value, safe=""))
    return url, str(service["pay_now_text"])


def _facts(kind: str, doc: Document) -> list[tuple[str, str]]:
    last = {INVOICE: ("Due date", doc.get("due")), QUOTE: ("Expiry date", doc.get("expires"))}.get(kind, ("", None))
    return [
        ("Date", _day(doc["date"])),
        (last[0], _day(last[1]) if last[1] else ""),
        ("Number", doc["number"]),
        ("Reference", doc["reference"]),
    ]


def _line(line: Document, currency: str) -> PaperLine:
    quantity = number(line["quantity"], 4).normalize()
    return PaperLine(
        description=line["description"],
        quantity=f"{quantity:f}",
        unit_price=f"{number(line['unit'], 2):,}",
        tax=_money(line["tax"], currency) if line["tax"] else "",
        amount=_money(line["amount"], currency),
    )


def _totals(kind: str, doc: Document) -> tuple[tuple[str, str], ...]:
    currency = doc["currency"]
    rows = [("Subtotal", doc["subtotal"]), ("Tax", doc["tax"]), (f"Total {currency}", doc["total"])]
    if kind == INVOICE:
        if doc["amount_paid"]:
            rows.append(("Less amount paid", -doc["amount_paid"]))
        if doc["amount_credited"]:
            rows.append(("Less amount credited", -doc["amount_credited"]))
        rows.append((f"Amount due {currency}", doc["amount_due"]))
    return tuple((name, _money(minor, currency)) for name, minor in rows)


def _money(minor: int, currency: str) -> str:
    """For a person: thousands are grouped, the currency stands in the heading."""
    text = minor_to_text(abs(minor), currency)
    whole, point, fraction = text.partition(".")
    return f"{'-' if minor < 0 else ''}{int(whole):,}{point}{fraction}"


def _day(text: str) -> str:
    day = date.fromisoformat(text)
    return f"{day.day} {day:%b %Y}"
