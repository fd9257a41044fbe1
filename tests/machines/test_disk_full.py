"""SQLite without room: what was accepted is done once there is room again, and whoever asks for more is told."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from connector.db.work import WorkItem
from connector.domain.work import Work
from connector.jobs.engine import Dispatcher, Engine
from connector.wiring import Wiring
from tests.jobs.wired import add_merchant, wired, work_states
from tests.jobs.worker_process import FAST

PAYLOAD = {"note": "x" * 3000}


class Disk:
    """How large the file may become: `full()` leaves two pages, `room()` as many as anybody wants."""

    def __init__(self, *engines: sa.Engine) -> None:
        self._engines = engines
        self._most = 0
        for engine in engines:
            event.listen(engine, "connect", self._limit)

    def full(self) -> None:
        """No room from now on, for connections in use as soon as they come back."""
        with self._engines[0].connect().execution_options(read_only=True) as connection:
            self._most = connection.execute(sa.text("PRAGMA page_count")).scalar_one() + 2
        self._renew()

    def room(self) -> None:
        """The disk has been made larger."""
        self._most = 0
        self._renew()

    def _renew(self) -> None:
        for engine in self._engines:
            engine.dispose()

    def _limit(self, driver: Any, _: Any) -> None:
        if self._most:
            driver.execute(f"PRAGMA max_page_count = {self._most}").fetchall()


@pytest.fixture
def dispatch(sqlite_address: str) -> Iterator[Dispatcher]:
    """What wakes the engine."""
    made = Dispatcher(sqlite_address)
    yield made
    made.close()


@pytest.fixture
def wiring(sqlite_address: str, dispatch: Dispatcher) -> Iterator[Wiring]:
    """A wiring on a file."""
    made = wired(sqlite_address, dispatch)
    yield made
    made.database.engine.dispose()


def _until(true: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"It did not happen in time: {what}."
        time.sleep(0.1)


def test_a_full_disk_is_told_and_nothing_accepted_is_lost(wiring: Wiring, dispatch: Dispatcher) -> None:
    merchant, disk = add_merchant(wiring), Disk(wiring.database.engine, dispatch.engine)
    begun, go = Counter[str](), threading.Event()

    def work(wiring: Wiring, item: WorkItem) -> None:
        begun[item.id] += 1
        # Those under way when the disk fills up end while it is full.
        go.wait(60)
        with wiring.database.unit_of_work(item.merchant_id) as uow:
            uow.work.add(Work.MAIL, f"after-{item.id.rpartition(':')[2]}", partition="mail", payload=PAYLOAD)

    def mail(wiring: Wiring, item: WorkItem) -> None:
        begun[item.id] += 1

    engine = Engine(wiring, {Work.WRITE_BACK: work, Work.MAIL: mail}, FAST)
    disk._engines = (wiring.database.engine, dispatch.engine)
    engine.start()
    event.listen(engine._rows.engine, "connect", disk._limit)
    disk._engines = (*disk._engines, engine._rows.engine)
    accepted: list[str] = []
    try:
        for number in range(4):
            _add(wiring, merchant, number)
            accepted.append(f"write_back:{merchant}:{number}")
        _until(lambda: len(begun) == 4, "the first four are under way")
        disk.full()
        with pytest.raises(sa.exc.OperationalError, match="full"):
            for number in range(4, 400):
                _add(wiring, merchant, number)
                accepted.append(f"write_back:{merchant}:{number}")
        go.set()
        # They cannot write down what they did.
        time.sleep(1.5)
        assert engine.housekeeper.running
        disk.room()
        _until(lambda: set(work_states(wiring).values()) == {"done"}, "everything is done")
    finally:
        go.set()
        engine.stop()
    states = work_states(wiring)
    assert set(accepted) <= set(states)
    assert {identity for identity in states if identity.startswith("write_back")} == set(accepted)
    assert sum(identity.startswith("mail") for identity in states) == len(accepted)


def _add(wiring: Wiring, merchant: int, number: int) -> None:
    with wiring.database.unit_of_work(merchant) as uow:
        uow.work.add(Work.WRITE_BACK, str(number), partition=str(number), payload=PAYLOAD)
