"""Dead workers are noticed once, and housekeeping outlives its own failures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from connector.db import tables as t
from connector.db.executors import Executors
from connector.db.work import WorkItem
from connector.domain.work import Work
from connector.jobs.housekeeping import Housekeeper, Pace
from connector.jobs.runner import run_due
from connector.wiring import Wiring
from tests.jobs.wired import START, Clock, add_connection, add_merchant, wired, work_states

_QUICK = Pace(beat=0.05, dead_after=0.3, sweep=0.1, lost_after=300.0)


class Rows:
    """The engine's rows as a test wants them."""

    def __init__(self) -> None:
        self.adopted: list[str] = []
        self.refusals = 0
        self.forgotten_before: list[datetime] = []
        self.lose_all = False
        self.nobodys: set[str] = set()
        self.released: list[str] = []

    def adopt(self, executor: str) -> int:
        """Remember whose work was taken over; fail as often as the test wants."""
        if self.refusals:
            self.refusals -= 1
            raise ConnectionError("The database is away.")
        self.adopted.append(executor)
        return 1

    def unattended(self, executor: str) -> set[str]:
        """What the test says."""
        return self.nobodys

    def release(self, attempts: Collection[str]) -> None:
        """Remember what was given back."""
        self.released += attempts
        self.nobodys -= set(attempts)

    def lost(self, items: Sequence[WorkItem]) -> list[WorkItem]:
        """All or none."""
        return list(items) if self.lose_all else []

    def forget_finished(self, before: datetime) -> int:
        """Remember what was asked."""
        self.forgotten_before.append(before)
        return 0


@pytest.fixture
def clock() -> Clock:
    """A clock the test moves."""
    return Clock()


@pytest.fixture
def rows() -> Rows:
    """The engine's rows."""
    return Rows()


@pytest.fixture
def wiring(schema_url: str, clock: Clock) -> Iterator[Wiring]:
    """A wiring whose work is run by the test."""
    made = wired(schema_url, lambda connection, item, delay: None, clock)
    yield made
    made.database.engine.dispose()


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not true():
        assert time.monotonic() < end, "It did not happen in time."
        time.sleep(0.02)


def test_a_dead_worker_is_adopted_by_exactly_one_of_the_living(wiring: Wiring, rows: Rows) -> None:
    Executors(wiring.database.engine).beat("dead")
    time.sleep(0.4)
    keepers = [Housekeeper(wiring, rows, f"living-{number}", _QUICK) for number in range(3)]
    for keeper in keepers:
        keeper.begin()
    _until(lambda: "dead" in rows.adopted)
    time.sleep(0.5)
    assert rows.adopted == ["dead"]
    for keeper in keepers:
        keeper.end()
    assert sorted(rows.adopted) == ["dead", "living-0", "living-1", "living-2"]
    assert Executors(wiring.database.engine).silent_for(-60) == {}


def test_what_a_living_worker_claimed_and_does_not_do_is_given_back_once(wiring: Wiring, rows: Rows) -> None:
    rows.nobodys = {"mail:1:x:1"}
    keeper = Housekeeper(wiring, rows, "living", _QUICK)
    keeper.begin()
    _until(lambda: bool(rows.released))
    time.sleep(0.3)
    keeper.end()
    assert rows.released == ["mail:1:x:1"]


def test_an_adoption_that_failed_is_tried_again(wiring: Wiring, rows: Rows) -> None:
    executors = Executors(wiring.database.engine)
    executors.beat("dead")
    time.sleep(0.4)
    rows.refusals = 2
    keeper = Housekeeper(wiring, rows, "living", _QUICK)
    keeper.begin()
    _until(lambda: rows.adopted == ["dead"])
    assert keeper.running
    keeper.end()


def test_the_sweep_records_what_is_due_and_forgets_what_is_old(wiring: Wiring, rows: Rows, clock: Clock) -> None:
    merchant = add_merchant(wiring)
    with wiring.database.unit_of_work(merchant) as uow:
        uow.work.add(Work.MAIL, "old", partition="mail")
    run_due(wiring, {Work.MAIL: lambda wiring, item: None})
    for _ in range(5):
        add_connection(wiring, merchant, "quickbooks")
    clock.forward(14 * 86_400 + 60)
    keeper = Housekeeper(wiring, rows, "living", _QUICK)
    keeper.begin()
    _until(lambda: bool(rows.forgotten_before) and f"mail:{merchant}:old" not in work_states(wiring))
    keeper.end()
    assert [identity for identity in work_states(wiring) if identity.startswith("sync:")]
    assert rows.forgotten_before == [clock.now - timedelta(days=3)]


def test_only_work_overdue_for_long_and_unknown_to_the_engine_is_begun_anew(
    wiring: Wiring, rows: Rows, clock: Clock
) -> None:
    merchant = add_merchant(wiring)
    with wiring.database.unit_of_work(merchant) as uow:
        uow.work.add(Work.MAIL, "7", partition="mail")
    keeper = Housekeeper(wiring, rows, "living", _QUICK)
    rows.lose_all = True
    clock.forward(200)
    assert keeper.sweep_now() == 0
    clock.forward(200)
    rows.lose_all = False
    assert keeper.sweep_now() == 0
    rows.lose_all = True
    assert keeper.sweep_now() == 1
    with wiring.database.view(merchant) as view:
        row = view.work.find(Work.MAIL, "7")
    assert row is not None
    assert (row.state, row.item.attempt, row.next_at) == ("pending", 2, START + timedelta(seconds=400))


def test_nothing_waits_for_a_moment_that_has_been_after_the_clock_was_set_back(
    wiring: Wiring, rows: Rows, clock: Clock
) -> None:
    """Whoever beats next finds that workers were seen, calls sent and work put off later than it is now."""
    merchant = add_merchant(wiring)
    with wiring.database.unit_of_work(merchant) as uow:
        uow.work.add(Work.MAIL, "later", partition="mail", delay=60)
        uow.work.add(Work.WRITE_BACK, "sent", partition="p")
    hours = timedelta(hours=3)
    with wiring.database.engine.begin() as connection:
        connection.execute(sa.update(t.work).where(t.work.c.kind == "write_back").values(sent_at=START + hours))
    executors = Executors(wiring.database.engine)
    executors.beat("other")
    with wiring.database.engine.begin() as connection:
        connection.execute(sa.update(t.executors).values(seen=t.executors.c.seen + int(hours.total_seconds()) * 10**6))
    keeper = Housekeeper(wiring, rows, "living", _QUICK)
    keeper.begin()
    keeper.end()
    with wiring.database.view(merchant) as view:
        later, sent = view.work.find(Work.MAIL, "later"), view.work.find(Work.WRITE_BACK, "sent")
    assert later is not None and (later.state, later.item.attempt, later.next_at) == ("pending", 2, START)
    assert sent is not None and (sent.item.attempt, sent.item.sent_at) == (1, START), "what was due was left alone"
    assert "other" not in rows.adopted, "nobody is taken for dead"


def test_a_long_sweep_does_not_stop_the_heartbeat(wiring: Wiring, rows: Rows) -> None:
    let_go = threading.Event()

    class Slow(Rows):
        def forget_finished(self, before: datetime) -> int:
            super().forget_finished(before)
            let_go.wait(10)
            return 0

    slow = Slow()
    keeper = Housekeeper(wiring, slow, "busy", _QUICK)
    keeper.begin()
    _until(lambda: bool(slow.forgotten_before))
    time.sleep(2 * _QUICK.dead_after)
    assert Executors(wiring.database.engine).silent_for(_QUICK.dead_after) == {}
    let_go.set()
    keeper.end()


def test_one_of_several_gets_a_task_and_it_comes_round_again(wiring: Wiring) -> None:
    executors = Executors(wiring.database.engine)
    winners: list[str] = []

    def ask(name: str) -> None:
        if executors.only_one("sweep", name, 0.3):
            winners.append(name)

    threads = [threading.Thread(target=ask, args=(str(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1
    time.sleep(0.35)
    assert executors.only_one("sweep", "late", 0.3)
