"""One merchant's endless import never keeps another's payment from being written back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from connector.contract import TryAgain
from connector.db.work import WorkItem
from connector.domain.work import Work
from connector.jobs.engine import Dispatcher, Engine
from connector.jobs.housekeeping import Pace
from connector.wiring import Wiring
from tests.jobs.wired import add_merchant, wired
from tests.machines.started import EVERY

PACE = Pace(poll=0.05, stop_within=30.0)
PARTITIONS, EACH, TURN = 30, 8, 1.0


@pytest.fixture
def dispatch(address: str) -> Iterator[Dispatcher]:
    """What wakes the engine."""
    made = Dispatcher(address)
    yield made
    made.close()


@pytest.mark.parametrize("own_kind", [True, False] if EVERY else [True])
def test_a_write_back_is_done_within_seconds_while_another_merchant_imports(
    address: str, dispatch: Dispatcher, own_kind: bool, record_property: Callable[[str, object], None]
) -> None:
    wiring = wired(address, dispatch)
    big, small = add_merchant(wiring, "big"), add_merchant(wiring, "small")
    written, over, turns = threading.Event(), threading.Event(), threading.Semaphore(0)

    def take_a_turn(wiring: Wiring, item: WorkItem) -> None:
        # As a long import does: some of it, then "more to do".
        turns.release()
        over.wait(TURN)
        if not over.is_set():
            raise TryAgain("There is more to read.", 0.0)

    def write_back(wiring: Wiring, item: WorkItem) -> None:
        if item.merchant == small:
            written.set()
        else:
            over.wait(TURN)

    # An import of 100,000 invoices is one row that comes again; a merchant of many connections has many. In its own
    # kind the other merchant has a backlog in one connection.
    with wiring.database.unit_of_work(big) as uow:
        for number in range(PARTITIONS):
            uow.work.add(Work.SYNC, str(number), partition=str(number))
        if own_kind:
            for number in range(PARTITIONS * EACH):
                uow.work.add(Work.WRITE_BACK, str(number), partition="0")
    engine = Engine(wiring, {Work.SYNC: take_a_turn, Work.WRITE_BACK: write_back}, PACE)
    engine.start()
    try:
        for _ in range(PACE.threads):
            assert turns.acquire(timeout=60), "the imports did not begin"
        began = time.monotonic()
        with wiring.database.unit_of_work(small) as uow:
            uow.work.add(Work.WRITE_BACK, "payment", partition="small")
        assert written.wait(60), "the write-back was kept waiting"
        took = time.monotonic() - began
    finally:
        over.set()
        engine.stop()
        wiring.database.engine.dispose()
    record_property("seconds", round(took, 3))
    print(f"\na write-back {'behind its own kind' if own_kind else 'behind imports'}: {took:.2f} s")
    # Behind the backlog it would have waited a minute.
    assert took < 15
