"""Lines of an invoice, credit note or quote: exact arithmetic from a request, and how lines are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from connector.domain.money import exponent
from integrations.simulator.store import Document
from integrations.systems.xero.simulator.books import new_id
from integrations.systems.xero.simulator.problems import Refused
from integrations.systems.xero.simulator.wire import amount, number, read_amount, read_number

AMOUNT_TYPES = {"Exclusive": "Exclusive", "Inclusive": "Inclusive", "NoTax": "NoTax"}


@dataclass(frozen=True)
class Totals:
    """What a document comes to, in minor units."""

    subtotal: int
    tax: int
    total: int


def rounded(value: Decimal, currency: str) -> int:
    """Minor units of an exact decimal, half up."""
    return int(value.scaleb(exponent(currency)).quantize(Decimal(1), ROUND_HALF_UP))


def read_lines(
    sent: object, currency: str, amount_types: str, tax_rates: Mapping[str, str], existing: Iterable[Document] = ()
) -> list[Document]:
    """Lines of a request. A line sent without the `LineItemID` of an existing one is a new line. Raises Refused."""
    if not isinstance(sent, list):
        raise Refused("LineItems must be a list")
    known = {line["id"]: line for line in existing}
    return [_read_line(line, currency, amount_types, tax_rates, known) for line in sent]


def _read_line(
    sent: object, currency: str, amount_types: str, tax_rates: Mapping[str, str], known: Mapping[str, Document]
) -> Document:
    if not isinstance(sent, dict):
        raise Refused("A line item must be an object")
    line: Document = dict(known.get(str(sent.get("LineItemID") or ""), {"id": new_id()}))
    if "Description" in sent:
        line["description"] = str(sent["Description"] or "")
    if not line.get("description"):
        raise Refused("Description must not be empty")
    if len(line["description"]) > 4000:
        raise Refused("The description field has a maximum length of 4000 characters")
    quantity = read_number(sent.get("Quantity", line.get("quantity", 1)), "Quantity")
    unit = sent.get("UnitAmount", line.get("unit"))
    discount = sent.get("DiscountRate", line.get("discount_rate"))
    if unit is not None:
        exact = read_number(unit, "UnitAmount")
    else:
        exact = read_number(sent.get("LineAmount", 0), "LineAmount") / (quantity or 1)
    price = read_number(exact, "UnitAmount").quantize(Decimal("0.0001"), ROUND_HALF_UP)
    share = Decimal(1) - read_number(discount, "DiscountRate") / 100 if discount is not None else Decimal(1)
    line["amount"] = rounded(quantity * price * share, currency)
    if sent.get("LineAmount") is not None and read_amount(sent["LineAmount"], "LineAmount", currency) != line["amount"]:
        expected = amount(line["amount"], currency)
        raise Refused(f"The line total {sent['LineAmount']} does not match the expected line total {expected}")
    line.update(quantity=str(quantity), unit=str(price), account=str(sent.get("AccountCode", line.get("account", ""))))
    if discount is not None:
        line["discount_rate"] = str(discount)
    if sent.get("ItemCode"):
        line["item"] = str(sent["ItemCode"])
    tax_type = str(sent.get("TaxType") or line.get("tax_type") or "NONE")
    if tax_type not in tax_rates:
        raise Refused(f"The TaxType code '{tax_type}' does not exist or cannot be used for this type of transaction.")
    line["tax_type"] = tax_type
    if sent.get("TaxAmount") is not None and amount_types != "NoTax":
        line["tax"] = read_amount(sent["TaxAmount"], "TaxAmount", currency)
    else:
        line["tax"] = tax_of(line["amount"], Decimal(tax_rates[tax_type]), amount_types, currency)
    return line


def tax_of(line_amount: int, percent: Decimal, amount_types: str, currency: str) -> int:
    """Tax in minor units on, or inside, a line's amount."""
    exact = Decimal(line_amount).scaleb(-exponent(currency)) * percent / 100
    if amount_types == "NoTax":
        return 0
    if amount_types == "Inclusive":
        exact = exact / (1 + percent / 100)
    return rounded(exact, currency)


def add_up(lines: Iterable[Document], amount_types: str) -> Totals:
    """Totals of a document from its lines."""
    rows = list(lines)
    net, tax = sum(line["amount"] for line in rows), sum(line["tax"] for line in rows)
    if amount_types == "Inclusive":
        return Totals(net - tax, tax, net)
    return Totals(net, tax, net + tax)


def show_lines(lines: Iterable[Document], currency: str, unit_places: int) -> list[dict[str, Any]]:
    """Lines as an answer carries them; `unit_places` is 2, or 4 where the caller asked with unitdp=4."""
    return [_show_line(line, currency, unit_places) for line in lines]


def _show_line(line: Document, currency: str, unit_places: int) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Description": line["description"],
        "UnitAmount": number(line["unit"], unit_places),
        "TaxType": line["tax_type"],
        "TaxAmount": amount(line["tax"], currency),
        "LineAmount": amount(line["amount"], currency),
        "AccountCode": line["account"],
        "Tracking": [],
        "Quantity": number(line["quantity"], 4),
        "LineItemID": line["id"],
        "ValidationErrors": [],
    }
    if line.get("item"):
        shown["ItemCode"] = line["item"]
    if line.get("discount_rate"):
        shown["DiscountRate"] = number(line["discount_rate"], 2)
    return shown
