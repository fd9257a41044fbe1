"""A prepared SELECT answers what the same SELECT answers."""

from __future__ import annotations

from datetime import date, timedelta

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.prepared import Prepared
from tests.db.conftest import NOW

_i = t.invoices.c
STATEMENT = (
    sa.select(_i.number, _i.emailed, _i.due_date, _i.issue_date, _i.confirmed_at, _i.updated_at, _i.balance)
    .where(
        _i.connection_id == sa.bindparam("connection"),
        _i.due_date < sa.bindparam("before"),
        _i.confirmed_at <= sa.bindparam("now"),
        _i.emailed == sa.true(),
        _i.number.like("A%"),
    )
    .order_by(_i.number)
    .limit(2)
)


def put(engine: sa.Engine, merchant: int, connection_id: int, number: str, due: date | None) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.insert(t.invoices).values(
                merchant_id=merchant, connection_id=connection_id, remote_id=number, kind="invoice", number=number,
                state="open", customer="c", issue_date=None, due_date=due, currency="EUR", total=10**14, tax=0,
                balance=10**14, emailed=True, confirmed_at=NOW, lines="[]",
            )
        )  # fmt: skip


def test_the_same_rows_as_the_statement_itself(
    engine: sa.Engine, merchants: tuple[int, int], connection_id: int
) -> None:
    for number in range(4):
        put(engine, merchants[0], connection_id, f"A{number}", date(2026, 1, 1) + timedelta(days=number))
    put(engine, merchants[0], connection_id, "B", None)
    values = {"connection": connection_id, "before": date(2026, 1, 4), "now": NOW}
    prepared = Prepared(STATEMENT)
    with engine.connect() as connection:
        expected = [tuple(row) for row in connection.execute(STATEMENT, values)]
        for _ in range(2):
            assert [tuple(row) for row in prepared.rows(connection, {**values, "not_asked_for": 1})] == expected
        assert len(expected) == 2 and expected[0][4] == NOW and expected[0][1] is True
        first = prepared.first(connection, values)
        assert (first.number, first.due_date, first.issue_date, first.balance) == ("A0", date(2026, 1, 1), None, 10**14)
        assert prepared.first(connection, {**values, "connection": connection_id + 1}) is None


def test_values_never_become_text_of_the_statement(
    engine: sa.Engine, merchants: tuple[int, int], connection_id: int
) -> None:
    put(engine, merchants[0], connection_id, "it's", date(2026, 1, 1))
    prepared = Prepared(sa.select(_i.id).where(_i.number == sa.bindparam("number")))
    with engine.connect() as connection:
        assert len(prepared.rows(connection, {"number": "it's"})) == 1
        assert prepared.rows(connection, {"number": "' OR ''='"}) == []


def test_bytes_and_the_named_index(engine: sa.Engine, merchants: tuple[int, int], connection_id: int) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.insert(t.links).values(
                merchant_id=merchants[0], token_hash=b"\x00\xff", sealed_token=b"s", scope="customer",
                connection_id=connection_id, target="c", state="live", created_at=NOW,
            )
        )  # fmt: skip
    by_hash = Prepared(sa.select(t.links.c.sealed_token).where(t.links.c.token_hash == sa.bindparam("hash")))
    indexed = Prepared(
        sa.select(_i.id).where(
            _i.connection_id == sa.bindparam("connection"),
            _i.customer == "c",
            sa.text("invoices.state = 'open' AND invoices.balance > 0"),
        ),
        sqlite_index="ix_invoices_open",
    )
    put(engine, merchants[0], connection_id, "A", None)
    with engine.connect() as connection:
        assert bytes(by_hash.first(connection, {"hash": b"\x00\xff"}).sealed_token) == b"s"
        assert len(indexed.rows(connection, {"connection": connection_id})) == 1
