"""Workers on four machines, each with a host name, folder and clock of its own, agree by the database's clock."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

from connector.db import tables as t
from connector.db.clock import DatabaseClock, clock_micros, clock_of
from connector.db.engine import make_engine
from connector.db.executors import Executors
from connector.wiring import Wiring
from tests.jobs.wired import add_connection, add_merchant, wired, work_states
from tests.machines.quiet_worker import EACH
from tests.machines.started import FOUR, Machine, Start, machines

CONNECTIONS = 6


@pytest.fixture
def wiring(postgresql_address: str) -> Iterator[Wiring]:
    """What looks at the database from outside; it wakes nobody."""
    made = wired(postgresql_address, lambda connection, item, delay: None)
    yield made
    made.database.engine.dispose()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts machines."""
    with machines(tmp_path) as begin:
        yield begin


def _until(true: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"It did not happen in time: {what}."
        time.sleep(0.1)


def _done(running: list[Machine]) -> list[dict[str, Any]]:
    """What all machines wrote down."""
    lines = [line for machine in running for line in machine.log().splitlines() if line.startswith('{"id"')]
    # Readings come by the minute, and one may be due just now.
    return [done for line in lines if not (done := json.loads(line))["id"].startswith("sync:")]


def test_work_of_four_machines_is_done_once_and_in_time_though_their_clocks_are_wrong(
    wiring: Wiring, postgresql_address: str, start: Start
) -> None:
    merchant = add_merchant(wiring)
    for _ in range(CONNECTIONS):
        add_connection(wiring, merchant, "quickbooks")
    running = [start(*each, "tests.machines.quiet_worker", postgresql_address, str(merchant)) for each in FOUR]
    _until(lambda: all((machine.folder / "ready").exists() for machine in running), "all four work")
    # Each connection has its tasks by now; the sweeps of all four find the same ones due.
    _until(lambda: _planned(wiring) == CONNECTIONS, "the schedule is planned")
    due = datetime.fromtimestamp(_micros(wiring) / 1_000_000, UTC) - timedelta(seconds=1)
    renewals = sa.update(t.schedules).where(t.schedules.c.task == "token_refresh").values(next_at=due)
    with wiring.database.engine.begin() as connection:
        connection.execute(renewals)
    expected = len(FOUR) * EACH + CONNECTIONS
    _until(lambda: len(_done(running)) >= expected, "everything is done")
    # Long enough for a worker taken for dead, a second sweep or a second attempt to show.
    time.sleep(4)
    done = _done(running)
    times = Counter(line["id"] for line in done)
    assert len(times) == expected
    assert {identity: number for identity, number in times.items() if number != 1} == {}
    assert sum(identity.startswith("renew:") for identity in times) == CONNECTIONS
    early = {
        line["id"]: line["due"] - line["at"] for line in done if line["due"] and line["at"] < line["due"] - 200_000
    }
    assert early == {}
    # Had anything waited for another machine's clock, it would have come half a minute late at least.
    late = {
        line["id"]: line["at"] - line["due"] for line in done if line["due"] and line["at"] > line["due"] + 25_000_000
    }
    assert late == {}
    assert not any("worker died" in machine.log() or "begun anew" in machine.log() for machine in running)
    names = sorted(name.rpartition("-")[0] for name in Executors(wiring.database.engine).silent_for(-3600))
    assert names == sorted(name for name, _ in FOUR)
    assert set(work_states(wiring).values()) == {"done"}


def _micros(wiring: Wiring) -> int:
    with wiring.database.engine.connect() as connection:
        return clock_micros(connection)


def _planned(wiring: Wiring) -> int:
    counted = sa.select(sa.func.count()).select_from(t.schedules).where(t.schedules.c.task == "token_refresh")
    with wiring.database.engine.connect() as connection:
        return int(connection.execute(counted).scalar_one())


def test_a_machines_own_time_changes_nothing_of_the_databases_clock(postgresql_url: str) -> None:
    engine = make_engine(postgresql_url)
    clock = clock_of(engine)
    assert isinstance(clock, DatabaseClock)
    for hours in (5, -5, 0):
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours), tick=True):
            time.sleep(1.05)  # the database is asked once a second at most
            with engine.connect() as connection:
                database = clock_micros(connection)
            assert abs(clock().timestamp() - database / 1_000_000) < 1.0
    engine.dispose()


def test_time_goes_on_while_the_database_cannot_be_asked(postgresql_url: str) -> None:
    engine = make_engine(postgresql_url)
    clock = clock_of(engine)
    before = clock()
    engine.dispose()
    away = DatabaseClock(make_engine("postgresql://nobody@/nowhere?host=/nonexistent"))
    assert abs((away() - datetime.now(UTC)).total_seconds()) < 5
    assert clock() > before
    engine.dispose()


def test_a_file_has_the_clock_of_its_machine(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    with time_machine.travel(datetime(2031, 5, 1, tzinfo=UTC), tick=False):
        assert clock_of(engine)() == datetime(2031, 5, 1, tzinfo=UTC)
    engine.dispose()
