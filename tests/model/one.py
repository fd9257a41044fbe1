"""A run on one database, in a process of its own: one JSON line a batch tells how far it is (see tests.model)."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from connector.db.migrations import upgrade
from tests.model.batch import blob_of, run_batch
from tests.model.databases import Fresh, postgresql_copies, sqlite_copies
from tests.model.mortal import Mortals
from tests.postgres_server import embedded_server, server_at

# The first walk of a batch is the simplest there is, so a batch is not too small; and small enough to be replayed.
BATCH = 12
STEPS = 40
COUNTED = ("examples", "steps", "payments", "refunds", "paid by hand", "faults", "kills", "lost", "doubled")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be run: `seconds` from now or `examples` walks, whichever ends first where both are given.

    `blob` walks one failure alone; `log` takes what the product says, of the last batch.
    """

    kind: str
    seed: int
    log: str
    seconds: float = 0.0
    examples: int = 0
    blob: str = ""


def run(asked: Asked) -> Iterator[dict[str, object]]:
    """Batch after batch, each with the next seed: how far the run is, and with the last, why it ended."""
    began, number, failed = time.monotonic(), asked.seed, ""
    counted: Counter[str] = Counter()
    with _databases(asked.kind) as fresh, _mortals() as mortals:
        left = asked.examples
        while True:
            examples = min(BATCH, left) if asked.examples else BATCH
            os.truncate(asked.log, 0)
            try:
                run_batch(fresh, mortals, counted, number=number, examples=examples, steps=STEPS, blob=asked.blob)
            except Exception as failure:
                failed = _told(asked, failure, number, examples)
                traceback.print_exc()
            seconds = time.monotonic() - began
            number, left = number + 1, left - examples
            over = failed or asked.blob or 0 < asked.seconds < seconds or (asked.examples and left <= 0)
            yield {
                "database": asked.kind,
                "minutes": round(seconds / 60, 1),
                **{name.replace(" ", "_"): counted[name] for name in COUNTED},
                "seeds": [asked.seed, number - 1],
                **({"failed": failed, "log": asked.log} if failed else {}),
            }
            if over:
                return


def _told(asked: Asked, failure: Exception, number: int, examples: int) -> str:
    """The failure's own words, and the commands that walk this way again."""
    words = str(failure) or type(failure).__name__
    if asked.blob:
        return words[:2000]
    where = f"make model DATABASE={asked.kind}"
    alone = f"; that walk alone: {where} MODEL_REPLAY={blob}" if (blob := blob_of(failure)) else ""
    return f"{words[:2000]} -- replay: {where} MODEL_SEED={number} EXAMPLES={examples}{alone}"


@contextmanager
def _databases(kind: str) -> Iterator[Fresh]:
    with tempfile.TemporaryDirectory(prefix="duebridge-model-") as name:
        if kind == "sqlite":
            template = Path(name) / "template.db"
            upgrade(f"sqlite:///{template}")
            yield sqlite_copies(template, Path(name))
            return
        server_url = os.environ.get("TEST_DATABASE_URL")
        if server_url:
            server = server_at(server_url)
            url = server.create_database()
            upgrade(url)
            try:
                yield postgresql_copies(server, url)
            finally:
                server.drop_database(url)
            return
        with embedded_server() as server:
            url = server.create_database()
            upgrade(url)
            yield postgresql_copies(server, url)


@contextmanager
def _mortals() -> Iterator[Mortals]:
    made = Mortals()
    try:
        yield made
    finally:
        made.close()


def main() -> None:
    """Do what the first argument asks for, an `Asked` as JSON."""
    asked = Asked(**json.loads(sys.argv[1]))
    lines = os.fdopen(os.dup(1), "w")
    log = os.open(asked.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for number in (1, 2):
        os.dup2(log, number)
    failed = False
    for report in run(asked):
        failed = "failed" in report
        print(json.dumps(report), file=lines, flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
