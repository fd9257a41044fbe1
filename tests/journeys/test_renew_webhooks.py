"""A subscription to webhooks that runs out is made at once, renewed in time, and made again when its access is back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from connector.contract import Access, Disconnected, TryAgain
from connector.db import tables as t
from connector.jobs import schedule
from connector.jobs.handlers import TABLE
from connector.jobs.runner import run_due
from connector.manifest import Manifest, WebhookScheme
from connector.reading.schedules import Scheduled, of_connection
from connector.wiring import Wiring
from tests.jobs.wired import START, Clock, add_connection, add_merchant, wired

LASTS = 3 * 86_400.0


MANIFEST = Manifest(
    name="subscribing",
    title="Subscribing",
    role="system",
    auth="none",
    endpoints={},
    webhooks=WebhookScheme("x", 3.0, lasts=LASTS),
)


@dataclass
class Subscribing:
    """A system whose subscriptions last three days; it answers as the test says."""

    clock: Clock
    asked: list[tuple[str, str]] = field(default_factory=list)
    failure: Exception | None = None
    manifest: Manifest = MANIFEST

    def renew_webhooks(self, access: Access, address: str) -> datetime:
        """Subscribe, or renew."""
        assert access.background
        self.asked.append((access.connection, address))
        if self.failure is not None:
            raise self.failure
        return self.clock.now + timedelta(seconds=LASTS)


@dataclass
class Place:
    """A connection of the subscribing system."""

    wiring: Wiring
    system: Subscribing
    merchant: int
    connection: int

    def task(self) -> Scheduled:
        """How the renewal stands."""
        (found,) = [
            one for one in of_connection(self.wiring, self.merchant, self.connection) if one.task == "webhook_renewal"
        ]
        return found

    def forward(self, **span: float) -> int:
        """Let time pass, and do what is due then; how often the system was asked."""
        before = len(self.system.asked)
        self.system.clock.now += timedelta(**span)
        schedule.record(self.wiring.database, self.system.clock.now, self.wiring.systems)
        only = {kind: (handler if kind == "subscribe" else lambda *_: None) for kind, handler in TABLE.items()}
        run_due(self.wiring, only)
        return len(self.system.asked) - before


@pytest.fixture
def place(schema_url: str) -> Iterator[Place]:
    """One active connection, nothing planned yet."""
    clock = Clock()
    system = Subscribing(clock)
    systems: dict[str, Any] = {"subscribing": system}
    made = replace(wired(schema_url, lambda connection, item, delay: None, clock), systems=systems)
    merchant = add_merchant(made)
    yield Place(made, system, merchant, add_connection(made, merchant, "subscribing"))
    made.database.engine.dispose()


def test_it_is_made_at_once_and_renewed_before_it_runs_out(place: Place) -> None:
    assert place.forward() == 1
    assert place.system.asked == [(str(place.connection), "http://127.0.0.1:8000/webhooks/subscribing")]
    task = place.task()
    assert task.state == "on" and "until 2026-03-05 09:30 UTC" in task.outcome
    assert task.next_at == START + timedelta(seconds=LASTS * 0.8)
    assert place.forward(days=2) == 0
    assert place.forward(hours=12) == 1


def test_one_that_was_not_answered_is_tried_again(place: Place) -> None:
    place.system.failure = TryAgain("Not now.", after=600.0)
    assert place.forward() == 1
    assert place.task().outcome == "Waiting: Not now."
    place.system.failure = None
    assert place.forward(minutes=11) == 1
    assert "until" in place.task().outcome


def test_an_access_that_has_ended_is_said_and_armed_again_afterwards(place: Place) -> None:
    place.system.failure = Disconnected("Withdrawn there.")
    place.forward()
    assert place.task().state == "paused" and "Withdrawn there." in place.task().outcome
    assert place.forward(days=1) == 0
    with place.wiring.database.engine.begin() as connection:
        connection.execute(sa.update(t.connections).values(state="active"))
    place.system.failure = None
    assert place.forward(minutes=1) == 1 and "until" in place.task().outcome
