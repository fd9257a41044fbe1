"""A shop on a database of each kind, with a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from connector.db.unit_of_work import Database
from tests.journeys.standing import Standing
from tests.portal.shop import NOW, open_shop


@pytest.fixture
def standing(database_url: str) -> Iterator[Standing]:
    """The merchant with its small system and gateway; runs on SQLite and on PostgreSQL."""
    shop = open_shop(database_url)
    ahead: list[timedelta] = [timedelta()]

    def clock() -> object:
        return NOW + ahead[0]

    database = Database(shop.wiring.database.engine, shop.wiring.database.vault, clock, lambda *_: None)  # type: ignore[arg-type]
    shop.wiring = replace(shop.wiring, database=database, clock=clock)  # type: ignore[arg-type]
    yield Standing(shop, ahead)
    shop.wiring.database.engine.dispose()
