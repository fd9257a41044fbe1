"""A signed-up merchant on a database of each kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dashboard.firm import Firm, Product, open_product, sign_up


@pytest.fixture
def product(schema_url: str) -> Iterator[Product]:
    """An installation; runs on SQLite and on PostgreSQL."""
    opened = open_product(schema_url)
    yield opened
    opened.wiring.database.engine.dispose()


@pytest.fixture
def small_product(sqlite_schema_url: str) -> Iterator[Product]:
    """The same on SQLite alone, where the database makes no difference."""
    opened = open_product(sqlite_schema_url)
    yield opened
    opened.wiring.database.engine.dispose()


@pytest.fixture
def firm(product: Product) -> Firm:
    """A merchant, signed in."""
    return sign_up(product)


@pytest.fixture
def small_firm(small_product: Product) -> Firm:
    """A merchant, signed in, on SQLite."""
    return sign_up(small_product)
