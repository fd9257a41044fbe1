"""A worker with nothing outside that writes down what it does and when, by the database's clock.

Run by `tests.machines.machine`. It asks for some work due a little later, then works until SIGTERM; every attempt is a
line of JSON on its output, and the file `ready` appears once it works.
"""

from __future__ import annotations

import json
import platform
import signal
import sys
import threading
from pathlib import Path

import structlog

from connector.db.clock import clock_micros, clock_of
from connector.db.work import WorkItem
from connector.domain.work import Work
from connector.jobs.engine import Dispatcher, Engine
from connector.jobs.housekeeping import Pace
from connector.wiring import Wiring
from tests.jobs.wired import wired

PACE = Pace(poll=0.05, beat=0.5, dead_after=6.0, sweep=1.0, lost_after=30.0, stop_within=5.0, threads=4)
DELAY = 1.5
EACH = 8


def micros(wiring: Wiring) -> int:
    """The database's time."""
    with wiring.database.engine.connect() as connection:
        return clock_micros(connection)


def main(address: str, merchant: str) -> None:
    """Ask for work, then work until told to stop."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stdout))
    dispatch = Dispatcher(address)
    wiring = wired(address, dispatch, clock_of(dispatch.engine))

    def write_down(wiring: Wiring, item: WorkItem) -> None:
        line = {"id": item.id, "attempt": item.attempt, "at": micros(wiring), "due": item.payload.get("due")}
        print("\n" + json.dumps(line), flush=True)

    engine = Engine(wiring, {kind: write_down for kind in Work}, PACE)
    assert engine.executor.startswith(platform.node())
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    engine.start()
    for number in range(EACH):
        kind = Work.WRITE_BACK if number % 2 else Work.INJECT
        with wiring.database.unit_of_work(int(merchant)) as uow:
            payload = {"due": micros(wiring) + int(DELAY * 1_000_000)}
            uow.work.add(kind, f"{platform.node()}-{number}", partition="p", payload=payload, delay=DELAY)
    Path("ready").touch()
    stop.wait()
    engine.stop()
    dispatch.close()
    wiring.database.engine.dispose()
