"""Tests that share something costly stay in one process."""

from __future__ import annotations

import pytest

from tests.together import piece_of


@pytest.mark.parametrize(
    ("name", "piece"),
    [
        ("tests/browser/test_main_walk.py::test_it", "tests/browser/"),
        ("tests/faults/test_kills.py::test_it[sqlite-xero-mail]", "tests/faults/test_kills.py sqlite"),
        ("tests/faults/test_kills.py::test_it[postgresql]", "tests/faults/test_kills.py postgresql"),
        ("tests/db/test_work.py::test_it[sqlite]", "tests/db/test_work.py::test_it[sqlite]"),
    ],
)
def test_the_piece_a_test_belongs_to(name: str, piece: str) -> None:
    assert piece_of(name) == piece


def test_pytest_hands_them_out_so(pytestconfig: pytest.Config) -> None:
    made = pytestconfig.hook.pytest_xdist_make_scheduler.get_hookimpls()
    assert any(found.plugin_name.endswith("tests/conftest.py") for found in made), made
