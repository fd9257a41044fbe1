"""A read-only connection bound to one merchant: what pages are made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from connector.db.prepared import Prepared
from connector.db.vault import Vault


@dataclass(frozen=True, slots=True)
class Reader:
    """One read-only transaction of one merchant. `now` is when it began (UTC)."""

    connection: sa.Connection
    merchant_id: int
    vault: Vault
    now: datetime

    def rows(self, statement: sa.Executable | Prepared, **values: Any) -> list[Any]:
        """All rows; `merchant` is bound for statements that ask for it."""
        if isinstance(statement, Prepared):
            return statement.rows(self.connection, {"merchant": self.merchant_id, **values})
        return list(self.connection.execute(statement, {"merchant": self.merchant_id, **values}).all())

    def first(self, statement: sa.Executable, **values: Any) -> Any:
        """The first row or None."""
        return self.connection.execute(statement, {"merchant": self.merchant_id, **values}).first()
