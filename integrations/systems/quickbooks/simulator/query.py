"""Intuit's query language: SELECT ... FROM Entity WHERE ... AND ... ORDERBY ... STARTPOSITION n MAXRESULTS n.

No OR, no join, no negation, as with the vendor (developer.intuit.com/.../docs/learn/explore-the-quickbooks-online-api/
data-queries). Everything not understood is Fault 4001.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from integrations.systems.quickbooks.simulator import fault
from integrations.systems.quickbooks.simulator.books import Books, Row
from integrations.systems.quickbooks.simulator.conditions import Condition, matcher, sort_key
from integrations.systems.quickbooks.simulator.fields import ENTITY_BY_PATH, FILTERS, NAMED, TRANSACTIONS

MAX_RESULTS = 1000
DEFAULT_RESULTS = 100

_TOKEN = re.compile(r"\s*(?:('(?:\\.|[^'\\])*')|([A-Za-z_][\w.]*)|(-?\d+(?:\.\d+)?)|(<=|>=|=|<|>|\(|\)|,|\*))")


@dataclass(frozen=True)
class Query:
    """One parsed query; `columns` empty means every property."""

    entity: str
    columns: tuple[str, ...]
    count: bool
    conditions: tuple[Condition, ...]
    order: tuple[tuple[str, bool], ...]
    start: int
    limit: int


def entity_of(text: str) -> str:
    """The entity a query names, for the journal; empty when it cannot be seen."""
    found = re.search(r"\bfrom\s+([A-Za-z]+)", text, re.IGNORECASE)
    return ENTITY_BY_PATH.get(found.group(1).lower(), "") if found else ""


def parse(text: str) -> Query:
    """Parse a query; Fault 4001 when it is not understood."""
    tokens = _Tokens(text)
    tokens.expect("select")
    columns, count = _columns(tokens)
    tokens.expect("from")
    named = tokens.word()
    entity = ENTITY_BY_PATH.get(named.lower())
    if entity is None:
        raise fault.bad_query(f"invalid context declaration: {named}")
    conditions: list[Condition] = []
    order: list[tuple[str, bool]] = []
    start, limit = 1, DEFAULT_RESULTS
    if tokens.take("where"):
        conditions.append(_condition(tokens, entity))
        while tokens.take("and"):
            conditions.append(_condition(tokens, entity))
    if tokens.take("orderby") or (tokens.take("order") and tokens.expect("by")):
        order.append(_order(tokens, entity))
        while tokens.take(","):
            order.append(_order(tokens, entity))
    while not tokens.done:
        if tokens.take("startposition"):
            start = tokens.integer()
        elif tokens.take("maxresults"):
            limit = tokens.integer()
        else:
            raise fault.bad_query(f"Encountered unexpected token {tokens.peek()!r}")
    if limit > MAX_RESULTS:
        raise fault.bad_query(f"value {limit} is too large. Max allowed value is {MAX_RESULTS}.")
    if start < 1 or limit < 1:
        raise fault.bad_query("STARTPOSITION and MAXRESULTS start at 1")
    return Query(entity, columns, count, tuple(conditions), tuple(order), start, limit)


def select(books: Books, query: Query) -> list[Row]:
    """Every row that matches, in order, before paging."""
    rows = books.rows(query.entity)
    tests: list[Callable[[dict[str, Any]], bool]] = [matcher(books, condition) for condition in query.conditions]
    if query.entity in NAMED | {"Customer"} and not any(condition.name == "Active" for condition in query.conditions):
        tests.append(lambda doc: doc.get("Active") is not False)
    found = [row for row in rows if all(test(row.doc) for test in tests)]
    if query.order:
        for name, descending in reversed(query.order):
            key = sort_key(books, name)
            found.sort(key=lambda row, key=key: key(row.doc), reverse=descending)  # type: ignore[misc]
    elif query.entity in TRANSACTIONS:
        found.sort(key=lambda row: int(row.doc["Id"]), reverse=True)
    elif query.entity == "Customer":
        found.sort(key=lambda row: str(row.doc["FullyQualifiedName"]).casefold())
    return found


def page(query: Query, rows: list[Row]) -> list[Row]:
    """The part of the rows one answer carries."""
    return rows[query.start - 1 : query.start - 1 + query.limit]


def columns_of(row: Row, columns: tuple[str, ...]) -> dict[str, Any]:
    """Only the properties asked for by name."""
    names = {column.split(".")[0] for column in columns} | {"domain", "sparse"}
    return {name: value for name, value in row.doc.items() if name in names}


class _Tokens:
    def __init__(self, text: str) -> None:
        self._tokens = list(self._split(text.strip()))
        self._position = 0

    @staticmethod
    def _split(text: str) -> Iterator[str]:
        position = 0
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise fault.bad_query(f"Lexical error at column {position + 1}")
            yield found.group().strip()
            position = found.end()

    @property
    def done(self) -> bool:
        return self._position >= len(self._tokens)

    def peek(self) -> str:
        return "" if self.done else self._tokens[self._position]

    def next(self) -> str:
        if self.done:
            raise fault.bad_query("Encountered unexpected end of query")
        self._position += 1
        return self._tokens[self._position - 1]

    def take(self, word: str) -> bool:
        if self.peek().lower() == word:
            self._position += 1
            return True
        return False

    def expect(self, word: str) -> bool:
        if not self.take(word):
            raise fault.bad_query(f"Encountered {self.peek()!r} where {word.upper()} was expected")
        return True

    def word(self) -> str:
        token = self.next()
        if not token[0].isalpha():
            raise fault.bad_query(f"Encountered {token!r} where a name was expected")
        return token

    def integer(self) -> int:
        token = self.next()
        if not token.isdigit():
            raise fault.bad_query(f"Encountered {token!r} where a number was expected")
        return int(token)

    def literal(self) -> str:
        token = self.next()
        if token.startswith("'"):
            return re.sub(r"\\(.)", r"\1", token[1:-1])
        if token.lower() in ("true", "false"):
            return token.lower()
        raise fault.bad_query(f"Encountered {token!r} where a value in single quotes was expected")


def _columns(tokens: _Tokens) -> tuple[tuple[str, ...], bool]:
    if tokens.take("count"):
        for token in ("(", "*", ")"):
            tokens.expect(token)
        return (), True
    columns: list[str] = []
    everything = False
    while True:
        if tokens.take("*"):
            everything = True
        else:
            columns.append(tokens.word())
        if not tokens.take(","):
            return (() if everything else tuple(columns)), False


def _filterable(entity: str, name: str) -> str:
    if name not in FILTERS[entity]:
        raise fault.bad_query(f"Property {name} not found for Entity {entity}")
    return name


def _condition(tokens: _Tokens, entity: str) -> Condition:
    name = _filterable(entity, tokens.word())
    operator = tokens.next().lower()
    if operator == "in":
        tokens.expect("(")
        values = [tokens.literal()]
        while tokens.take(","):
            values.append(tokens.literal())
        tokens.expect(")")
        return Condition(name, "in", tuple(values))
    if operator not in ("=", "<", ">", "<=", ">=", "like"):
        raise fault.bad_query(f"Encountered {operator!r} where an operator was expected")
    return Condition(name, operator, (tokens.literal(),))


def _order(tokens: _Tokens, entity: str) -> tuple[str, bool]:
    name = _filterable(entity, tokens.word())
    if tokens.take("desc"):
        return name, True
    tokens.take("asc")
    return name, False
