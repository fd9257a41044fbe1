"""The `where` filter and the `order` clause of list calls: the forms integrations use, read strictly."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from integrations.systems.xero.simulator.problems import bad_query

Row = Mapping[str, object]
"""A document's filterable fields by name: str, Guid, Decimal, datetime, bool or None."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*")|(?P<number>-?\d+(?:\.\d+)?)|(?P<op>==|!=|<>|>=|<=|>|<|=|&&|\|\||\(|\)|,)"""
    r"""|(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*))""",
    re.ASCII,
)
_DEEPEST = 50
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_TEXT_CALLS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda value, part: part in value,
    "startswith": lambda value, part: value.startswith(part),
    "endswith": lambda value, part: value.endswith(part),
}


class Guid(str):
    """An id in a row; it compares to `Guid("...")` only, as in the vendor's language."""

    __slots__ = ()


Test = Callable[[Row], object]


def compile_where(text: str, entity: str) -> Callable[[Row], bool]:
    """A predicate for rows. Raises the 400 QueryParseException for anything that cannot be read."""
    parser = _Parser(text, entity)
    test = parser.either()
    if parser.peek() is not None:
        raise bad_query(f"Syntax error at {parser.peek()!r}")
    return lambda row: test(row) is True


def compile_order(text: str, entity: str, fields: Row) -> list[tuple[str, bool]]:
    """`UpdatedDateUTC DESC, Name` as (field, descending) pairs; `fields` is any row, to refuse unknown names."""
    clauses = []
    names = {name.lower(): name for name in fields}
    for part in text.split(","):
        words = part.split()
        direction = words[1].upper() if len(words) == 2 else "ASC"
        if not words or len(words) > 2 or direction not in ("ASC", "DESC"):
            raise bad_query(f"Syntax error in order {part.strip()!r}")
        if words[0].lower() not in names:
            raise bad_query(f"No property or field '{words[0]}' exists in type '{entity}'")
        clauses.append((names[words[0].lower()], direction == "DESC"))
    return clauses


def sort_key(value: object) -> tuple[bool, Any]:
    """Orders absent values first."""
    return (value is not None, value if value is not None else 0)


class _Parser:
    def __init__(self, text: str, entity: str) -> None:
        self._entity = entity
        self._tokens: list[tuple[str, str]] = []
        at = 0
        text = text.strip()
        if text.count("(") > _DEEPEST:
            raise bad_query("The where filter is nested too deeply")
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise bad_query(f"Syntax error in where at {text[at : at + 20]!r}")
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()
        self._at = 0

    def peek(self) -> str | None:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else None

    def _take(self, expected: str | None = None) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise bad_query("Expression expected at the end of where")
        kind, value = self._tokens[self._at]
        if expected is not None and value != expected:
            raise bad_query(f"{expected!r} expected, found {value!r}")
        self._at += 1
        return kind, value

    def either(self) -> Test:
        tests = [self._both()]
        while (self.peek() or "").upper() in ("OR", "||"):
            self._take()
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) is True for test in tests)

    def _both(self) -> Test:
        tests = [self._comparison()]
        while (self.peek() or "").upper() in ("AND", "&&"):
            self._take()
            tests.append(self._comparison())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) is True for test in tests)

    def _comparison(self) -> Test:
        if self.peek() == "(":
            self._take()
            inside = self.either()
            self._take(")")
            return inside
        left = self._operand()
        sign = self.peek()
        if sign not in _COMPARE:
            return left
        self._take()
        right, compare = self._operand(), _COMPARE[sign]
        return lambda row: self._compare(left(row), right(row), sign, compare)

    def _compare(self, left: object, right: object, sign: str, compare: Callable[[Any, Any], bool]) -> bool:
        if left is None or right is None:
            return compare(left, right) if compare in (operator.eq, operator.ne) else False
        if type(left) is not type(right):
            names = f"'{_type_name(left)}' and '{_type_name(right)}'"
            raise bad_query(f"Operator '{sign}' incompatible with operand types {names}")
        return compare(left, right)

    def _operand(self) -> Test:
        kind, value = self._take()
        if kind == "text":
            return _constant(value[1:-1])
        if kind == "number":
            return _constant(Decimal(value))
        if kind != "name":
            raise bad_query(f"Expression expected, found {value!r}")
        word = value.lower()
        if word in ("true", "false"):
            return _constant(word == "true")
        if word == "null":
            return _constant(None)
        if word == "guid":
            return _constant(Guid(self._text_argument().lower()))
        if word == "datetime":
            return _constant(self._moment())
        path, _, last = value.rpartition(".")
        if path and last.lower() in _TEXT_CALLS and self.peek() == "(":
            return self._text_call(path, _TEXT_CALLS[last.lower()])
        return self._field(value)

    def _text_call(self, path: str, call: Callable[[str, str], bool]) -> Test:
        field, part = self._field(path), self._text_argument()

        def test(row: Row) -> bool:
            value = field(row)
            return isinstance(value, str) and call(value, part)

        return test

    def _field(self, name: str) -> Test:
        def value(row: Row) -> object:
            for known, held in row.items():
                if known.lower() == name.lower():
                    return held
            raise bad_query(f"No property or field '{name}' exists in type '{self._entity}'")

        return value

    def _text_argument(self) -> str:
        self._take("(")
        kind, value = self._take()
        if kind != "text":
            raise bad_query(f"A text in quotes is expected, found {value!r}")
        self._take(")")
        return value[1:-1]

    def _moment(self) -> datetime:
        self._take("(")
        parts = []
        while self.peek() != ")":
            if self.peek() == ",":
                self._take()
            kind, value = self._take()
            if kind != "number" or not value.isdigit():
                raise bad_query(f"DateTime takes whole numbers, found {value!r}")
            parts.append(int(value))
        self._take(")")
        try:
            year, month, day, hour, minute, second = (*parts, 0, 0, 0)[:6]
            return datetime(year, month, day, hour, minute, second)
        except ValueError as problem:
            raise bad_query(f"DateTime: {problem}") from None


def _constant(value: object) -> Test:
    return lambda row: value


def _type_name(value: object) -> str:
    return {Guid: "Guid", str: "String", Decimal: "Decimal", datetime: "DateTime", bool: "Boolean"}[type(value)]
