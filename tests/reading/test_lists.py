"""The merchant's lists find their rows by index, in order, in a few statements whatever the merchant has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from connector.domain.records import PaymentState
from connector.reading import connections, customers, invoices, onboarding, payments
from connector.wiring import Wiring
from tests.dashboard.firm import TODAY, Firm

Statement = tuple[str, Any]
# Long lists, which an index must hand out in their order so that a page costs the same however many there are.
IN_ORDER = {"invoices", "invoices further on", "invoices without a date", "open invoices", "payments"}


@contextmanager
def statements(engine: sa.Engine) -> Iterator[list[Statement]]:
    """What is asked of the database in the block."""
    asked: list[Statement] = []

    def note(_: object, __: object, statement: str, parameters: object, ___: object, ____: bool) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            asked.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def plan(engine: sa.Engine, statement: Statement) -> list[str]:
    """How SQLite goes about a statement, one line a step."""
    with engine.connect().execution_options(read_only=True) as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement[0]}", statement[1])
        return [str(row[3]) for row in rows]


def lists(merchant: int) -> dict[str, tuple[Callable[[Wiring], object], int]]:
    """The readings, each with how many statements it may take."""
    filters, place = invoices.Filters(), invoices.Place(TODAY - timedelta(days=90), 91)
    return {
        "invoices": (lambda w: invoices.page(w, merchant, filters, None, today=TODAY), 2),
        "invoices further on": (lambda w: invoices.page(w, merchant, filters, place, today=TODAY), 2),
        "invoices without a date": (
            lambda w: invoices.page(w, merchant, filters, invoices.Place(None, 5), today=TODAY),
            1,
        ),
        "open invoices": (
            lambda w: invoices.page(w, merchant, invoices.Filters(state="open"), None, today=TODAY),
            2,
        ),
        "customers": (lambda w: customers.page(w, merchant, search="", after=None), 2),
        "customers further on": (
            lambda w: customers.page(w, merchant, search="", after=customers.Place("Kunde 20", 21)),
            2,
        ),
        "a customer": (lambda w: customers.customer(w, merchant, 7, today=TODAY), 5),
        "an invoice": (lambda w: invoices.invoice(w, merchant, 7), 4),
        "payments": (lambda w: payments.page(w, merchant), 1),
        "what is owed": (lambda w: invoices.outstanding(w, merchant, today=TODAY), 1),
        "a connection": (lambda w: connections.status(w, merchant, 1), 9),
        "the frame": (lambda w: onboarding.frame(w, merchant), 2),
    }


@pytest.mark.parametrize("name", list(lists(0)))
def test_rows_are_found_by_index_in_few_statements(busy_firm: Firm, name: str) -> None:
    wiring = busy_firm.product.wiring
    reading, allowed = lists(busy_firm.merchant_id)[name]
    with statements(wiring.database.engine) as asked:
        assert reading(wiring) is not None
    assert 0 < len(asked) <= allowed, asked
    for statement in asked:
        for step in plan(wiring.database.engine, statement):
            assert not step.startswith(("SCAN invoices", "SCAN payments", "SCAN customers", "SCAN placements")), step
            assert name not in IN_ORDER or "TEMP B-TREE FOR ORDER BY" not in step, step


def test_a_merchant_without_rows_reads_nothing(busy_firm: Firm) -> None:
    wiring, nobody = busy_firm.product.wiring, busy_firm.merchant_id + 1
    assert invoices.page(wiring, nobody, invoices.Filters(), None, today=TODAY) == []
    assert list(invoices.every(wiring, nobody, invoices.Filters(), today=TODAY)) == []
    assert customers.page(wiring, nobody, search="", after=None) == ([], {})
    assert payments.page(wiring, nobody) == []
    assert connections.connections(wiring, nobody) == []


def test_the_export_goes_on_where_it_stopped(busy_firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invoices, "_CSV_PAGE", 7)
    rows = list(invoices.every(busy_firm.product.wiring, busy_firm.merchant_id, invoices.Filters(), today=TODAY))
    assert len({row.id for row in rows}) == len(rows) == 200
    dates = [row.issue_date for row in rows if row.issue_date]
    assert dates == sorted(dates, reverse=True)


def test_payments_of_one_moment_are_told_apart(busy_firm: Firm) -> None:
    made = {busy_firm.payment(1, {n + 1: 100 + n}, state=PaymentState.FAILED) for n in range(payments.PAGE + 3)}
    wiring, merchant = busy_firm.product.wiring, busy_firm.merchant_id
    first = payments.page(wiring, merchant)[: payments.PAGE]
    rest = payments.page(wiring, merchant, after=payments.Place(first[-1].created_at, first[-1].id))
    assert {row.id for row in first} | {row.id for row in rest} == made
    assert len(rest) == 3, "all of them were begun in the very same moment"
