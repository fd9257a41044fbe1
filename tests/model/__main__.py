"""make model: random walks on both databases at once, each in a process of its own, for a time or a number of walks.

Says once a minute how far each is; its last lines are one JSON object for each database. What fails ends its
database's run and is told with the commands that replay it, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO

from tests.model.databases import KINDS
from tests.model.one import Asked

_EXAMPLES = 60
_BETWEEN_REPORTS = 60.0


def main() -> int:
    """Run on the databases asked for; the exit code."""
    options = _options()
    kinds = [kind for kind in KINDS if options.database in (kind, "both")]
    folder = Path(tempfile.mkdtemp(prefix="duebridge-model-logs-"))
    examples = options.examples or (0 if options.minutes else _EXAMPLES)
    print(f"MODEL_SEED={options.seed}; {' and '.join(kinds)}; logs in {folder}", flush=True)
    runs = [
        _Run(
            Asked(
                kind,
                seed=options.seed,
                log=str(folder / f"{kind}.log"),
                seconds=options.minutes * 60,
                examples=examples,
                blob=options.replay,
            )
        )
        for kind in kinds
    ]
    try:
        good = all([run.wait() for run in runs])
    finally:
        for run in runs:
            run.end()
    if good:
        shutil.rmtree(folder)
    for run in runs:
        print(json.dumps(run.last), flush=True)
    return 0 if good else 1


def _options() -> argparse.Namespace:
    asked = argparse.ArgumentParser(prog="make model")
    asked.add_argument("--database", choices=(*KINDS, "both"), default="both")
    asked.add_argument("--minutes", type=float, default=0.0, help="begin no further batch after so many")
    asked.add_argument("--examples", type=int, default=0, help=f"walks on each database; {_EXAMPLES} where no minutes")
    asked.add_argument("--seed", type=int, default=int(os.environ.get("MODEL_SEED") or time.time()))
    asked.add_argument("--replay", default=os.environ.get("MODEL_REPLAY", ""), help="one failure alone")
    return asked.parse_args()


class _Run:
    """The process of one database, as its parent sees it; `last` is what it said last."""

    def __init__(self, asked: Asked) -> None:
        self.last: dict[str, object] = {"database": asked.kind, "failed": "nothing was heard of it", "log": asked.log}
        # The workers and the database it has started end with its standard input, and it with ours.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.model.one", json.dumps(asdict(asked))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def wait(self) -> bool:
        """Until it has ended; whether all was well."""
        ended = self._process.wait()
        self._reader.join()
        return ended == 0 and "failed" not in self.last

    def end(self) -> None:
        """However far it is."""
        self._process.terminate()
        self._process.wait()

    def _read(self, lines: IO[str]) -> None:
        said = time.monotonic()
        with lines:
            for line in lines:
                self.last = json.loads(line)
                if "failed" in self.last or time.monotonic() - said > _BETWEEN_REPORTS:
                    said = time.monotonic()
                    print(line, end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
