"""`make bench`: every measurement, one JSON line each on standard output; words for people on standard error.

PEERS=1 runs the vendors' taps, pretix and dj-stripe along, installing them at their first use. Names of groups may be
given: `python -m tests.bench ingest jobs write-back backlog recovery scale`.
`storm` (10,000 webhooks in a minute) runs only when named.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator

from tests.bench import background, first_import, growth, ingest, portal_page, reading, scale
from tests.bench.figures import Figures
from tests.bench.surroundings import HARNESS, CannotMeasure, folder, say

_ONLY_WHEN_NAMED = {"storm"}


def main() -> int:
    """Measure; 1 when a mark was missed or something could not be measured."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("groups", nargs="*", help="only these")
    asked.add_argument("--runs", type=int, default=3)
    asked.add_argument("--largest", type=int, default=200_000, help="invoices of the largest import (1000000: an hour)")
    asked.add_argument("--no-postgres", action="store_true")
    asked.add_argument("--merchants", type=int, default=1_000, help="of the group scale")
    asked.add_argument("--each", type=int, default=1_000, help="invoices of each merchant of the group scale")
    asked.add_argument("--seconds", type=int, default=8, help="of each run of ingest; three times as long: write-back")
    options = asked.parse_args()
    peers = os.environ.get("PEERS", "") not in ("", "0")
    postgres = not options.no_postgres

    def imports(kind: str) -> Callable[[], Iterator[Figures]]:
        return lambda: first_import.measure_import(kind, runs=options.runs, postgres=postgres, peers=peers)

    groups: dict[str, Callable[[], Iterator[Figures]]] = {
        "import-quickbooks": imports("qbo"),
        "import-xero": imports("xero"),
        "portal": lambda: portal_page.measure_portal(runs=options.runs, postgres=postgres, peers=peers),
        "nothing-new": reading.nothing_new,
        "latency": lambda: iter([reading.hide_latency(runs=options.runs)]),
        "memory": lambda: reading.memory(largest=options.largest, runs=options.runs),
        "ingest": lambda: ingest.measure_ingest(
            runs=options.runs, postgres=postgres, peers=peers, seconds=options.seconds
        ),
        "storm": lambda: ingest.storm(postgres=postgres),
        "jobs": lambda: background.measure_jobs(postgres=postgres),
        "write-back": lambda: background.measure_write_back(postgres=postgres, seconds=3 * options.seconds),
        "backlog": lambda: background.measure_backlog(postgres=postgres),
        "recovery": lambda: background.measure_recovery(postgres=postgres),
        "growth": lambda: growth.measure_growth(merchants=200, each=1_000, rows=1_000_000),
        "scale": lambda: scale.measure_scale(merchants=options.merchants, each=options.each, postgres=postgres),
    }
    if unknown := set(options.groups) - set(groups):
        asked.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(groups)}")
    if not HARNESS.exists():
        say(f"Nothing can be measured: the shared performance harness is not at {HARNESS}.")
        return 1
    say(f"Data, environments and databases are kept in {folder()}.")
    if not peers:
        say("Taps, pretix and dj-stripe do not run; PEERS=1 runs them.")
    missed = 0
    for name, group in groups.items():
        if name not in (options.groups or set(groups) - _ONLY_WHEN_NAMED):
            continue
        say(f"== {name}")
        try:
            for found in group():
                print(found.line(), flush=True)
                missed += sum(not met for met in found.marks.values())
        except CannotMeasure as reason:
            say(f"{name} was not measured: {reason}")
            missed += 1
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
