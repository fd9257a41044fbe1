"""PostgreSQL killed and started again, connections cut: work goes on, nothing is lost, nothing is doubled."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from connector.domain.work import Work
from connector.jobs.engine import Dispatcher, prepare_database
from connector.wiring import Wiring
from tests.jobs.test_chaos import Upstream
from tests.jobs.wired import add_merchant, wired, work_states
from tests.machines.restartable import Restartable, restartable
from tests.machines.started import EVERY
from tests.postgres_server import embedded_binaries

SECONDS = 5.0


@pytest.fixture
def postgres() -> Iterator[Restartable]:
    """A server that may be killed."""
    if embedded_binaries() is None:
        pytest.skip("No embedded PostgreSQL for this system, and one that is not ours is not killed.")
    with restartable() as server:
        yield server


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """Books every POST, and drops one answer in six after booking."""
    server = Upstream()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _ask(wiring: Wiring, merchant: int, number: int) -> int:
    """Record one piece of work, again until it stands; how often the database was away."""
    away = 0
    while True:
        try:
            with wiring.database.unit_of_work(merchant) as uow:
                uow.work.add(Work.WRITE_BACK, f"payment-{number}", partition=str(number % 7))
            return away
        except sa.exc.OperationalError:
            away += 1
            assert away < 600
            time.sleep(0.1)


@pytest.mark.parametrize("fault", ["killed", "connections cut"] if EVERY else ["killed"])
def test_work_goes_on_after_the_database_was_gone(postgres: Restartable, upstream: Upstream, fault: str) -> None:
    address = postgres.server.create_database()
    prepare_database(address)
    dispatch = Dispatcher(address)
    wiring = wired(address, dispatch)
    merchant = add_merchant(wiring)
    port = upstream.server_address[1]
    program = [sys.executable, "-m", "tests.jobs.chaos_worker", address, f"http://127.0.0.1:{port}"]
    workers = [subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    strikes = 0

    def strike() -> int:
        if fault == "connections cut":
            return postgres.drop_connections(address)
        postgres.kill()
        time.sleep(0.5)
        postgres.start()
        return 1

    asked, away = 1, _ask(wiring, merchant, 0)
    try:
        _until(lambda: bool(upstream.booked), "the workers work")
        end = time.monotonic() + SECONDS
        next_strike = time.monotonic() + 1.5
        while time.monotonic() < end:
            away += _ask(wiring, merchant, asked)
            asked += 1
            time.sleep(0.05)
            if time.monotonic() > next_strike:
                strikes += strike()
                next_strike = time.monotonic() + 2.0
        _until(lambda: set(work_states(wiring).values()) == {"done"}, "all is done", 120)
        alive = [worker.poll() for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        dispatch.close()
        wiring.database.engine.dispose()
    assert Counter(work_states_of(asked, merchant)) == Counter(upstream.booked)
    assert alive == [None, None]
    assert strikes >= 1 and asked >= 10


def work_states_of(asked: int, merchant: int) -> dict[str, int]:
    """Everything asked for, booked once."""
    return {f"/write_back:{merchant}:payment-{number}": 1 for number in range(asked)}


def _until(true: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"It did not happen in time: {what}."
        time.sleep(0.1)
