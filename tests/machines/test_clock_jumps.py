"""The machine's clock is set by hours: nothing is lost, nothing held for ever, no code honoured beyond its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from connector.db.codes import LIFETIME_MINUTES, CodeFor
from connector.db.executors import Executors
from connector.db.limits import SqlLimiter
from connector.db.work import WorkItem
from connector.domain.work import Work
from connector.jobs.engine import Dispatcher, Engine
from connector.jobs.housekeeping import Housekeeper
from connector.wiring import Wiring
from tests.jobs.wired import add_merchant, wired
from tests.jobs.worker_process import FAST

HOURS = 3 * 3600.0


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The machine's clock, to be set; its steady counter goes on."""
    with time_machine.travel(datetime.now(UTC), tick=True) as traveller:
        yield traveller


@pytest.fixture
def wiring(sqlite_address: str) -> Iterator[Wiring]:
    """On a file the machine's clock is the database's."""
    dispatch = Dispatcher(sqlite_address)
    made = wired(sqlite_address, dispatch)
    yield made
    dispatch.close()
    made.database.engine.dispose()


def _until(true: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"It did not happen in time: {what}."
        time.sleep(0.05)


@pytest.mark.parametrize("seconds", [HOURS, -HOURS], ids=["forward", "back"])
def test_work_goes_on_and_nobody_is_taken_for_dead(
    wiring: Wiring, clock: time_machine.Traveller, seconds: float
) -> None:
    merchant, done, release = add_merchant(wiring), dict[str, int](), threading.Event()

    def work(wiring: Wiring, item: WorkItem) -> None:
        if item.id.endswith("running"):
            release.wait(60)
        done[item.id] = done.get(item.id, 0) + 1

    engine = Engine(wiring, dict.fromkeys(Work, work), FAST)
    engine.start()
    other = Housekeeper(wiring, engine._rows, "another", FAST)
    other.begin()
    try:
        with wiring.database.unit_of_work(merchant) as uow:
            uow.work.add(Work.WRITE_BACK, "running", partition="p")
            uow.work.add(Work.WRITE_BACK, "later", partition="p", delay=2.0)
        time.sleep(0.5)
        clock.shift(timedelta(seconds=seconds))
        _until(lambda: any(identity.endswith("later") for identity in done), "what was to come in two seconds came")
        with wiring.database.unit_of_work(merchant) as uow:
            uow.work.add(Work.WRITE_BACK, "after", partition="p", delay=0.3)
        _until(lambda: any(identity.endswith("after") for identity in done), "delays go by the new time")
        time.sleep(FAST.dead_after + 4 * FAST.beat)
        alive = set(Executors(wiring.database.engine).silent_for(-HOURS))
        assert alive == {engine.executor, "another"}
    finally:
        release.set()
        other.end()
        engine.stop()
    assert all(identity.startswith("write_back") or identity.startswith("sync") for identity in done)


def test_nothing_taken_before_the_clock_was_set_back_is_held_for_ever(
    wiring: Wiring, clock: time_machine.Traveller
) -> None:
    limiter, executors = SqlLimiter(wiring.database.engine), Executors(wiring.database.engine)
    assert executors.only_one("sweep", "amber", 54.0)
    assert limiter.enter("calls", 1, "amber", 65.0)
    while limiter.reserve("pace", limit=60, period=60.0, burst=5) == 0.0:
        pass
    while limiter.spend("minute", limit=5, period=60.0) == 0.0:
        pass
    assert not executors.only_one("sweep", "birch", 54.0)
    assert not limiter.enter("calls", 1, "birch", 65.0)
    clock.shift(timedelta(seconds=-HOURS))
    assert executors.only_one("sweep", "birch", 54.0)
    assert limiter.enter("calls", 1, "birch", 65.0)
    assert limiter.reserve("pace", limit=60, period=60.0, burst=5) == 0.0
    assert limiter.spend("minute", limit=5, period=60.0) == 0.0


def test_a_code_is_not_honoured_longer_because_the_clock_was_set_back(
    wiring: Wiring, clock: time_machine.Traveller
) -> None:
    merchant, what = add_merchant(wiring), CodeFor("portal", 1, "customer", "", "them@example.com")

    def issue() -> tuple[str, str]:
        with wiring.database.unit_of_work(merchant) as uow:
            return uow.codes.issue(what)

    def redeem(code: tuple[str, str]) -> CodeFor | None:
        with wiring.database.unit_of_work(merchant) as uow:
            return uow.codes.attempt(*code)

    assert redeem(issue()) == what
    before = issue()
    clock.shift(timedelta(seconds=-HOURS))
    assert redeem(before) is None
    assert redeem(issue()) == what
    late = issue()
    clock.shift(timedelta(minutes=LIFETIME_MINUTES, seconds=1))
    assert redeem(late) is None
