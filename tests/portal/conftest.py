"""A shop on a database of each kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.portal.shop import Shop, open_shop


@pytest.fixture
def shop(database_url: str) -> Iterator[Shop]:
    """The merchant's pages; runs on SQLite and on PostgreSQL."""
    opened = open_shop(database_url)
    yield opened
    opened.wiring.database.engine.dispose()


@pytest.fixture
def small_shop(sqlite_url: str) -> Iterator[Shop]:
    """The same on SQLite alone, where the database makes no difference."""
    opened = open_shop(sqlite_url)
    yield opened
    opened.wiring.database.engine.dispose()
