"""SELECTs of pages that are opened often: compiled once, then handed to the driver as they are.

Working out a statement anew and wrapping its rows costs several times what the database needs for such a page. A
prepared SELECT runs in the same transaction on the same connection; only SQLAlchemy's bookkeeping is left out.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement as one database takes it. `order` names the values of a driver that takes them by position."""

    text: str
    fixed: Mapping[str, Any]
    order: tuple[str, ...] | None
    into: Mapping[str, Convert]
    out: tuple[tuple[int, Convert], ...]


class Prepared:
    """A SELECT without lists among its values. `sqlite_index` names the index SQLite must use for `FROM invoices`,
    where left alone it picks a worse one."""

    def __init__(self, statement: sa.Select[Any], *, sqlite_index: str = "") -> None:
        self._statement = statement
        self._sqlite_index = sqlite_index
        self._make = _row_maker(list(statement.selected_columns.keys()))
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, connection: sa.Connection, values: Mapping[str, Any]) -> list[Any]:
        """All rows as named tuples; values the statement does not ask for are left aside."""
        known = self._compiled.get(connection.dialect.name) or self._compile(connection.dialect)
        given = {**known.fixed, **values}
        for name, convert in known.into.items():
            given[name] = convert(given[name])
        cursor = connection.connection.cursor()
        try:
            cursor.execute(known.text, given if known.order is None else [given[name] for name in known.order])
            fetched = cursor.fetchall()
        finally:
            cursor.close()
        return list(map(self._make, self._read(fetched, known) if known.out else fetched))

    def first(self, connection: sa.Connection, values: Mapping[str, Any]) -> Any:
        """The first row or None; for statements that find one row at most."""
        rows = self.rows(connection, values)
        return rows[0] if rows else None

    @staticmethod
    def _read(fetched: Sequence[Any], known: _Compiled) -> list[list[Any]]:
        rows = list(map(list, fetched))
        for position, convert in known.out:
            for row in rows:
                row[position] = convert(row[position])
        return rows

    def _compile(self, dialect: sa.Dialect) -> _Compiled:
        compiled: Any = self._statement.compile(dialect=dialect)
        text = str(compiled)
        if self._sqlite_index and dialect.name == "sqlite":
            text = text.replace("FROM invoices ", f"FROM invoices INDEXED BY {self._sqlite_index} ")
        into = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()}
        out = [
            (position, column.type.dialect_impl(dialect).result_processor(dialect, None))
            for position, column in enumerate(self._statement.selected_columns)
        ]
        made = self._compiled[dialect.name] = _Compiled(
            text,
            dict(compiled.params),
            tuple(compiled.positiontup) if compiled.positional else None,
            {name: convert for name, convert in into.items() if convert},
            tuple((position, convert) for position, convert in out if convert),
        )
        return made


def _row_maker(names: Sequence[str]) -> Callable[[Any], Any]:
    """What makes a named tuple of these names out of a row."""
    named_tuple: Any = namedtuple
    make: Callable[[Any], Any] = named_tuple("PageRow", names)._make
    return make
