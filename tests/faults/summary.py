"""What a run that kills processes is asked, and what it prints at its end, alone or among all other tests."""

from __future__ import annotations

import os
from collections.abc import Iterable

DATABASES = ("sqlite", "postgresql")
# The whole product of steps, moments, faults and systems.
FULL = os.environ.get("FULL", "") not in ("", "0")
SEED = int(os.environ.get("FAULTS_SEED", "20261122"))
# The name under which a test's report carries "<processes killed> <seconds>".
NOTE = "tests/faults"


def summary(notes: Iterable[tuple[str, str]]) -> list[str]:
    """The seed, and how many processes died on each database, of the tests' names and their notes; [] for none."""
    told = list(notes)
    lines = []
    for database in DATABASES:
        values = [value.split() for name, value in told if database in name]
        killed, seconds = sum(int(value[0]) for value in values), sum(float(value[1]) for value in values)
        if values:
            lines.append(
                f"faults on {database}: seed {SEED}, {killed} processes killed in {len(values)} tests, "
                f"{seconds:.0f} seconds"
            )
    return lines
