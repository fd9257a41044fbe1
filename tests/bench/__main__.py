"""`make bench`: every measurement, one JSON line each on standard output; words for people on standard error.

PEERS=1 runs the vendors' taps and pretix along, installing them at their first use. Names of groups may be given:
`python -m tests.bench import-quickbooks portal`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator

from tests.bench import first_import, portal_page, reading
from tests.bench.figures import Figures
from tests.bench.surroundings import HARNESS, CannotMeasure, folder, say


def main() -> int:
    """Measure; 1 when a mark was missed or something could not be measured."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("groups", nargs="*", help="only these")
    asked.add_argument("--runs", type=int, default=3)
    asked.add_argument("--largest", type=int, default=200_000, help="invoices of the largest import (1000000: an hour)")
    asked.add_argument("--no-postgres", action="store_true")
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
    }
    if unknown := set(options.groups) - set(groups):
        asked.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(groups)}")
    if not HARNESS.exists():
        say(f"Nothing can be measured: the shared performance harness is not at {HARNESS}.")
        return 1
    say(f"Data, environments and databases are kept in {folder()}.")
    if not peers:
        say("Taps and pretix do not run; PEERS=1 runs them.")
    missed = 0
    for name, group in groups.items():
        if options.groups and name not in options.groups:
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
