"""What the conditions of a query mean: numbers as numbers, times as times, references by their value."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from integrations.systems.quickbooks.simulator import fault
from integrations.systems.quickbooks.simulator.books import Books

Document = dict[str, Any]

_TIMES = frozenset({"MetaData.CreateTime", "MetaData.LastUpdatedTime"})
_DATES = frozenset({"TxnDate", "DueDate", "ExpirationDate", "AcceptedDate"})
_NUMBERS = frozenset(
    {
        "Id",
        "Balance",
        "BalanceWithJobs",
        "TotalAmt",
        "UnappliedAmt",
        "RemainingCredit",
        "CurrentBalance",
        "UnitPrice",
        "DueDays",
    }
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Condition:
    """One `name operator values`; only `in` has more than one value."""

    name: str
    operator: str
    values: tuple[str, ...]


def matcher(books: Books, condition: Condition) -> Callable[[Document], bool]:
    """A test for documents; Fault 4001 when a value does not fit the property."""
    read = _reader(books, condition.name)
    if condition.operator == "like":
        pattern = re.compile(
            ".*".join(re.escape(part) for part in condition.values[0].split("%")), re.IGNORECASE | re.DOTALL
        )
        return lambda doc: (value := read(doc)) is not None and pattern.fullmatch(str(value)) is not None
    wanted = [_literal(books, condition.name, value) for value in condition.values]
    if condition.operator == "in":
        return lambda doc: read(doc) in wanted
    compare, bound = _COMPARE[condition.operator], wanted[0]
    return lambda doc: (value := read(doc)) is not None and compare(value, bound)


def sort_key(books: Books, name: str) -> Callable[[Document], tuple[bool, Any]]:
    """A sort key: documents without the property come first."""
    read = _reader(books, name)

    def key(doc: Document) -> tuple[bool, Any]:
        value = read(doc)
        return (value is not None, value if value is not None else 0)

    return key


def _reader(books: Books, name: str) -> Callable[[Document], Any]:
    if name in _TIMES:
        part = name.split(".")[1]
        return lambda doc: books.at(doc["MetaData"][part]) if part in doc.get("MetaData", {}) else None
    if name in _NUMBERS:
        return lambda doc: Decimal(doc[name]) if name in doc else None
    if name == "PrimaryEmailAddr":
        return lambda doc: doc.get(name, {}).get("Address")
    if name.endswith("Ref"):
        return lambda doc: doc.get(name, {}).get("value")
    return lambda doc: _text(doc.get(name))


def _text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _literal(books: Books, name: str, value: str) -> Any:
    try:
        if name in _TIMES:
            return books.at(value)
        if name in _NUMBERS:
            return Decimal(value)
        if name in _DATES:
            return date.fromisoformat(value).isoformat()
    except (ValueError, InvalidOperation):
        raise fault.bad_query(f"Invalid value {value!r} for property {name}") from None
    return value
