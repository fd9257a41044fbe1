"""A connection already bound to one merchant: what every repository is made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from connector.db.vault import Vault
from connector.errors import NotFound


@dataclass(frozen=True, slots=True)
class Bound:
    """An open transaction, the merchant it acts for, the vault, when it began (UTC), and whether it may write."""

    connection: sa.Connection
    merchant_id: int
    vault: Vault
    now: datetime
    writing: bool

    def mine(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """The rows of this merchant."""
        column: sa.ColumnElement[bool] = table.c.merchant_id == self.merchant_id
        return column

    def select(self, table: sa.Table, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """SELECT of this merchant's rows."""
        return sa.select(*(columns or (table,))).where(self.mine(table))

    def insert(self, table: sa.Table, **values: Any) -> sa.CursorResult[Any]:
        """INSERT one row for this merchant."""
        return self.connection.execute(sa.insert(table).values(merchant_id=self.merchant_id, **values))

    def insert_unless_there(self, table: sa.Table, **values: Any) -> bool:
        """INSERT one row unless a unique key stands in the way; whether it was written."""
        dialect_insert = on_conflict_insert(self.connection, table).values(merchant_id=self.merchant_id, **values)
        return self.connection.execute(dialect_insert.on_conflict_do_nothing()).rowcount == 1

    def update(self, table: sa.Table, *where: sa.ColumnElement[bool], **values: Any) -> int:
        """UPDATE this merchant's rows; how many there were."""
        statement = sa.update(table).where(self.mine(table), *where).values(**values)
        return self.connection.execute(statement).rowcount

    def select_to_change(self, table: sa.Table, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """SELECT of rows that will be decided on: locked until the transaction ends, where it may write."""
        statement = self.select(table, *columns)
        return statement.with_for_update() if self.writing else statement

    def rows(self, statement: sa.Select[Any]) -> list[Any]:
        """All rows."""
        return list(self.connection.execute(statement))

    def one(self, statement: sa.Select[Any], missing: str) -> Any:
        """The one row there must be. Raises NotFound with these words."""
        row = self.connection.execute(statement).first()
        if row is None:
            raise NotFound(missing)
        return row


def on_conflict_insert(connection: sa.Connection, table: sa.Table) -> Any:
    """INSERT with the ON CONFLICT clause both databases speak, though SQLAlchemy keeps one for each."""
    # Without it psycopg's results of an INSERT know no rowcount, and callers ask whether a row was written.
    return _insert(connection.dialect.name)(table).execution_options(preserve_rowcount=True)


@cache
def _insert(dialect: str) -> Any:
    """The dialect's own INSERT; the other dialect is never loaded."""
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    return insert
