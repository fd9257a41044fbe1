"""The books agree with a simple model after a few random walks; `make model` takes as many as anybody likes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.model.batch import run_batch
from tests.model.databases import KINDS, Fresh, postgresql_copies, sqlite_copies
from tests.model.mortal import Mortals

_EXAMPLES = 3
_STEPS = 25


@pytest.fixture(params=KINDS)
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Fresh:
    """Databases of each kind."""
    if request.param == "sqlite":
        return sqlite_copies(request.getfixturevalue("sqlite_template"), tmp_path)
    return postgresql_copies(request.getfixturevalue("postgres_server"), request.getfixturevalue("postgresql_template"))


@pytest.fixture
def mortals() -> Iterator[Mortals]:
    """Workers that die."""
    made = Mortals()
    yield made
    made.close()


def test_the_books_agree_with_a_simple_model(fresh: Fresh, mortals: Mortals) -> None:
    number = int(os.environ.get("MODEL_SEED", "20261122"))
    print(f"MODEL_SEED={number} walks this way again; MODEL_REPLAY=…, with what a failure prints, walks it alone.")
    counted: Counter[str] = Counter()
    blob = os.environ.get("MODEL_REPLAY", "")
    run_batch(fresh, mortals, counted, number=number, examples=_EXAMPLES, steps=_STEPS, blob=blob)
    assert blob or (counted["payments"] and counted["faults"]), counted
    assert counted["lost"] == counted["doubled"] == 0
