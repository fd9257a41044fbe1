"""Doors that can be knocked at by anybody, with the product's own limiter."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from connector.db.limits import SqlLimiter
from connector.errors import TooMany
from connector.web import foundation, limits
from tests.portal.shop import open_shop


@pytest.fixture
def application(schema_url: str) -> Iterator[Flask]:
    """An application whose limiter counts in the database."""
    shop = open_shop(schema_url)
    app = Flask("pages", static_folder=None, template_folder=None)
    foundation.install(app, replace(shop.wiring, limiter=SqlLimiter(shop.wiring.database.engine)))
    yield app
    shop.wiring.database.engine.dispose()


def _tries(door: str, who: str, number: int, *, limit: int, period: float) -> list[int]:
    """For each try the seconds somebody is asked to wait; 0: let in."""
    waits = []
    for _ in range(number):
        try:
            limits.hold(door, who, limit=limit, period=period)
            waits.append(0)
        except TooMany as stopped:
            waits.append(stopped.retry_after or -1)
    return waits


def test_so_many_are_let_in_at_once_and_the_next_waits_for_its_share_of_the_period(application: Flask) -> None:
    with application.test_request_context():
        waits = _tries("pay", "an office", 31, limit=30, period=600)
        assert waits[:30] == [0] * 30 and 10 <= waits[30] <= 20
        assert _tries("pay", "another office", 1, limit=30, period=600) == [0]


def test_as_many_come_in_again_over_a_period(application: Flask) -> None:
    with application.test_request_context():
        assert _tries("pay", "an office", 5, limit=4, period=4) == [0, 0, 0, 0, 1]
        time.sleep(2.1)
        assert _tries("pay", "an office", 2, limit=4, period=4) == [0, 0]
