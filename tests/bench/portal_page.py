"""The page behind a customer's link, beside the same page made by hand over the bare driver, and pretix's order page.

All are served by gunicorn with two processes and driven by wrk over 16 connections. The database holds 5,000 customers
of 20 invoices with five lines each; the product logs a line a request, as it does by default.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy.engine import make_url

from connector.app import create_app
from connector.domain.links import Scope
from connector.domain.records import InvoiceState, Kind, Line, UpstreamCustomer, UpstreamInvoice
from connector.web.logging import configure
from tests.bench.figures import Figures, spread
from tests.bench.peers import Pretix, pretix
from tests.bench.postgres import MeasuredServer, measured_server
from tests.bench.product import Installation, environment, install, wired
from tests.bench.surroundings import (
    REPOSITORY,
    CannotMeasure,
    folder,
    free_port,
    harness,
    limits_python,
    run,
    say,
)

CUSTOMERS = 5_000
EACH = 20
LINKS = 2_000
SECONDS = 8
_SIZES = (20, 200, 2_000)
_GTHREAD = "-w 2 -k gthread --threads 8 --log-level error"


@dataclass(frozen=True, slots=True)
class Site:
    """A server to drive: how it is started ('{port}' is filled in), and the file that lists its addresses."""

    name: str
    serve: str
    paths: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    home: Path = REPOSITORY


def measure_portal(*, runs: int, postgres: bool, peers: bool) -> Iterator[Figures]:
    """A line for each database, and one for how the page grows with what a customer has."""
    if shutil.which("wrk") is None:
        raise CannotMeasure("wrk is not installed (Debian and Ubuntu: apt-get install wrk).")
    yield _growth()
    for database in ("sqlite", "postgresql") if postgres else ("sqlite",):
        with measured_server() if database == "postgresql" else nullcontext() as server:
            sites = [_ours(server), _limit(server)]
            if peers:
                sites.append(_pretix(pretix(server)))
            yield _compare(database, sites, server, runs)


def _compare(database: str, sites: list[Site], server: MeasuredServer | None, runs: int) -> Figures:
    seen: dict[str, list[dict[str, Any]]] = {site.name: [] for site in sites}
    for number in range(runs):
        for site in sites:
            one = _drive(site, server)
            seen[site.name].append(one)
            say(f"run {number + 1}: {site.name} {one['cpu_ms']} ms, {one['rps']}/s, p99 {one['p99']}, {one['noise']}")
    middle = {name: statistics.median(one["cpu_ms"] for one in several) for name, several in seen.items()}
    p99 = statistics.median(one["p99"] for one in seen["ours"])
    found = Figures(
        f"link page, {'SQLite' if database == 'sqlite' else 'PostgreSQL (server included)'}",
        {
            figure: {name: spread([one[key] for one in several], 3) for name, several in seen.items()}
            for figure, key in (
                ("cpu_ms_a_page", "cpu_ms"), ("pages_a_second", "rps"), ("p99_ms", "p99"), ("pss_mb", "pss_mb"),
            )
        },
    )  # fmt: skip
    found.figures["not_2xx"] = sum(one["non2xx"] for several in seen.values() for one in several)
    found.figures["noise"] = spread([one["noise"] for several in seen.values() for one in several], 2)
    found.figures["share_of_limit"] = round(middle["limit"] / middle["ours"], 3)
    found.mark("at least 50 % of the page made by hand", middle["limit"] / middle["ours"] >= 0.5)
    found.mark("p99 at most 60 ms", p99 <= 60)
    if "pretix" in middle:
        times, least = middle["pretix"] / middle["ours"], 80 if database == "sqlite" else 50
        found.figures["times_pretix"] = round(times, 1)
        found.mark(f"at least {least} times pretix's order page", times >= least)
    return found


def _drive(site: Site, server: MeasuredServer | None) -> dict[str, Any]:
    port, out = free_port(), folder() / "out" / "http.jsonl"
    out.unlink(missing_ok=True)
    first = site.paths.read_text().split("\n", 1)[0]
    command = [
        sys.executable, str(harness("bench_http.py")), "--name", site.name, "--serve", site.serve.format(port=port),
        "--port", str(port), "--paths", str(site.paths), "--cwd", str(site.home), "--ready", first, "--out", str(out),
        "--secs", str(SECONDS), "--runs", "1", "--retries", "0", "--host-header", f"localhost:{port}",
    ]  # fmt: skip
    if server is not None:
        command += ["--also-pid", str(server.pid)]
    run(command, env={**os.environ, **site.environ, "PERF": str(folder())})
    driven: dict[str, Any] = json.loads(out.read_text().splitlines()[-1])
    if driven["non2xx"] or not driven["requests"]:
        raise CannotMeasure(f"{site.name} answered {driven['non2xx']} of {driven['requests']} requests with no page.")
    return driven


def _limit(server: MeasuredServer | None) -> Site:
    paths, database = folder() / "out" / "limit.paths", folder() / "out" / "portal.sqlite"
    environ = {"APP": "portal1", "DB": "sqlite", "PORTAL_DB": str(database), "PATHS_OUT": str(paths)}
    environ["PERF"] = str(folder())
    if server is not None:
        conninfo = server.conninfo(server.server.create_database())
        environ |= {"DB": "pg", "PG": f"{conninfo} options='-csearch_path=portal'"}
    say("Filling the database of the page made by hand")
    seed = [str(limits_python()), str(harness("portal_limit.py")), "seed", environ["DB"], str(CUSTOMERS), str(EACH)]
    run(seed, env={**os.environ, **environ})
    gunicorn = limits_python().with_name("gunicorn")
    return Site("limit", f"{gunicorn} {_GTHREAD} -b 127.0.0.1:{{port}} portal_limit:app", paths, environ, harness("."))


def _pretix(made: Pretix) -> Site:
    # Its documentation runs it with gunicorn's own kind of worker, where it is quickest, too.
    serve = f"{made.gunicorn} -w 2 --log-level error -b 127.0.0.1:{{port}} pretix.wsgi"
    return Site("pretix", serve, made.paths, made.environ, made.home)


def _ours(server: MeasuredServer | None) -> Site:
    paths = folder() / "out" / "ours.paths"
    if server is None:
        file = folder() / "out" / "page.db"
        for suffix in ("", "-wal", "-shm", "-next", "-writing"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
        url = f"sqlite:///{file}"
    else:
        url = make_url(server.server.create_database()).render_as_string(hide_password=False)
    say("Filling the product's database")
    made = install(url, "qbo")
    customers = [str(number) for number in range(CUSTOMERS)]
    paths.write_text("".join(f"/i/{token}\n" for token in fill(made, customers, EACH, links=LINKS)))
    gunicorn = Path(sys.executable).with_name("gunicorn")
    serve = f"{gunicorn} {_GTHREAD} -b 127.0.0.1:{{port}} {shlex.quote('connector.serving:application()')}"
    return Site("ours", serve, paths, environment(url))


def fill(made: Installation, customers: list[str], each: int, *, links: int) -> list[str]:
    """Give every customer `each` invoices of five lines, a fifth of them open; the tokens of the first links."""
    environ = environment(made.database_url)
    wiring = wired(environ)
    today = date(2026, 11, 1)
    lines = tuple(Line(f"Weekly Gardening Service, line {n}", "2", "32.50", 65_00, 0) for n in range(5))

    def invoice(customer: str, number: int) -> UpstreamInvoice:
        issued = today - timedelta(days=number % 330)
        due = number % 5 == 0
        return UpstreamInvoice(
            Kind.INVOICE, f"{customer}-{number}", f"INV-{customer}-{number}",
            InvoiceState.OPEN if due else InvoiceState.PAID, customer, issued, issued + timedelta(days=30),
            "USD", 325_00, 0, 325_00 if due else 0, "Thank you!", "", "", True, "1", None, lines,
        )  # fmt: skip

    for start in range(0, len(customers), max(1, 10_000 // each)):
        several = customers[start : start + max(1, 10_000 // each)]
        with wiring.database.unit_of_work(made.merchant_id) as uow:
            uow.mirror.put_customers(
                made.connection_id,
                [
                    UpstreamCustomer(name, f"Customer {name}, Inc.", "", "", "", "USD", "", True, "1", None, ())
                    for name in several
                ],
            )
            uow.mirror.put_invoices(
                made.connection_id, [invoice(name, number) for name in several for number in range(each)]
            )
    with wiring.database.unit_of_work(made.merchant_id) as uow:
        tokens = [uow.links.mint(made.connection_id, Scope.CUSTOMER, name)[1] for name in customers[:links]]
        uow.merchants.set_payment_rules(gateway="sandbox", allow_partial=True)
    with wiring.database.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    wiring.database.engine.dispose()
    return tokens


def _growth() -> Figures:
    """The page in one process, no server: CPU and size for customers of 20, 200 and 2,000 invoices."""
    file = folder() / "out" / "growth.db"
    for suffix in ("", "-wal", "-shm", "-next", "-writing"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    made = install(f"sqlite:///{file}", "qbo")
    tokens = {size: fill(made, [f"c{size}"], size, links=1)[0] for size in _SIZES}
    wiring = wired(environment(made.database_url))
    configure("error")
    client = create_app(wiring).test_client()
    figures: dict[str, Any] = {"cpu_ms_a_page": {}, "bytes": {}}
    for _ in range(3):
        for size, token in tokens.items():
            figures["bytes"][size] = len(client.get(f"/i/{token}").data)
            figures["cpu_ms_a_page"].setdefault(size, []).append(_cpu_of_pages(client, f"/i/{token}"))
    figures["cpu_ms_a_page"] = {size: spread(several, 3) for size, several in figures["cpu_ms_a_page"].items()}
    wiring.database.engine.dispose()
    found = Figures("link page in one process, by how many invoices the customer has", figures)
    found.mark("at most 32 kB", max(figures["bytes"].values()) <= 32_000)
    return found


def _cpu_of_pages(client: FlaskClient, path: str, pages: int = 200) -> float:
    began = time.process_time()
    for _ in range(pages):
        if client.get(path).status_code != 200:
            raise CannotMeasure(f"The page at {path[:4]}… did not open.")
    return (time.process_time() - began) / pages * 1000
