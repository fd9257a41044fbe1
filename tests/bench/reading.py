"""What importing costs besides CPU: hiding an upstream's latency, memory, and a sync that finds nothing new."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import structlog

from connector.db.work import WorkItem
from connector.domain.work import Work
from connector.journeys import sync
from tests.bench.figures import Figures, spread
from tests.bench.first_import import sync_once
from tests.bench.product import SYSTEM, UNHURRIED, SqliteInstallations, environment, wired
from tests.bench.surroundings import folder, say, upstream

_PAGES_IN_TIME = 100
_LATENCY_MS = 500
_ALLOWED_A_SECOND = 8_333
_MOST_MB = 110.0
_MOST_CPU_MS = 10.0
_SYNCS = 50


def hide_latency(*, runs: int) -> Figures:
    """QuickBooks answering each page after half a second, read within its own rate limits as the manifest has them."""
    invoices = _PAGES_IN_TIME * 1000
    seen, requests = [], 0
    with upstream(invoices, "qbo", latency_ms=_LATENCY_MS) as source:
        installations = SqliteInstallations(folder() / "out", "qbo")
        for number in range(runs):
            source.requests()
            run = sync_once(installations.fresh(), source)
            requests = source.requests()
            seen.append(run)
            say(f"run {number + 1}: {run['wall']} s, noise {run['noise']}")
    rates = [invoices / run["wall"] for run in seen]
    found = Figures(
        "pages in flight, QuickBooks answering after 500 ms",
        {
            "invoices": invoices,
            "invoices_a_second": spread(rates),
            "share_of_8333": round(sorted(rates)[len(rates) // 2] / _ALLOWED_A_SECOND, 3),
            "pss_mb": spread([run["rss_mb"] for run in seen]),
            "requests": requests,
            "rate": "the manifest's own (500 a minute, 10 a second), no DUEBRIDGE_QUICKBOOKS_RATE; start included",
            "noise": spread([run["noise"] for run in seen], 2),
        },
    )
    found.mark("at least 75 % of 8,333 invoices a second", found.figures["share_of_8333"] >= 0.75)
    found.mark("at most N/1000 + 3 requests", requests <= _PAGES_IN_TIME + 3)
    found.mark(f"at most {_MOST_MB:g} MB", found.figures["pss_mb"]["median"] <= _MOST_MB)
    return found


def memory(*, largest: int, runs: int) -> Iterator[Figures]:
    """Peak memory of a sync of 10,000 invoices and of many more, upstream answering at once (8 or 4 in flight)."""
    for kind in ("qbo", "xero"):
        peaks: dict[int, float] = {}
        for invoices in (10_000, largest):
            with upstream(invoices, kind) as source:
                installations = SqliteInstallations(folder() / "out", kind)
                several = [
                    sync_once(installations.fresh(), source, **UNHURRIED)["rss_mb"]
                    for _ in range(runs if invoices == 10_000 else 1)
                ]
            peaks[invoices] = sorted(several)[len(several) // 2]
            say(f"{invoices}: {several} MB")
        found = Figures(f"peak memory, {SYSTEM[kind]}", {"pss_mb": peaks})
        growth = peaks[largest] / peaks[10_000] - 1
        found.figures["growth"] = round(growth, 3)
        found.mark(f"at most {_MOST_MB:g} MB", max(peaks.values()) <= _MOST_MB)
        found.mark(f"at most 10 % more for {largest} than for 10,000", growth <= 0.10)
        yield found


def nothing_new() -> Iterator[Figures]:
    """A sync that finds nothing, in a process that runs already: invoices alone, and all kinds."""
    for kind in ("qbo", "xero"):
        with upstream(10_000, kind) as source:
            made = SqliteInstallations(folder() / "out", kind).fresh()
            environ = environment(made.database_url, source.url, **UNHURRIED)
            before = dict(os.environ)
            os.environ.update(environ)
            try:
                structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=open(os.devnull, "w")))  # noqa: SIM115
                wiring = wired(environ)
                for kinds in (["invoice"], []):
                    item = WorkItem(
                        id="measured",
                        kind=Work.SYNC,
                        merchant=made.merchant_id,
                        partition=str(made.connection_id),
                        attempt=1,
                        failures=0,
                        asked=1,
                        payload={"connection": made.connection_id, "kinds": kinds},
                        sent_at=None,
                        correlation="",
                    )
                    sync.run(wiring, item)
                    source.requests()
                    times = []
                    for _ in range(_SYNCS):
                        began = time.process_time()
                        sync.run(wiring, item)
                        times.append((time.process_time() - began) * 1000)
                    found = Figures(
                        f"a sync with nothing new, {SYSTEM[kind]}, {'invoices' if kinds else 'all kinds'}",
                        {"cpu_ms": spread(times, 2), "requests_a_sync": source.requests() / _SYNCS, "syncs": _SYNCS},
                    )
                    found.mark(f"at most {_MOST_CPU_MS:g} ms CPU", found.figures["cpu_ms"]["median"] <= _MOST_CPU_MS)
                    yield found
                wiring.database.engine.dispose()
            finally:
                os.environ.clear()
                os.environ.update(before)
