"""make machines: two web and two worker processes, each as if on a machine of its own, take payments on PostgreSQL.

Their host names, folders and clocks differ (by up to 90 seconds). In the middle every access token runs out at once.
The upstreams' own books are the judge. The last line is one JSON object; exit code 1: a promise was broken.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import requests
import sqlalchemy as sa

from connector.config import read_settings
from connector.db import tables as t
from connector.db.engine import bind_to_merchant, make_engine
from connector.db.leases import open_tokens, seal_tokens
from connector.db.vault import Vault
from connector.demo.processes import free_ports
from connector.jobs.engine import prepare_database
from tests.machines.started import FOUR
from tests.postgres_server import embedded_server
from tests.soak.customers import Customer, Paying, Story
from tests.soak.judge import judge, read_ours, read_theirs, unfinished
from tests.soak.processes import Place, Process, fresh_folder, wait_for
from tests.soak.staff import Staff

VISITS = int(os.environ.get("VISITS", "80"))
AT_ONCE = 6
_DRAIN_SECONDS = 240.0


def main() -> int:
    """Run it; the exit code."""
    folder = fresh_folder(Path(tempfile.gettempdir()))
    port, second_port, upstream_port, mail_port = free_ports(4)
    with embedded_server() as server:
        place = Place(folder, port, upstream_port, mail_port, server.create_database())
        prepare_database(place.database_url)
        with _running(place, second_port) as machines:
            report = _take_payments(place, second_port, machines)
        report["taken_for_dead"] = sum("worker died" in machine.log.read_text() for machine in machines)
    good = not any(report[what] for what in ("lost", "doubled", "unfinished", "broken", "taken_for_dead"))
    good = good and report["ledger_sum"] == "0" and report["renewals"] == [1, 1] and int(str(report["payments"])) > 0
    print(f"logs in {folder}" if not good else "", flush=True)
    if good:
        shutil.rmtree(folder)
    print(json.dumps(report), flush=True)
    return 0 if good else 1


@contextmanager
def _running(place: Place, second_port: int) -> Iterator[list[Process]]:
    """The upstreams, then the four machines: web, web, worker, worker."""
    environment = {**place.environment(), "PYTHONPATH": os.getcwd()}
    upstreams = Process(
        "upstreams",
        [
            "tests.soak.upstreams",
            *(str(place.upstream_port), str(place.mail_port), str(place.directory / "upstreams")),
            *(place.public_url, "200"),
        ],
        environment,
        place.directory / "upstreams.log",
    )
    parts = (("web", str(place.port)), ("web", str(second_port)), ("worker",), ("worker",))
    machines = [
        Process(
            name,
            ["tests.machines.machine", name, str(off), str(place.directory / name), "tests.soak.product", *part],
            environment,
            place.directory / f"{name}.log",
        )
        for (name, off), part in zip(FOUR, parts, strict=True)
    ]
    try:
        upstreams.start()
        wait_for(f"{place.upstream_url}/", upstreams)
        for machine in machines:
            machine.start()
        for machine, address in zip(machines, (place.port, second_port), strict=False):
            wait_for(f"http://127.0.0.1:{address}/readyz", machine)
        yield machines
    finally:
        for process in (*machines, upstreams):
            process.stop()


def _take_payments(place: Place, second_port: int, machines: list[Process]) -> dict[str, object]:
    chance = random.Random(5)
    staff, story = Staff(place, random.Random(6)), Story()
    customers = staff.set_up()
    engine = make_engine(place.database_url)
    print(f"{len(customers)} customers have links; {VISITS} visits begin", flush=True)
    began = time.monotonic()
    visits = [(chance.choice(customers), chance.random() < 0.5, chance.random()) for _ in range(VISITS)]
    first, second = visits[: VISITS // 2], visits[VISITS // 2 :]
    _visit(place, second_port, first, story)
    rotations = _let_tokens_run_out(place, engine)
    _visit(place, second_port, second, story)
    left = _drain(engine, place)
    seconds = time.monotonic() - began
    ours = read_ours(engine)
    theirs = read_theirs(place.upstream_url, place.directory / "upstreams", ours.connections.values())
    found = judge(ours, theirs, story.same_form)
    for words in (*left, *found.broken):
        print(words, flush=True)
    renewals = [after - before for before, after in zip(rotations, _rotations(engine), strict=True)]
    engine.dispose()
    return {
        "machines": len(machines),
        "clocks_off": [off for _, off in FOUR],
        "seconds": round(seconds, 1),
        "visits": VISITS,
        "payments": found.payments,
        "needs_review": found.needs_review,
        "renewals": renewals,
        "unfinished": len(left),
        "lost": len(found.lost),
        "doubled": len(found.doubled),
        "broken": len(found.broken),
        "ledger_sum": str(found.ledger_sum),
    }


def _visit(place: Place, second_port: int, visits: list[tuple[Customer, bool, float]], story: Story) -> None:
    """All visits, half of them through the second web machine."""

    def one(customer: Customer, elsewhere: bool, seed: float) -> None:
        if elsewhere:
            link = re.sub(r":\d+/", f":{second_port}/", customer.link, count=1)
            customer = replace(customer, link=link, invoices=[])
        with story_lock(customer):
            Paying(place.public_url, place.upstream_url, story, random.Random(seed)).visit(customer)

    with ThreadPoolExecutor(AT_ONCE) as people:
        for done in [people.submit(one, *visit) for visit in visits]:
            done.result()


@contextmanager
def story_lock(customer: Customer) -> Iterator[None]:
    """One visit of a customer at a time; two at once are tested elsewhere."""
    with customer.lock:
        yield


def _rotations(engine: sa.Engine) -> list[int]:
    with engine.connect() as reading, reading.begin():
        bind_to_merchant(reading, None)
        statement = sa.select(t.secrets.c.rotation).order_by(t.secrets.c.connection_id)
        return list(reading.execute(statement).scalars())


def _let_tokens_run_out(place: Place, engine: sa.Engine) -> list[int]:
    """All access tokens end now: the next call of every process finds that it must renew. The rotations before."""
    vault = Vault(read_settings(place.environment()).encryption_keys)
    with engine.begin() as writing:
        bind_to_merchant(writing, None)
        for row in writing.execute(sa.select(t.secrets.c.connection_id, t.secrets.c.sealed)).all():
            number = str(row.connection_id)
            tokens = replace(open_tokens(vault, number, row.sealed), access_expires=datetime.now(UTC))
            mine = t.secrets.c.connection_id == row.connection_id
            writing.execute(sa.update(t.secrets).where(mine).values(sealed=seal_tokens(vault, number, tokens)))
    return _rotations(engine)


def _drain(engine: sa.Engine, place: Place) -> list[str]:
    """Wait until nothing is left to do; what is, when that takes too long."""
    clock = f"{place.upstream_url}/sandbox/_control/clock"
    assert requests.post(clock, json={"advance_seconds": 1300}, timeout=30).ok
    end = time.monotonic() + _DRAIN_SECONDS
    while left := unfinished(engine, place.upstream_url):
        if time.monotonic() > end:
            return left
        time.sleep(1.0)
    return []


if __name__ == "__main__":
    sys.exit(main())
