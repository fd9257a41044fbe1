"""Webhooks taken in: events and CPU an event, beside a bare Flask view that does the same by hand, and dj-stripe.

All verify an HMAC, store the raw event once and answer after a commit that is on disk; gunicorn, two processes of eight
threads, 16 connections, every event another. What differs is told: the product also writes down the work, checks for
duplicates by digest and logs a line a request; the bare view does none of these.
"""

from __future__ import annotations

import shlex
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from connector.db import tables as t
from connector.demo.surroundings import CREDENTIALS
from connector.jobs.engine import prepare_database
from tests.bench.driving import (
    PRODUCT,
    TWO_BY_EIGHT,
    Doorway,
    knock_evenly,
    knock_with_wrk,
    process,
    quickbooks_event,
    until_it_listens,
)
from tests.bench.figures import Figures, median, spread
from tests.bench.postgres import MeasuredServer, measured_server
from tests.bench.product import UNHURRIED, environment, install, wired
from tests.bench.surroundings import (
    CannotMeasure,
    environment_with,
    folder,
    free_port,
    harness,
    limits_python,
    run,
    say,
    settle,
    upstream,
)

SECRET = CREDENTIALS["DUEBRIDGE_QUICKBOOKS_WEBHOOK_SECRET"]
_DJSTRIPE = ("dj-stripe==2.11.0", "gunicorn", "psycopg[binary]")
_DJSTRIPE_PATH = "/stripe/webhook/11111111-1111-4111-8111-111111111111/"
_SLOW_US = "2000"


def measure_ingest(*, runs: int, postgres: bool, peers: bool, seconds: int = 8) -> Iterator[Figures]:
    """A line for each database, one for each with fsync slowed to 2 ms, and one for each with workers running."""
    if shutil.which("wrk") is None:
        raise CannotMeasure("wrk is not installed (Debian and Ubuntu: apt-get install wrk).")
    slow = {"LD_PRELOAD": str(_slow_fsync()), "SLOWFSYNC_US": _SLOW_US}
    for database in ("sqlite", "postgresql") if postgres else ("sqlite",):
        with measured_server() if database == "postgresql" else nullcontext() as server:
            yield _compare(server, runs, seconds, peers, {})
            if server is None:
                # PostgreSQL's own commits are measured as its server runs; only a preloaded server would be slower.
                yield _compare(server, runs, seconds, False, slow)
            yield steady(server, seconds=max(10, seconds))


def storm(*, postgres: bool) -> Iterator[Figures]:
    """10,000 webhooks in a minute with two workers; also how long until all of them are dispatched."""
    for database in ("sqlite", "postgresql") if postgres else ("sqlite",):
        with measured_server() if database == "postgresql" else nullcontext() as server:
            yield steady(server, seconds=60, a_second=10_000 / 60)


def _compare(server: MeasuredServer | None, runs: int, seconds: int, peers: bool, environ: dict[str, str]) -> Figures:
    doors = [_ours(server, environ), _limit(server, environ)]
    if peers:
        doors.append(_djstripe(server))
    seen: dict[str, list[dict[str, Any]]] = {door.name: [] for door in doors}
    for number in range(runs):
        for door in doors:
            settle()
            one = knock_with_wrk(door, server, seconds=seconds)
            seen[door.name].append(one)
            say(
                f"run {number + 1}: {door.name} {one['rps']}/s, {one['cpu_ms']} ms CPU, "
                f"p99 {one['p99']}, max {one['max']}, noise {one['noise']}"
            )
    words = "SQLite" if server is None else "PostgreSQL (server included)"
    found = Figures(f"webhook ingest, {words}{', fsync of 2 ms' if environ else ''}")
    for figure, key in (
        ("events_a_second", "rps"), ("cpu_ms_an_event", "cpu_ms"), ("p50_ms", "p50"), ("p99_ms", "p99"),
        ("max_ms", "max"), ("pss_mb", "pss_mb"),
    ):  # fmt: skip
        found.figures[figure] = {name: spread([one[key] for one in several], 3) for name, several in seen.items()}
    found.figures["noise"] = spread([one["noise"] for several in seen.values() for one in several], 2)
    share = median(seen["ours"], "rps") / median(seen["limit"], "rps")
    found.figures["share_of_limit"] = round(share, 3)
    found.figures["share_of_limit_by_cpu"] = round(median(seen["limit"], "cpu_ms") / median(seen["ours"], "cpu_ms"), 3)
    found.mark("at least 75 % of bare Flask with one committed INSERT", share >= 0.75)
    most = 60 if environ else 30
    found.mark(f"p99 at most {most} ms", median(seen["ours"], "p99") <= most)
    found.mark("no wait over 1 s", max(one["max"] for one in seen["ours"]) <= 1000)
    if peers:
        times = median(seen["dj-stripe"], "cpu_ms") / median(seen["ours"], "cpu_ms")
        found.figures["times_djstripe"] = round(times, 2)
        found.mark("at least 3 times dj-stripe by CPU an event", times >= 3)
    return found


def _slow_fsync() -> Path:
    """The harness's library that makes every fsync take SLOWFSYNC_US longer."""
    built = folder() / "out" / "slowfsync.so"
    if not built.exists():
        compiler = shutil.which("cc")
        if compiler is None:
            raise CannotMeasure("A C compiler (cc) is needed to slow fsync down.")
        run([compiler, "-O2", "-shared", "-fPIC", "-o", str(built), str(harness("slowfsync.c")), "-ldl"])
    return built


def _fresh(server: MeasuredServer | None) -> str:
    """The address of a new database with all tables, one merchant and one connection."""
    if server is None:
        file = folder() / "out" / "ingest.db"
        for suffix in ("", "-wal", "-shm", "-next", "-writing"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
        url = f"sqlite:///{file}"
    else:
        url = make_url(server.server.create_database()).render_as_string(hide_password=False)
    prepare_database(url)
    install(url, "qbo")
    return url


def _ours(server: MeasuredServer | None, environ: dict[str, str]) -> Doorway:
    address = environment(_fresh(server), **environ)
    return Doorway("ours", PRODUCT, "/webhooks/quickbooks", SECRET, environ=address)


def _limit(server: MeasuredServer | None, environ: dict[str, str]) -> Doorway:
    file = folder() / "out" / "limit-hooks.sqlite"
    for suffix in ("", "-wal", "-shm", ".lock"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    store = {"STORE": "sqlite", "SYNC": "FULL", "HOOK_DB": str(file), "SECRET": SECRET, **environ}
    if server is not None:
        store |= {"STORE": "pg", "PG": server.conninfo(server.server.create_database())}
    gunicorn = limits_python().with_name("gunicorn")
    serve = f"{gunicorn} {TWO_BY_EIGHT} -b 127.0.0.1:{{port}} webhook_limit:app"
    return Doorway("limit", serve, "/webhooks/qbo", SECRET, environ=store, home=harness("."))


def _djstripe(server: MeasuredServer | None) -> Doorway:
    """dj-stripe as its documentation queues events: the trigger is stored, the signature checked, a callback called."""
    python = environment_with("dj-stripe", _DJSTRIPE)
    home = folder() / "out" / "dj-stripe"
    (home / "out").mkdir(parents=True, exist_ok=True)
    source = harness("hookapp_djstripe.py").read_text()
    environ = {"DB": "sqlite", "MODE": "callback", "PERF": str(home), "DJANGO_SETTINGS_MODULE": ""}
    if server is not None:
        name = make_url(server.server.create_database()).database
        theirs = '"NAME": "djstripe", "USER": "perf", "PASSWORD": "perf", "HOST": "127.0.0.1", "PORT": 54999'
        if theirs not in source:
            raise CannotMeasure("dj-stripe's application in the harness names its database in another way than before.")
        source = source.replace(theirs, f'"NAME": "{name}", "USER": "postgres", "HOST": "{server.sockets}"')
        environ["DB"] = "pg"
    (home / "hookapp_djstripe.py").write_text(source)
    # The harness's settings read PERF when they are loaded; the server is started with another.
    environ["PYTHONPATH"] = str(home)
    run([str(python), str(home / "hookapp_djstripe.py"), "setup"], env=environ, cwd=home)
    gunicorn = python.with_name("gunicorn")
    serve = f"env PERF={shlex.quote(str(home))} {gunicorn} {TWO_BY_EIGHT} -b 127.0.0.1:{{port}} "
    return Doorway(
        "dj-stripe", serve + "hookapp_djstripe:application", _DJSTRIPE_PATH, "s", "stripe", environ=environ, home=home
    )


def steady(server: MeasuredServer | None, *, seconds: int, a_second: float = 200.0) -> Figures:
    """200 events a second of one connected organisation and 49 strangers, with two workers doing what follows."""
    address = _fresh(server)
    events = [
        quickbooks_event("1" if number % 2 else f"stranger-{number % 49}", number, "steady")
        for number in range(round(seconds * a_second))
    ]
    port, out = free_port(), folder() / "out"
    ages: list[float] = []
    ended = threading.Event()
    with ExitStack() as stack:
        source = stack.enter_context(upstream(1_000, "qbo"))
        environ = environment(address, source.url, DUEBRIDGE_LOG_LEVEL="warning", **UNHURRIED)
        duebridge = str(Path(sys.executable).with_name("duebridge"))
        for number in (1, 2):
            stack.enter_context(process([duebridge, "worker"], environ, out / f"worker-{number}.log"))
        log = out / "door.log"
        started = stack.enter_context(process(shlex.split(PRODUCT.format(port=port)), environ, log))
        until_it_listens(port, started, log)
        wiring = wired(environ)
        watch = threading.Thread(target=_watch_queue, args=(wiring.database.engine, ages, ended))
        watch.start()
        # The workers' and the processes' first requests are their start, not their pace.
        knock_evenly(port, [quickbooks_event("1", n, "first") for n in range(200)], SECRET, a_second=100)
        source.requests()
        ages.clear()
        answered = knock_evenly(port, events, SECRET, a_second=a_second)
        ended.set()
        watch.join()
        drained = _until_drained(wiring.database.engine)
        requests = source.requests()
        wiring.database.engine.dispose()
    words = "SQLite" if server is None else "PostgreSQL"
    found = Figures(
        f"{a_second:.0f} webhooks a second with two workers, {words}",
        {
            "events": len(events), "p50_ms": round(answered.percentile(0.5), 1),
            "p99_ms": round(answered.percentile(0.99), 1), "max_ms": round(max(answered.waits_ms), 1),
            "queue_age_ms": {
                "median": round(sorted(ages)[len(ages) // 2] * 1000), "max": round(max(ages) * 1000),
            },
            "drained_after_s": round(drained, 2), "refused": answered.refused,
            "upstream_requests": requests, "events_of_the_connected_one": len(events) // 2,
        },
    )  # fmt: skip
    found.mark("p99 under 100 ms", answered.percentile(0.99) < 100)
    found.mark("no wait over 1 s", max(answered.waits_ms) <= 1000)
    found.mark("every event answered 200", not answered.refused)
    # Six kinds of records are asked for in a reading, and a reading is at most every COALESCE_SECONDS.
    found.mark("fewer upstream requests than a tenth of the events", requests * 10 < len(events) // 2)
    return found


def _watch_queue(engine: sa.Engine, ages: list[float], ended: threading.Event) -> None:
    """Every 50 ms: how long the oldest delivery nobody has dispatched has been waiting, in seconds."""
    d = t.deliveries.c
    oldest = sa.select(sa.func.min(d.received_at)).where(d.state == "new")
    while not ended.wait(0.05):
        with engine.connect().execution_options(read_only=True) as connection, connection.begin():
            found = connection.execute(oldest).scalar()
        ages.append(max(0.0, time.time() - found.timestamp()) if found else 0.0)


def _until_drained(engine: sa.Engine, most: float = 120.0) -> float:
    """Seconds until no delivery waits any more; `most` when some still do."""
    began = time.monotonic()
    d = t.deliveries.c
    while time.monotonic() - began < most:
        with engine.connect().execution_options(read_only=True) as connection, connection.begin():
            if not connection.execute(sa.select(sa.func.count()).where(d.state == "new")).scalar_one():
                return time.monotonic() - began
        time.sleep(0.05)
    return most
