"""Background work: attempts a second, how long a payment waits for the books, recovery after kill -9, and how much of a
vendor's rate limit a backlog uses. On both databases, with the product's own worker processes."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from connector.db import tables as t
from connector.db.engine import bind_to_merchant
from connector.domain.work import Work
from connector.jobs.engine import Dispatcher, prepare_database
from connector.jobs.housekeeping import Pace
from connector.wiring import Wiring
from tests.bench.books import Books, books
from tests.bench.driving import process
from tests.bench.figures import Figures
from tests.bench.postgres import MeasuredServer, measured_server
from tests.bench.surroundings import CannotMeasure, folder, say, settle
from tests.jobs.wired import add_merchant, wired

_DUEBRIDGE = str(Path(sys.executable).with_name("duebridge"))
_ALLOWED_A_MINUTE = 500


def _databases(postgres: bool) -> Iterator[tuple[str, MeasuredServer | None]]:
    yield "SQLite", None
    if postgres:
        with measured_server() as server:
            yield "PostgreSQL", server


def _fresh(server: MeasuredServer | None, name: str) -> str:
    if server is not None:
        return make_url(server.server.create_database()).render_as_string(hide_password=False)
    file = folder() / "out" / f"{name}.db"
    for suffix in ("", "-wal", "-shm", "-next", "-writing"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    return f"sqlite:///{file}"


def measure_jobs(*, postgres: bool, attempts: int = 2_000) -> Iterator[Figures]:
    """Attempts a second of work that does nothing, spread over 50 partitions, with one worker and with two."""
    for name, server in _databases(postgres):
        rates: dict[str, float] = {}
        for workers in (1, 2):
            settle()
            with _empty(server) as (address, wiring, merchant_id), ExitStack() as stack:
                _ask(wiring, merchant_id, attempts)
                for number in range(workers):
                    _worker(stack, [sys.executable, "-m", "tests.bench.empty_worker", address, "done"], number)
                began, ended = _all_done(wiring, attempts)
                rates[f"{workers} worker{'s' if workers > 1 else ''}"] = round(attempts / (ended - began), 1)
        found = Figures(f"attempts a second, {name}", {"attempts": attempts, "a_second": rates})
        # Below this the vendors' own limits would not be what holds write-backs up (8.3 calls a second a merchant).
        found.mark("at least 50 a second with one worker", rates["1 worker"] >= 50)
        yield found


def measure_recovery(*, postgres: bool) -> Iterator[Figures]:
    """A worker with eight attempts in hand is killed; how long until another has done them, at the product's pace."""
    for name, server in _databases(postgres):
        with _empty(server) as (address, wiring, merchant_id), ExitStack() as stack:
            command = [sys.executable, "-m", "tests.bench.empty_worker", address]
            first = _worker(stack, [*command, "hang"], 0)
            _ask(wiring, merchant_id, 8)
            until(lambda: _under_way(address) >= 8, 60, "the first worker takes its work")
            _worker(stack, [*command, "done"], 1)
            first.send_signal(signal.SIGKILL)
            killed = time.monotonic()
            until(lambda: work_done(wiring) >= 8, 300, "the second worker does the work of the first")
            seconds = time.monotonic() - killed
        pace = Pace()
        found = Figures(
            f"recovery after kill -9, {name}",
            {"seconds": round(seconds, 1), "attempts": 8, "dead_after_s": pace.dead_after, "beat_s": pace.beat},
        )
        found.mark("within the silence that counts as death and half a minute", seconds <= pace.dead_after + 30)
        yield found


def measure_write_back(*, postgres: bool, seconds: int = 30, a_second: float = 3.0) -> Iterator[Figures]:
    """Payments settle at an even pace: how long until each stands in the books. Then a backlog."""
    for name, server in _databases(postgres):
        told: dict[str, object] = {}
        for workers in (1, 2):
            settle()
            with books(_fresh(server, "write-back"), invoices=900, limits="none") as here, ExitStack() as stack:
                for number in range(workers):
                    _product_worker(stack, here, number)
                _write_back_one(here)
                waits = _write_evenly(here, seconds=seconds, a_second=a_second)
            told[f"{workers} worker{'s' if workers > 1 else ''}"] = {
                "p50_s": round(statistics.median(waits), 3),
                "p95_s": round(sorted(waits)[int(len(waits) * 0.95)], 3),
                "max_s": round(max(waits), 3),
                "payments": len(waits),
            }
        found = Figures(f"write-back latency, {name}", {"payments_a_second": a_second, **told})
        yield found


def measure_backlog(*, postgres: bool, seconds: int = 60) -> Iterator[Figures]:
    """How much of a vendor's limits a backlog of payments uses."""
    for name, server in _databases(postgres):
        yield _backlog(name, server, seconds=seconds)


def _backlog(name: str, server: MeasuredServer | None, *, seconds: int, payments: int = 300) -> Figures:
    """A backlog, two workers, and QuickBooks' own 500 calls a minute and 10 a second: how much of them is used."""
    with books(_fresh(server, "backlog"), invoices=900, limits="vendor") as here, ExitStack() as stack:
        payments = min(payments, here.payable() - 1)
        for number in range(payments):
            here.pay(number)
        before = here.calls()
        for number in (1, 2):
            _product_worker(stack, here, number)
        until(lambda: here.calls() != before, 60, "the first call")
        # The burst the limit allows at once is not its pace: it is used up a good while before this.
        time.sleep(15)
        start, began = here.calls(), time.monotonic()
        time.sleep(seconds)
        calls, lasted = here.calls() - start, time.monotonic() - began
        left = payments - len(_posted(here))
    a_minute = sum(calls.values()) * 60 / lasted
    found = Figures(
        f"write-back of a backlog within QuickBooks' limits (500 a minute, 10 a second), {name}",
        {
            "calls_a_minute": round(a_minute, 1), "share_of_500": round(a_minute / _ALLOWED_A_MINUTE, 3),
            "refused_429": calls.get(429, 0), "seconds": round(lasted, 1), "payments": payments, "left": left,
        },
    )  # fmt: skip
    found.mark("at least 90 % of 500 calls a minute", a_minute >= 0.9 * _ALLOWED_A_MINUTE)
    found.mark("no call refused for its pace", not calls.get(429, 0))
    found.mark("there was a backlog to the end", left > 0)
    return found


def _write_back_one(here: Books) -> None:
    """The workers' start is not their pace."""
    made = [here.pay(0)]
    until(lambda: bool(here.waits(made)), 60, "the first payment is written back")


def _write_evenly(here: Books, *, seconds: int, a_second: float) -> list[float]:
    payable = here.payable()
    made, began = [], time.monotonic()
    for number in range(int(seconds * a_second)):
        time.sleep(max(0.0, began + number / a_second - time.monotonic()))
        made.append(here.pay(1 + number % (payable - 1)))
    until(lambda: len(here.waits(made)) == len(made), 120, "all payments are written back")
    return list(here.waits(made).values())


def _posted(here: Books) -> list[str]:
    p = t.postings.c
    with here.wiring.database.reader(here.merchant_id) as reader:
        return [row.payment_id for row in reader.rows(sa.select(p.payment_id).where(p.state == "posted"))]


def _product_worker(stack: ExitStack, here: Books, number: int) -> None:
    stack.enter_context(process([_DUEBRIDGE, "worker"], here.environ, folder() / "out" / f"worker-{number}.log"))


@contextmanager
def _empty(server: MeasuredServer | None) -> Iterator[tuple[str, Wiring, int]]:
    """A database with one merchant: its address, a wiring that wakes the engine, the merchant's id."""
    address = _fresh(server, "jobs")
    prepare_database(address)
    dispatch = Dispatcher(address)
    wiring = wired(address, dispatch)
    try:
        yield address, wiring, add_merchant(wiring)
    finally:
        wiring.database.engine.dispose()
        dispatch.close()


def _worker(stack: ExitStack, command: list[str], number: int) -> subprocess.Popen[bytes]:
    return stack.enter_context(process(command, os.environ, folder() / "out" / f"empty-{number}.log"))


def _ask(wiring: Wiring, merchant_id: int, attempts: int) -> None:
    for start in range(0, attempts, 100):
        with wiring.database.unit_of_work(merchant_id) as uow:
            for number in range(start, min(start + 100, attempts)):
                uow.work.add(Work.MAIL, str(number), partition=f"p{number % 50}")


def work_done(wiring: Wiring) -> int:
    """How many pieces of work are done."""
    with wiring.database.engine.connect().execution_options(read_only=True) as reading, reading.begin():
        bind_to_merchant(reading, None)
        done = sa.select(sa.func.count()).where(t.work.c.state == "done")
        return int(reading.execute(done).scalar_one())


def _all_done(wiring: Wiring, attempts: int) -> tuple[float, float]:
    """When the first attempt ended and when the last did, in seconds."""
    until(lambda: work_done(wiring) >= attempts, 600, "all work is done")
    w = t.work.c
    with wiring.database.engine.connect().execution_options(read_only=True) as reading, reading.begin():
        bind_to_merchant(reading, None)
        first, last = reading.execute(sa.select(sa.func.min(w.finished_at), sa.func.max(w.finished_at))).one()
    return first.timestamp(), last.timestamp()


def _under_way(address: str) -> int:
    dispatch = Dispatcher(address)
    try:
        return len(dispatch.client.list_workflows(status="PENDING", load_input=False, load_output=False))
    finally:
        dispatch.close()


def until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for something. Raises CannotMeasure, saying what never came."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise CannotMeasure(f"After {seconds:.0f} s it had not come that far: {what}.")
        time.sleep(0.05)
    say(f"{what}: yes")
