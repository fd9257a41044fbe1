"""The database itself keeps the ledger balanced and unchanged, whoever writes to it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from connector.db import tables as t
from tests.db.conftest import NOW

Lines = list[tuple[str, int, str]]
_GOOD: Lines = [("clearing:sandbox", 500, "EUR"), ("receivable:1:7", -500, "EUR")]


def _lines(connection: sa.Connection, merchant: int, entry: str, lines: Lines, first: int = 0) -> None:
    for position, (account, amount, currency) in enumerate(lines, first):
        connection.execute(
            sa.insert(t.ledger_lines).values(
                entry_id=entry,
                merchant_id=merchant,
                position=position,
                account=account,
                amount=amount,
                currency=currency,
            )
        )


def _entry(connection: sa.Connection, merchant: int, entry: str) -> None:
    connection.execute(
        sa.insert(t.ledger_entries).values(
            id=entry, merchant_id=merchant, kind="receipt", payment_id="p", reason=entry, at=NOW
        )
    )


@pytest.fixture
def booked(engine: sa.Engine, merchants: tuple[int, int]) -> str:
    """A good entry."""
    with engine.begin() as connection:
        _lines(connection, merchants[0], "good", _GOOD)
        _entry(connection, merchants[0], "good")
    return "good"


def test_a_balanced_entry_is_admitted(engine: sa.Engine, booked: str) -> None:
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.sum(t.ledger_lines.c.amount))).scalar() == 0


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([("a", 500, "EUR"), ("b", -499, "EUR")], "sum to zero"),
        ([("a", 500, "EUR"), ("b", -500, "USD")], "sum to zero"),
        ([("a", 500, "EUR"), ("b", -500, "EUR"), ("c", 1, "JPY"), ("d", -2, "JPY")], "sum to zero"),
        ([("a", 500, "EUR")], "at least two lines"),
        ([], "at least two lines"),
    ],
)
def test_an_entry_that_does_not_balance_is_refused(
    engine: sa.Engine, merchants: tuple[int, int], lines: Lines, why: str
) -> None:
    with pytest.raises(sa.exc.IntegrityError, match=why), engine.begin() as connection:
        _lines(connection, merchants[0], "bad", lines)
        _entry(connection, merchants[0], "bad")
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(t.ledger_lines)).scalar() == 0


def test_an_entry_may_hold_several_currencies_each_balanced(engine: sa.Engine, merchants: tuple[int, int]) -> None:
    with engine.begin() as connection:
        _lines(connection, merchants[0], "two", [("a", 5, "EUR"), ("b", -5, "EUR"), ("c", 7, "JPY"), ("d", -7, "JPY")])
        _entry(connection, merchants[0], "two")


def test_lines_without_an_entry_are_refused_at_the_commit(engine: sa.Engine, merchants: tuple[int, int]) -> None:
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        _lines(connection, merchants[0], "orphan", _GOOD)
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(t.ledger_lines)).scalar() == 0


def test_a_written_entry_takes_no_further_lines(engine: sa.Engine, merchants: tuple[int, int], booked: str) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="complete once written"), engine.begin() as connection:
        _lines(connection, merchants[0], booked, [("a", 5, "EUR"), ("b", -5, "EUR")], first=2)


def test_lines_of_another_merchant_are_refused(engine: sa.Engine, merchants: tuple[int, int]) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="belong to its merchant"), engine.begin() as connection:
        _lines(connection, merchants[0], "mixed", _GOOD[:1])
        _lines(connection, merchants[1], "mixed", _GOOD[1:], first=1)
        _entry(connection, merchants[0], "mixed")


@pytest.mark.parametrize("table", [t.ledger_entries, t.ledger_lines], ids=lambda table: str(table.name))
def test_nothing_is_changed_or_deleted(
    engine: sa.Engine, merchants: tuple[int, int], booked: str, table: sa.Table
) -> None:
    for statement in (sa.delete(table), sa.update(table).values(merchant_id=merchants[1])):
        with pytest.raises(sa.exc.IntegrityError, match="append-only"), engine.begin() as connection:
            connection.execute(statement)


def test_a_line_slipped_in_by_a_second_transaction_is_refused(engine: sa.Engine, merchants: tuple[int, int]) -> None:
    """PostgreSQL lets two transactions write at once; the second sees no entry yet and must fail at its commit."""
    if engine.dialect.name == "sqlite":
        with engine.begin() as connection:
            _lines(connection, merchants[0], "raced", _GOOD)
            _entry(connection, merchants[0], "raced")
        with pytest.raises(sa.exc.IntegrityError), engine.begin() as late:
            _lines(late, merchants[0], "raced", [("a", 1, "EUR")], first=5)
        return
    with engine.connect() as late, late.begin() as transaction:
        _lines(late, merchants[0], "raced", [("a", 1, "EUR")], first=5)
        with engine.begin() as connection:
            _lines(connection, merchants[0], "raced", _GOOD)
            _entry(connection, merchants[0], "raced")
        with pytest.raises(sa.exc.IntegrityError, match="sum to zero"):
            transaction.commit()
