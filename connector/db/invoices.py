"""Invoices of the mirror, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from connector.contract import SeenText
from connector.db import tables as t
from connector.db.bound import Bound
from connector.db.rows import InvoiceRow
from connector.domain.records import Kind

_FIELDS = [t.invoices.c[name] for name in InvoiceRow.__dataclass_fields__]


def _row(row: Any) -> InvoiceRow:
    return InvoiceRow(**row._mapping)


class Invoices:
    """Repository of one merchant's invoices."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def get(self, invoice_id: int) -> InvoiceRow:
        """One document by our id. Raises NotFound."""
        statement = self._bound.select(t.invoices, *_FIELDS).where(t.invoices.c.id == invoice_id)
        return _row(self._bound.one(statement, "This invoice does not exist."))

    def several(self, invoice_ids: Sequence[int]) -> list[InvoiceRow]:
        """Those of the ids that exist, in the order of their ids."""
        statement = (
            self._bound.select(t.invoices, *_FIELDS)
            .where(t.invoices.c.id.in_(list(invoice_ids)))
            .order_by(t.invoices.c.id)
        )
        return [_row(row) for row in self._bound.rows(statement)]

    def by_remote(self, connection_id: int, remote_id: str, kind: Kind = Kind.INVOICE) -> InvoiceRow | None:
        """A document by the upstream's id."""
        i = t.invoices.c
        statement = self._bound.select(t.invoices, *_FIELDS).where(
            i.connection_id == connection_id, i.kind == kind, i.remote_id == remote_id
        )
        row = self._bound.connection.execute(statement).first()
        return None if row is None else _row(row)

    def by_number(self, connection_id: int, number: str) -> list[InvoiceRow]:
        """Invoices bearing this number (numbers are the upstream's and need not be unique)."""
        i = t.invoices.c
        statement = (
            self._bound.select(t.invoices, *_FIELDS)
            .where(i.connection_id == connection_id, i.kind == Kind.INVOICE, i.number == number)
            .limit(3)
        )
        return [_row(row) for row in self._bound.rows(statement)]

    def seen_text(self, connection_id: int, remote_id: str) -> SeenText | None:
        """The text the customer sees on an invoice, as the sync last read it; None for one without a version."""
        i = t.invoices.c
        row = self._bound.connection.execute(
            self._bound.select(t.invoices, i.version, i.memo).where(
                i.connection_id == connection_id, i.kind == Kind.INVOICE, i.remote_id == remote_id
            )
        ).first()
        return SeenText(row.version, row.memo) if row is not None and row.version else None

    def customer_name(self, connection_id: int, customer: str) -> str:
        """The customer's name, empty when the upstream has not told us yet."""
        c = t.customers.c
        statement = self._bound.select(t.customers, c.name).where(
            c.connection_id == connection_id, c.remote_id == customer
        )
        return self._bound.connection.execute(statement).scalar() or ""

    def customer_addresses(self, connection_id: int, customer: str) -> list[str]:
        """Mail addresses on file, the billing contact's first, lower case."""
        c, p = t.customers.c, t.contacts.c
        main = self._bound.connection.execute(
            self._bound.select(t.customers, c.email).where(c.connection_id == connection_id, c.remote_id == customer)
        ).scalar()
        people = self._bound.rows(
            self._bound.select(t.contacts, p.email)
            .where(p.connection_id == connection_id, p.customer == customer)
            .order_by(sa.desc(p.billing), p.id)
        )
        found = [row.email for row in people]
        if main:
            found.insert(0, main.strip().lower())
        return list(dict.fromkeys(found))

    def customers_with_address(self, address: str) -> list[tuple[int, str]]:
        """(connection, customer) pairs in active connections whose main address or contact this is."""
        c, p, k = t.customers, t.contacts, t.connections
        main = sa.select(c.c.connection_id, c.c.remote_id).where(
            self._bound.mine(c), sa.func.lower(c.c.email) == address, c.c.active
        )
        people = sa.select(p.c.connection_id, p.c.customer).where(self._bound.mine(p), p.c.email == address)
        both = sa.union(main, people).subquery()
        statement = (
            sa.select(both)
            .join(k, sa.and_(k.c.id == both.c.connection_id, k.c.state == "active"))
            .order_by(both.c.connection_id, both.c.remote_id)
        )
        return [(row[0], row[1]) for row in self._bound.connection.execute(statement)]
