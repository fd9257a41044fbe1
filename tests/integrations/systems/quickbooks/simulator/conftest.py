"""A simulator for a test, and one shared by tests that only read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integrations.systems.quickbooks.simulator.driving import Running, running


@pytest.fixture
def run() -> Iterator[Running]:
    """A fresh simulator."""
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def seeded() -> Iterator[Running]:
    """A simulator for tests that change nothing."""
    with running() as started:
        yield started
