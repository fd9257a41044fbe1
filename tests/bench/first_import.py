"""The first import of many invoices, beside the hand-made limit and the vendors' own taps, by CPU an invoice.

What differs from the limit, told rather than hidden: the product keeps an invoice's lines as one JSON value in its row,
where the limit writes a row a line; and it keeps twice the columns, four more indexes, and foreign keys.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.bench import surroundings
from tests.bench.figures import Figures, median, spread
from tests.bench.peers import tap_command
from tests.bench.postgres import MeasuredServer, measured_server
from tests.bench.product import SYSTEM, UNHURRIED, Installation, SqliteInstallations, environment, install
from tests.bench.surroundings import Upstream, folder, harness, limits_python, measure, say, upstream

INVOICES = 50_000
# CPU an invoice of the taps, divided by ten, where the taps themselves are not run along.
_MARK_US = {"qbo": 80.0, "xero": 98.0}
_LEAST_SHARE = 0.45
Run = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that imports: a name, and how to start it."""

    name: str
    command: Callable[[Upstream], tuple[str, Mapping[str, str]]]


def measure_import(kind: str, *, runs: int, postgres: bool, peers: bool) -> Iterator[Figures]:
    """All contenders in turn, `runs` times; a line for each database. `kind`: 'qbo' or 'xero'."""
    with upstream(INVOICES, kind) as source:
        yield _on_sqlite(kind, source, runs, peers)
        if postgres:
            with measured_server() as server:
                yield _on_postgresql(kind, source, server, runs)


def _on_sqlite(kind: str, source: Upstream, runs: int, peers: bool) -> Figures:
    installations = SqliteInstallations(folder() / "out", kind)

    def ours(at: Upstream) -> tuple[str, Mapping[str, str]]:
        made = installations.fresh()
        return shlex.join(made.sync_command()), environment(made.database_url, at.url, **UNHURRIED)

    def limit(mode: str) -> Callable[[Upstream], tuple[str, Mapping[str, str]]]:
        return lambda at: (shlex.join([*limit_command(mode, kind, at), "--fresh"]), os.environ)

    contenders = [Contender("ours", ours), Contender("limit", limit("sqlite_ms"))]
    contenders.append(Contender("limit_orjson", limit("sqlite")))
    if peers:
        contenders.append(Contender("tap", lambda at: (tap_command(kind, at), os.environ)))
    seen, requests = _in_turn(contenders, source, runs, [source.pid])
    found = Figures(f"first import, {SYSTEM[kind]}, SQLite", _told(seen, requests))
    found.figures["command"] = shlex.join(["duebridge", *installations.fresh().sync_command()[1:]])
    _mark_against_limit(found, seen)
    mine = median(seen["ours"], "cpu_us")
    found.mark(f"at most {_MARK_US[kind]:g} us CPU an invoice", mine <= _MARK_US[kind])
    if peers:
        found.figures["times_tap"] = round(median(seen["tap"], "cpu_us") / mine, 1)
        found.mark("at least 10 times the tap", found.figures["times_tap"] >= 10)
    found.mark("at most N/1000 + 3 requests", requests <= -(-source.invoices // 1000) + 3)
    return found


def _on_postgresql(kind: str, source: Upstream, server: MeasuredServer, runs: int) -> Figures:
    limits_url = server.server.create_database()
    urls: list[str] = []

    def ours(at: Upstream) -> tuple[str, Mapping[str, str]]:
        for url in urls:
            server.server.drop_database(url)
        urls[:] = [server.server.create_database()]
        made = install(urls[0], kind)
        return shlex.join(made.sync_command()), environment(made.database_url, at.url, **UNHURRIED)

    def limit(at: Upstream) -> tuple[str, Mapping[str, str]]:
        command = [*limit_command("pg_copy", kind, at), "--fresh", "--pg", server.conninfo(limits_url)]
        return shlex.join(command), os.environ

    seen, requests = _in_turn([Contender("ours", ours), Contender("limit", limit)], source, runs, [server.pid])
    for several in seen.values():
        for run in several:
            run["cpu_us"] = round(run["cpu_us"] + run["server_cpu"] / source.invoices * 1e6, 2)
    found = Figures(f"first import, {SYSTEM[kind]}, PostgreSQL (client and server)", _told(seen, requests))
    found.figures["server_us"] = {
        name: spread([run["server_cpu"] / source.invoices * 1e6 for run in several]) for name, several in seen.items()
    }
    _mark_against_limit(found, seen)
    return found


def _in_turn(
    contenders: list[Contender], source: Upstream, runs: int, servers: list[int]
) -> tuple[dict[str, list[dict[str, Any]]], int]:
    """Every contender's runs, taken in turn so that all meet the same machine; and our requests in the last run."""
    harness_measure = measure()
    seen: dict[str, list[dict[str, Any]]] = {contender.name: [] for contender in contenders}
    requests = 0
    for number in range(runs):
        for contender in contenders:
            command, environ = contender.command(source)
            source.requests()
            surroundings.settle()
            run = once(harness_measure, command, environ, servers)
            run["cpu_us"] = round(run["cpu"] / source.invoices * 1e6, 2)
            asked = source.requests()
            if contender.name == "ours":
                requests = asked
            seen[contender.name].append(run)
            say(f"run {number + 1}: {contender.name} {run['cpu_us']} us, {run['wall']} s, noise {run['noise']}")
    return seen, requests


def once(harness_measure: Any, command: str, environ: Mapping[str, str], servers: list[int]) -> dict[str, Any]:
    """One measured run of a shell command. Raises CannotMeasure when it fails."""
    log = folder() / "out" / "run.log"
    before = dict(os.environ)
    os.environ.update(environ)
    try:
        run: dict[str, Any] = harness_measure.once(f"exec {command} >{shlex.quote(str(log))} 2>&1", servers)
    finally:
        os.environ.clear()
        os.environ.update(before)
    if run["rc"]:
        raise surroundings.CannotMeasure(f"{command[:200]} failed: {log.read_text(errors='replace')[-800:]}")
    return run


def limit_command(mode: str, kind: str, at: Upstream) -> list[str]:
    """The hand-made limit in one of its modes."""
    database = folder() / "out" / "limit.sqlite"
    command = [str(limits_python()), str(harness("limit_import.py")), mode, kind]
    return [*command, "--port", str(at.port), "--db", str(database)]


def sync_once(made: Installation, at: Upstream, **more: str) -> dict[str, Any]:
    """One measured run of our sync."""
    return once(measure(), shlex.join(made.sync_command()), environment(made.database_url, at.url, **more), [at.pid])


def _told(seen: Mapping[str, list[dict[str, Any]]], requests: int) -> dict[str, Any]:
    return {
        "invoices": INVOICES,
        "cpu_us_an_invoice": {name: spread([run["cpu_us"] for run in several]) for name, several in seen.items()},
        "wall_s": {name: spread([run["wall"] for run in several]) for name, several in seen.items()},
        "pss_mb": {name: spread([run["rss_mb"] for run in several]) for name, several in seen.items()},
        "requests": requests,
        "noise": spread([run["noise"] for several in seen.values() for run in several], 2),
    }


def _mark_against_limit(found: Figures, seen: Mapping[str, list[dict[str, Any]]]) -> None:
    share = median(seen["limit"], "cpu_us") / median(seen["ours"], "cpu_us")
    found.figures["share_of_limit"] = round(share, 3)
    found.mark(f"at least {_LEAST_SHARE:.0%} of the limit", share >= _LEAST_SHARE)
