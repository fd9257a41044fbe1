"""The clock asks for readings and looks after payments, and asking twice changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from connector.db import tables as t
from connector.domain.work import Work
from connector.jobs import schedule
from connector.jobs.runner import run_due
from connector.wiring import Wiring
from tests.jobs.wired import START, Clock, add_connection, add_merchant, wired, work_states


@pytest.fixture
def clock() -> Clock:
    """A clock the test moves."""
    return Clock()


@pytest.fixture
def wiring(schema_url: str, clock: Clock) -> Iterator[Wiring]:
    """A wiring whose work is run by the test."""
    made = wired(schema_url, lambda connection, item, delay: None, clock)
    yield made
    made.database.engine.dispose()


def _an_hour(wiring: Wiring, clock: Clock) -> Counter[str]:
    """Let an hour of minutes pass; how often each piece of work was done."""
    done: Counter[str] = Counter()
    for _ in range(60):
        schedule.record(wiring.database, clock.now)
        run_due(wiring, {kind: lambda _, item: done.update([item.id]) for kind in Work})
        clock.forward(60)
    return done


def test_each_active_connection_is_read_as_often_as_its_system_allows(wiring: Wiring, clock: Clock) -> None:
    merchant = add_merchant(wiring)
    quickbooks, xero = add_connection(wiring, merchant, "quickbooks"), add_connection(wiring, merchant, "xero")
    for state in ("pending", "broken", "disconnected"):
        add_connection(wiring, merchant, "quickbooks", state)
    done = _an_hour(wiring, clock)
    renewals = {f"renew:{merchant}:{quickbooks}": 2, f"renew:{merchant}:{xero}": 2}
    assert done == {f"sync:{merchant}:{quickbooks}": 12, f"sync:{merchant}:{xero}": 4, **renewals}


def test_connections_do_not_all_read_in_the_same_minute(wiring: Wiring, clock: Clock) -> None:
    merchant = add_merchant(wiring)
    for _ in range(10):
        add_connection(wiring, merchant, "quickbooks")
    assert [schedule.record(wiring.database, START + timedelta(minutes=minute)) for minute in range(5)] == [2] * 5


def test_a_minute_done_twice_is_the_same_work(wiring: Wiring, clock: Clock) -> None:
    merchant = add_merchant(wiring)
    for _ in range(5):
        add_connection(wiring, merchant, "quickbooks")
    schedule.record(wiring.database, START)
    once = work_states(wiring)
    schedule.record(wiring.database, START)
    assert work_states(wiring) == once
    assert len(once) == 1


def test_abandoned_checkouts_and_payments_nobody_spoke_of_are_looked_after(wiring: Wiring, clock: Clock) -> None:
    merchant = add_merchant(wiring)
    connection_id = add_connection(wiring, merchant, "quickbooks", "broken")
    ages = {
        "old-checkout": ("checkout", 60),
        "old-intent": ("intended", 60),
        "new-checkout": ("checkout", 20),
        "old-processing": ("processing", 90),
        "new-processing": ("processing", 30),
        "settled": ("settled", 600),
    }
    with wiring.database.engine.begin() as connection:
        for name, (state, minutes) in ages.items():
            connection.execute(
                sa.insert(t.payments).values(
                    id=name,
                    merchant_id=merchant,
                    connection_id=connection_id,
                    customer="1",
                    amount=100,
                    currency="EUR",
                    gateway="sandbox",
                    state=state,
                    form_key=name,
                    receipt_hash=name.encode(),
                    sealed_receipt=b"",
                    created_at=START - timedelta(minutes=minutes),
                    expires_at=START,
                )
            )
    assert schedule.record(wiring.database, START) == 3
    assert set(work_states(wiring)) == {
        f"release:{merchant}:old-checkout",
        f"release:{merchant}:old-intent",
        f"reconcile:{merchant}:old-processing",
    }
    assert schedule.record(wiring.database, START + timedelta(minutes=1)) == 0
