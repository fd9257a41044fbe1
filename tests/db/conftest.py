"""Engines on databases with the product's tables, and rows to begin with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from connector.db import tables as t
from connector.db.engine import make_engine

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def engine(schema_url: str) -> Iterator[sa.Engine]:
    """An engine on it."""
    made = make_engine(schema_url)
    yield made
    made.dispose()


@pytest.fixture
def merchants(engine: sa.Engine) -> tuple[int, int]:
    """Two merchants."""
    with engine.begin() as connection:
        ids = [
            connection.execute(
                sa.insert(t.merchants).values(slug=slug, created_at=NOW).returning(t.merchants.c.id)
            ).scalar_one()
            for slug in ("north", "south")
        ]
    return ids[0], ids[1]


@pytest.fixture
def connection_id(engine: sa.Engine, merchants: tuple[int, int]) -> int:
    """A connection of the first merchant."""
    with engine.begin() as connection:
        made: int = connection.execute(
            sa.insert(t.connections)
            .values(
                merchant_id=merchants[0], system="quickbooks", tenant="9130", extra={}, state="active", created_at=NOW
            )
            .returning(t.connections.c.id)
        ).scalar_one()
    return made
