"""What is told of the processes that died."""

from __future__ import annotations

from tests.faults.summary import SEED, summary


def test_deaths_are_counted_for_each_database_with_the_seed() -> None:
    notes = [("a[sqlite-x]", "3 1.5"), ("b[sqlite]", "2 0.25"), ("a[postgresql-x]", "7 2.0")]
    assert summary(notes) == [
        f"faults on sqlite: seed {SEED}, 5 processes killed in 2 tests, 2 seconds",
        f"faults on postgresql: seed {SEED}, 7 processes killed in 1 tests, 2 seconds",
    ]


def test_without_deaths_nothing_is_told() -> None:
    assert summary([]) == []
