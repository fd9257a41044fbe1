"""The lines of a sales form and what they add up to."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from integrations.simulator.company import exponent
from integrations.systems.quickbooks.simulator import fault
from integrations.systems.quickbooks.simulator.amounts import minor, number
from integrations.systems.quickbooks.simulator.books import Change, Document

TAX_RATE_ID = "3"
TAX_RATE_PERCENT = Decimal("8.25")
DEFAULT_ITEM = {"value": "1", "name": "Services"}


@dataclass(frozen=True)
class Totals:
    """What a form adds up to, in minor units, and the properties that say so on the wire."""

    subtotal: int
    tax: int
    lines: list[Document]
    tax_detail: Document

    @property
    def total(self) -> int:
        """With tax."""
        return self.subtotal + self.tax


def add_up(change: Change, request: Document, currency: str, taxable: bool) -> Totals:
    """Number the lines and add them up.

    Tax is what the request says, else the home rate on lines with tax code TAX. Fault 6070 when a line's amount is
    not its
    quantity times its price, 2020 when there are no lines, 2500 for an unknown item.
    """
    lines: list[Document] = []
    subtotal = taxed = 0
    for position, line in enumerate(request.get("Line") or [], 1):
        kind = line.get("DetailType")
        if kind == "SubTotalLineDetail":
            continue
        if kind is None:
            raise fault.missing("DetailType")
        done: Document = {"Id": str(position), "LineNum": position, **line}
        if kind == "DescriptionOnly":
            lines.append(done)
            continue
        if "Amount" not in line:
            raise fault.missing("Line.Amount")
        amount = minor("Amount", line["Amount"], currency)
        done["Amount"] = number(amount, currency)
        if kind == "SalesItemLineDetail":
            detail = done[kind] = _detail(change, line, amount, currency)
            subtotal += amount
            taxed += amount if detail["TaxCodeRef"]["value"] == "TAX" else 0
        elif kind == "DiscountLineDetail":
            subtotal -= amount
        else:
            raise fault.business(f"Lines of type {kind} do not belong on a sales form.")
        lines.append(done)
    if not lines:
        raise fault.missing("Line")
    lines.append({"Amount": number(subtotal, currency), "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {}})
    tax, detail = _tax(request.get("TxnTaxDetail") or {}, taxed if taxable else 0, currency)
    return Totals(subtotal, tax, lines, detail)


def emptied(lines: list[Document]) -> list[Document]:
    """The lines of a voided form: they stay, worth nothing."""
    done = []
    for line in lines:
        zero = {**line, "Amount": 0} if "Amount" in line else dict(line)
        detail = zero.get("SalesItemLineDetail")
        if isinstance(detail, dict) and "Qty" in detail:
            zero["SalesItemLineDetail"] = {**detail, "Qty": 0}
        done.append(zero)
    return done


def _detail(change: Change, line: Document, amount: int, currency: str) -> Document:
    detail: Document = dict(line.get("SalesItemLineDetail") or {})
    if "ItemRef" in detail:
        item = change.referred("Item", detail["ItemRef"])
        detail["ItemRef"] = {"value": item["Id"], "name": item["Name"]}
    else:
        detail["ItemRef"] = dict(DEFAULT_ITEM)
    detail.setdefault("TaxCodeRef", {"value": "NON"})
    if "Qty" in detail and "UnitPrice" in detail:
        worth = _decimal("Qty", detail["Qty"]) * _decimal("UnitPrice", detail["UnitPrice"])
        rounded = worth.scaleb(exponent(currency)).quantize(Decimal(1), ROUND_HALF_UP)
        if int(rounded) != amount:
            raise fault.Fault(
                "6070",
                "Amount calculation incorrect in the request",
                f"Amount is not equal to UnitPrice * Qty. Supplied value:{line['Amount']}",
                element="",
            )
    return detail


def _tax(sent: Document, taxed: int, currency: str) -> tuple[int, Document]:
    if sent.get("TotalTax") is not None:
        tax = minor("TotalTax", sent["TotalTax"], currency)
    else:
        tax = int((taxed * TAX_RATE_PERCENT / 100).quantize(Decimal(1), ROUND_HALF_UP))
    detail: Document = {"TotalTax": number(tax, currency)}
    if tax:
        line = {
            "Amount": number(tax, currency),
            "DetailType": "TaxLineDetail",
            "TaxLineDetail": {
                "TaxRateRef": {"value": TAX_RATE_ID},
                "PercentBased": True,
                "TaxPercent": TAX_RATE_PERCENT,
                "NetAmountTaxable": number(taxed, currency),
            },
        }
        detail = {"TxnTaxCodeRef": {"value": "2"}, **detail, "TaxLine": [line]}
    return tax, detail


def _decimal(name: str, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise fault.bad_number(name, value)
    return Decimal(value)
