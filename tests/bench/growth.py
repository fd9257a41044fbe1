"""What stands in the way of growing, on PostgreSQL: row-level security on the customers' page, bytes for each invoice,
asking for work and finding it among many rows, partitions of the job queue, memory for each connection.

The product's role owns its database and is no superuser, so that row-level security holds for it.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import psycopg
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.engine import make_url

from connector.app import create_app, wire
from connector.config import read_settings
from connector.db.engine import bind_to_merchant
from connector.db.work import overdue
from connector.domain.links import Scope
from connector.domain.work import Work
from connector.jobs.engine import Dispatcher, prepare_database
from connector.web.logging import configure
from connector.wiring import Wiring
from tests.bench.background import until, work_done
from tests.bench.driving import process
from tests.bench.figures import Figures, spread
from tests.bench.postgres import MeasuredServer, measured_server
from tests.bench.product import environment
from tests.bench.scale import fill
from tests.bench.surroundings import CannotMeasure, folder, measure, say
from tests.jobs.wired import add_merchant, wired

_ROLE = "duebridge"
_PAGES = 300


def measure_growth(*, merchants: int, each: int, rows: int) -> Iterator[Figures]:
    """`merchants` of `each` invoices; `rows` pieces of work that are done; each experiment is a line."""
    with measured_server() as server:
        address = _database(server)
        with ExitStack() as stack:
            wiring = _wired(address)
            stack.callback(wiring.database.engine.dispose)
            filled = fill(wiring, merchants, each)
            yield _sizes(wiring, merchants * each)
            yield _row_level_security(wiring, server, address, filled.connections[len(filled.connections) // 2])
            yield _work_among_many(wiring, filled.connections[0][0], rows)
        yield _connections(server, address)
        yield _partitions(server)


def _database(server: MeasuredServer) -> str:
    """An empty database of the product's own role, with all tables."""
    made = make_url(server.server.create_database())
    with psycopg.connect(f"host={server.sockets} user=postgres dbname=postgres", autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (_ROLE,)).fetchone() is None:
            connection.execute(f"CREATE ROLE {_ROLE} LOGIN")
        connection.execute(f'ALTER DATABASE "{made.database}" OWNER TO {_ROLE}')
    address = made.set(username=_ROLE).render_as_string(hide_password=False)
    prepare_database(address)
    return address


def _wired(address: str) -> Wiring:
    return wire(read_settings(environment(address)), dispatch=lambda connection, item, delay: None)


def _sizes(wiring: Wiring, invoices: int) -> Figures:
    statement = sa.text(
        "SELECT pg_relation_size('invoices'), pg_indexes_size('invoices'), pg_table_size('invoices'),"
        " (SELECT count(*) FROM pg_indexes WHERE tablename = 'invoices')"
    )
    with wiring.database.engine.connect() as connection:
        heap, indexes, table, number = connection.execute(statement).one()
    return Figures(
        "bytes for each invoice, PostgreSQL",
        {
            "invoices": invoices, "row": round(heap / invoices), "with_overflow": round(table / invoices),
            "indexes": round(indexes / invoices), "number_of_indexes": number,
            "gb_for_100_million": round((table + indexes) / invoices * 100e6 / 1e9),
        },
    )  # fmt: skip


def _row_level_security(wiring: Wiring, server: MeasuredServer, address: str, whose: tuple[int, int]) -> Figures:
    """The same page as the product's role and as a superuser, whom the policies do not touch; in turn."""
    merchant_id, connection_id = whose
    with wiring.database.unit_of_work(merchant_id) as uow:
        token = uow.links.mint(connection_id, Scope.CUSTOMER, "5")[1]
    configure("error")
    passing_by = _wired(make_url(address).set(username="postgres").render_as_string(hide_password=False))
    held, free = create_app(wiring).test_client(), create_app(passing_by).test_client()
    times: dict[str, list[float]] = {"with": [], "without": []}
    for turn in range(8):
        for name, client in (("with", held), ("without", free)):
            took = _pages(client, f"/i/{token}", server)
            if turn:
                times[name].append(took)
    passing_by.database.engine.dispose()
    ratio = statistics.median(times["with"]) / statistics.median(times["without"])
    found = Figures(
        "row-level security on the page behind a link, CPU with the server's",
        {"ms_a_page": {name: spread(several, 3) for name, several in times.items()}, "ratio": round(ratio, 3)},
    )
    found.mark("costs at most a tenth of the page", ratio <= 1.1)
    return found


def _pages(client: FlaskClient, path: str, server: MeasuredServer) -> float:
    """CPU milliseconds a page, the server's included."""
    harness: Any = measure()
    began = time.process_time() + harness.cpu_of(server.pid)
    for _ in range(_PAGES):
        if client.get(path).status_code != 200:
            raise CannotMeasure("The page behind a link did not open.")
    return float(time.process_time() + harness.cpu_of(server.pid) - began) / _PAGES * 1000


def _work_among_many(wiring: Wiring, merchant_id: int, rows: int) -> Figures:
    """Asking for work, and looking for what is overdue, beside so many rows of work that is done."""
    figures: dict[str, Any] = {}
    many = sa.text(
        "INSERT INTO work (id, kind, merchant_id, partition, state, attempt, payload, next_at, created_at, finished_at,"
        " error) SELECT 'mail:' || g, 'mail', :merchant, 'p', 'done', 1, '{}', g, g, g, '' FROM"
        " generate_series(cast(:first as bigint), cast(:last as bigint)) AS g"
    )
    before = 0
    for number in (0, rows // 10, rows):
        if number:
            with wiring.database.engine.begin() as connection:
                bind_to_merchant(connection, None)
                connection.execute(many, {"merchant": merchant_id, "first": before + 1, "last": number})
            before = number
            with wiring.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM ANALYZE work")
        figures[f"{number} rows"] = {"ask_ms": _asking(wiring, merchant_id, number), "find_ms": _finding(wiring)}
    return Figures("work among many rows, PostgreSQL", figures)


def _asking(wiring: Wiring, merchant_id: int, number: int) -> float:
    times = []
    for place in range(100):
        began = time.perf_counter()
        with wiring.database.unit_of_work(merchant_id) as uow:
            uow.work.add(Work.SYNC, f"{number}-{place}", partition="p", delay=86_400)
        times.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(times), 2)


def _finding(wiring: Wiring) -> float:
    times = []
    for _ in range(50):
        began = time.perf_counter()
        with wiring.database.engine.connect() as connection:
            bind_to_merchant(connection, None)
            overdue(connection, wiring.clock() + timedelta(days=2), 500)
        times.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(times), 2)


def _connections(server: MeasuredServer, address: str) -> Figures:
    """Memory of the server for each connection of the product that has opened a page's worth of statements."""
    pss: Any = measure()
    wiring = _wired(address)
    before = sum(map(pss.pss, pss.tree(server.pid)))
    number = 40
    with ExitStack() as stack:
        for _ in range(number):
            connection = stack.enter_context(wiring.database.engine.connect())
            bind_to_merchant(connection, None)
            connection.exec_driver_sql("SELECT count(*) FROM invoices JOIN customers USING (merchant_id) LIMIT 1")
        after = sum(map(pss.pss, pss.tree(server.pid)))
    wiring.database.engine.dispose()
    each = round((after - before) / number / 1024, 2)
    return Figures("memory for each connection, PostgreSQL", {"connections": number, "mb_each": each})


def _partitions(server: MeasuredServer, attempts: int = 600) -> Figures:
    """The same number of attempts in few partitions and in one for each: the queue is looked through by partition."""
    rates: dict[str, float] = {}
    for partitions in (10, 100, attempts):
        address = _database(server)
        dispatch = Dispatcher(address)
        wiring = wired(address, dispatch)
        merchant_id = add_merchant(wiring)
        for start in range(0, attempts, 100):
            with wiring.database.unit_of_work(merchant_id) as uow:
                for number in range(start, start + 100):
                    uow.work.add(Work.MAIL, str(number), partition=f"p{number % partitions}")
        command = [sys.executable, "-m", "tests.bench.empty_worker", address, "done"]
        with process(command, _environment(), folder() / "out" / "partitions.log"):
            until(lambda at=wiring: work_done(at) >= attempts // 10, 300, "the first tenth is done")  # type: ignore[misc]
            first, began = work_done(wiring), time.monotonic()
            until(lambda at=wiring: work_done(at) >= attempts, 600, "all of it is done")  # type: ignore[misc]
            rates[f"{partitions} partitions"] = round((attempts - first) / (time.monotonic() - began), 1)
        wiring.database.engine.dispose()
        dispatch.close()
        say(f"{partitions} partitions: {rates}")
    return Figures("attempts a second by how many partitions wait, one worker, PostgreSQL", {"a_second": rates})


def _environment() -> Mapping[str, str]:
    return os.environ
