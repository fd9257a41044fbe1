"""The mirror of what stands upstream, written in batches. Every write may be repeated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from connector.db import tables as t
from connector.db.bound import Bound, on_conflict_insert
from connector.db.rows import ProblemRow
from connector.domain.records import (
    InvoiceState,
    Kind,
    Unreadable,
    UpstreamCustomer,
    UpstreamInvoice,
    UpstreamPayment,
    UpstreamRecurring,
)

_encode = msgspec.json.encode
_Record = TypeVar("_Record", UpstreamInvoice, UpstreamCustomer, UpstreamPayment, UpstreamRecurring, Unreadable)

_INVOICE_COLUMNS = (
    "merchant_id", "connection_id", "remote_id", "kind", "number", "state", "customer", "issue_date", "due_date",
    "currency", "total", "tax", "balance", "memo", "reference", "theme", "emailed", "version", "updated_at",
    "confirmed_at", "lines",
)  # fmt: skip
_INVOICE_KEY = ("connection_id", "kind", "remote_id")


def _upsert_text(table: str, columns: Sequence[str], key: Sequence[str], *, mark: str, newer: bool) -> str:
    """INSERT … ON CONFLICT DO UPDATE as driver text: an import cannot afford to have it compiled per row.

    `newer`: an older reading (by the upstream's own stamp) never overwrites a newer one.
    """
    sets = ", ".join(f"{name}=excluded.{name}" for name in columns if name not in (*key, "merchant_id"))
    text = (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join([mark] * len(columns))}) "  # noqa: S608
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}"
    )
    if newer:
        text += (
            f" WHERE {table}.updated_at IS NULL OR excluded.updated_at IS NULL"
            f" OR excluded.updated_at >= {table}.updated_at"
        )
    return text


_INVOICES = {
    dialect: _upsert_text("invoices", _INVOICE_COLUMNS, _INVOICE_KEY, mark=mark, newer=True)
    for dialect, mark in (("sqlite", "?"), ("postgresql", "%s"))
}


def _in_order(records: Iterable[_Record]) -> list[_Record]:
    """Records in the one order everybody writes them, so that no two transactions on PostgreSQL wait for each other."""
    return sorted(records, key=attrgetter("remote_id"))


class Mirror:
    """Repository of one merchant's mirror of one or more connections."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def put_invoices(self, connection_id: int, records: Sequence[UpstreamInvoice]) -> None:
        """Insert or replace invoices, credit notes or estimates; those deleted upstream are archived."""
        records = _in_order(records)
        deleted = [record for record in records if record.state is InvoiceState.DELETED]
        kept = [record for record in records if record.state is not InvoiceState.DELETED] if deleted else records
        for record in deleted:
            i = t.invoices.c
            self._bound.update(
                t.invoices,
                i.connection_id == connection_id,
                i.kind == record.kind,
                i.remote_id == record.remote_id,
                state=InvoiceState.DELETED,
                balance=0,
                confirmed_at=self._bound.now,
            )
        if kept:
            dialect = self._bound.connection.dialect.name
            as_dates = dialect != "sqlite"
            confirmed = t.instant_to_micros(self._bound.now)
            merchant = self._bound.merchant_id
            self._bound.connection.exec_driver_sql(
                _INVOICES[dialect],
                [_invoice_values(merchant, connection_id, record, confirmed, as_dates) for record in kept],
            )
        self._forget_problems(connection_id, records[0].kind if records else None, records)

    def put_customers(self, connection_id: int, records: Sequence[UpstreamCustomer]) -> None:
        """Insert or replace customers with their people."""
        c, p = t.customers, t.contacts
        for record in _in_order(records):
            values = record._asdict()
            people = values.pop("contacts")
            self._upsert(c, ("connection_id", "remote_id"), connection_id=connection_id, **values)
            self._bound.connection.execute(
                sa.delete(p).where(
                    self._bound.mine(p), p.c.connection_id == connection_id, p.c.customer == record.remote_id
                )
            )
            for person in people:
                if person.email:
                    row = person._asdict() | {"email": person.email.strip().lower()}
                    self._bound.insert(p, connection_id=connection_id, customer=record.remote_id, **row)
        self._forget_problems(connection_id, Kind.CUSTOMER, records)

    def put_payments(self, connection_id: int, records: Sequence[UpstreamPayment]) -> None:
        """Insert or replace payments recorded upstream by anybody."""
        for record in _in_order(records):
            values = record._asdict() | {"allocations": _encode(record.allocations).decode()}
            self._upsert(t.upstream_payments, ("connection_id", "remote_id"), connection_id=connection_id, **values)
        self._forget_problems(connection_id, Kind.PAYMENT, records)

    def put_recurring(self, connection_id: int, records: Sequence[UpstreamRecurring]) -> None:
        """Insert or replace recurring profiles."""
        for record in _in_order(records):
            self._upsert(
                t.recurring_profiles, ("connection_id", "remote_id"), connection_id=connection_id, **record._asdict()
            )
        self._forget_problems(connection_id, Kind.RECURRING, records)

    def put_unreadable(self, connection_id: int, kind: Kind, records: Iterable[Unreadable]) -> None:
        """Keep records that could not be read, with their cause."""
        for record in _in_order(records):
            self._upsert(
                t.sync_problems,
                ("connection_id", "kind", "remote_id"),
                connection_id=connection_id,
                kind=kind,
                seen_at=self._bound.now,
                **record._asdict(),
            )

    def problem(self, problem_id: int) -> ProblemRow:
        """A record that could not be read. Raises NotFound, also when it has been read since."""
        fields = [t.sync_problems.c[name] for name in ProblemRow.__dataclass_fields__]
        statement = self._bound.select(t.sync_problems, *fields).where(t.sync_problems.c.id == problem_id)
        return ProblemRow(**self._bound.one(statement, "This record could be read since, or is gone.")._mapping)

    def _forget_problems(self, connection_id: int, kind: Kind | None, records: Sequence[Any]) -> None:
        if kind is None:
            return
        p = t.sync_problems
        statement = self._bound.select(p, p.c.remote_id).where(p.c.connection_id == connection_id, p.c.kind == kind)
        troubled = {row.remote_id for row in self._bound.rows(statement)}
        cured = troubled.intersection(record.remote_id for record in records) if troubled else ()
        for remote_id in cured:
            self._bound.connection.execute(
                sa.delete(p).where(
                    self._bound.mine(p),
                    p.c.connection_id == connection_id,
                    p.c.kind == kind,
                    p.c.remote_id == remote_id,
                )
            )

    def _upsert(self, table: sa.Table, key: Sequence[str], **values: Any) -> None:
        statement = on_conflict_insert(self._bound.connection, table).values(
            merchant_id=self._bound.merchant_id, **values
        )
        changed = {name: statement.excluded[name] for name in values if name not in key}
        self._bound.connection.execute(
            statement.on_conflict_do_update(index_elements=[table.c[name] for name in key], set_=changed)
        )


def _invoice_values(
    merchant_id: int, connection_id: int, record: UpstreamInvoice, confirmed: int, as_dates: bool
) -> tuple[Any, ...]:
    """One row in the order of _INVOICE_COLUMNS, as the driver takes it."""
    (
        kind, remote_id, number, state, customer, issued, due, currency, total, tax, balance, memo, reference, theme,
        emailed, version, updated, lines,
    ) = record  # fmt: skip
    return (
        merchant_id, connection_id, remote_id, kind.value, number, state.value, customer,
        issued if as_dates or issued is None else issued.isoformat(),
        due if as_dates or due is None else due.isoformat(),
        currency, total, tax, balance, memo, reference, theme, emailed, version,
        None if updated is None else t.instant_to_micros(updated), confirmed, _encode(lines).decode(),
    )  # fmt: skip
