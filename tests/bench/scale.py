"""Many merchants at once: 1,000 of 1,000 invoices each, all of them read from the start at once by two workers.

What is told: how long the oldest piece of due work has waited, how long all readings took, what a worker's memory does
from the first quarter of the work to the last, and how large the database is for each invoice.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from connector.app import wire
from connector.config import read_settings
from connector.contract import TokenSet
from connector.db import tables as t
from connector.db.engine import bind_to_merchant
from connector.db.leases import seal_tokens
from connector.domain.records import InvoiceState, Kind, Line, UpstreamInvoice
from connector.domain.work import Work
from connector.jobs.engine import prepare_database
from connector.wiring import Wiring
from tests.bench.driving import process
from tests.bench.figures import Figures
from tests.bench.postgres import MeasuredServer, measured_server
from tests.bench.product import UNHURRIED, environment
from tests.bench.surroundings import CannotMeasure, folder, measure, say, upstream

_LINES = tuple(Line(f"Weekly gardening, line {n}", "2", "32.50", 65_00, 0) for n in range(5))
_MOST_MB = 200.0


@dataclass
class _Seen:
    """What was looked at every second: age of the oldest due work (s), work left, memory of each worker (MB)."""

    ages: list[float] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    memory: list[list[float]] = field(default_factory=list)


def measure_scale(*, merchants: int, each: int, postgres: bool) -> Iterator[Figures]:
    """A line for each database."""
    file = folder() / "out" / "scale.db"
    for suffix in ("", "-wal", "-shm", "-next", "-writing"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    yield _measure(f"sqlite:///{file}", None, merchants, each)
    if postgres:
        with measured_server() as server:
            address = make_url(server.server.create_database()).render_as_string(hide_password=False)
            yield _measure(address, server, merchants, each)


def _measure(address: str, server: MeasuredServer | None, merchants: int, each: int) -> Figures:
    with upstream(1_000, "qbo") as source, ExitStack() as stack:
        environ = environment(address, source.url, DUEBRIDGE_LOG_LEVEL="warning", **UNHURRIED)
        prepare_database(address)
        wiring = wire(read_settings(environ))
        filled = fill(wiring, merchants, each)
        size = _size(wiring)
        for merchant_id, connection_id in filled.connections:
            with wiring.database.unit_of_work(merchant_id) as uow:
                uow.work.add(
                    Work.SYNC, str(connection_id), partition=str(connection_id), payload={"connection": connection_id}
                )
        duebridge = str(Path(sys.executable).with_name("duebridge"))
        source.requests()
        workers = [
            stack.enter_context(process([duebridge, "worker"], environ, folder() / "out" / f"scale-{number}.log"))
            for number in (1, 2)
        ]
        seen, took = _watch(wiring, [worker.pid for worker in workers], merchants)
        requests = source.requests()
        wiring.database.engine.dispose()
    quarter = max(1, len(seen.memory) // 4)
    early = [max(of_one) for of_one in zip(*seen.memory[1 : quarter + 1], strict=True)]
    late = [max(of_one) for of_one in zip(*seen.memory[-quarter:], strict=True)]
    growth = max(after / before for before, after in zip(early, late, strict=True)) - 1
    found = Figures(
        f"{merchants:,} merchants of {each:,} invoices, {'SQLite' if server is None else 'PostgreSQL'}",
        {
            "filled_a_second": round(merchants * each / filled.seconds),
            "bytes_an_invoice": round(size / (merchants * each)),
            "readings": merchants, "readings_a_second": round(merchants / took, 1), "requests": requests,
            "oldest_due_work_s": {"median": round(sorted(seen.ages)[len(seen.ages) // 2], 1),
                                  "max": round(max(seen.ages), 1)},
            "worker_mb": {"first quarter": _rounded(early), "last quarter": _rounded(late)},
            "growth": round(growth, 3),
        },
    )  # fmt: skip
    # Each connection is to be read every five minutes.
    found.mark("all readings within the five minutes until the next", took <= 300)
    found.mark("memory of a worker grows by at most 15 % from the first quarter to the last", growth <= 0.15)
    found.mark(f"at most {_MOST_MB:.0f} MB a worker", max(late) <= _MOST_MB)
    return found


def _rounded(sizes: list[float]) -> list[float]:
    return [round(size, 1) for size in sizes]


@dataclass
class _Filled:
    connections: list[tuple[int, int]]
    seconds: float


def fill(wiring: Wiring, merchants: int, each: int) -> _Filled:
    """Merchants with a connection read to its end and `each` invoices, a fifth of them open."""
    began, now = time.monotonic(), datetime.now(UTC)
    tokens = TokenSet("access", "refresh", access_expires=now + timedelta(days=30), refresh_expires=now)
    made: list[tuple[int, int]] = []
    for number in range(merchants):
        with wiring.database.installation() as everybody:
            merchant_id, _ = everybody.add_merchant(
                company=f"Company {number}", name="Alex", email=f"alex@{number}.example", password_hash="-"
            )
        with wiring.database.unit_of_work(merchant_id) as uow:
            connection_id = uow.connections.add(
                system="quickbooks", tenant=str(number), name=f"Company {number}", currency="USD",
                extra={"currency": "USD", "name": f"Company {number}"}, install_key=None,
            )  # fmt: skip
            uow.connections.store_secrets(connection_id, seal_tokens(uow.vault, str(connection_id), tokens))
            uow.connections.confirm(connection_id, history_start=None, deposit_account="", place_links=False)
            uow.connections.change(connection_id, first_import_done_at=now)
        for start in range(0, each, 1000):
            with wiring.database.unit_of_work(merchant_id) as uow:
                several = [_invoice(place) for place in range(start, min(start + 1000, each))]
                uow.mirror.put_invoices(connection_id, several)
        made.append((merchant_id, connection_id))
        if (number + 1) % 100 == 0:
            say(f"{number + 1} merchants after {time.monotonic() - began:.0f} s")
    with wiring.database.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    return _Filled(made, time.monotonic() - began)


def _invoice(place: int) -> UpstreamInvoice:
    issued, due = date(2026, 11, 1) - timedelta(days=place % 330), place % 5 == 0
    return UpstreamInvoice(
        Kind.INVOICE, str(place + 1), f"INV-{place}", InvoiceState.OPEN if due else InvoiceState.PAID,
        str(place % 200), issued, issued + timedelta(days=30), "USD", 325_00, 0, 325_00 if due else 0, "Thank you!",
        "", "", True, "1", None, _LINES,
    )  # fmt: skip


def _size(wiring: Wiring) -> int:
    engine = wiring.database.engine
    if engine.dialect.name == "sqlite":
        with closing(sqlite3.connect(str(engine.url.database))) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return Path(str(engine.url.database)).stat().st_size
    with engine.connect() as connection:
        return int(connection.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one())


def _watch(wiring: Wiring, workers: list[int], readings: int, most: float = 1800.0) -> tuple[_Seen, float]:
    """Look every second until everything is read; the seconds from the first reading's end to the last's."""
    pss: Any = measure()
    seen, w, began = _Seen(), t.work.c, 0.0
    given_up = time.monotonic() + most
    due = sa.select(sa.func.count(), sa.func.min(w.next_at)).where(w.kind == "sync", w.state == "pending")
    while True:
        with wiring.database.engine.connect().execution_options(read_only=True) as reading, reading.begin():
            bind_to_merchant(reading, None)
            left, oldest = reading.execute(due).one()
        if not began and left < readings:
            began = time.monotonic()
        if not left:
            return seen, time.monotonic() - began
        if time.monotonic() > given_up:
            raise CannotMeasure(f"After {most:.0f} s {left} of {readings} readings were left.")
        if began:
            seen.left.append(left)
            seen.ages.append(max(0.0, time.time() - oldest.timestamp()))
            seen.memory.append([sum(map(pss.pss, pss.tree(pid))) / 1024 for pid in workers])
        time.sleep(1.0)
