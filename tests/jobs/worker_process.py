"""A worker as a process of its own, for tests that kill it: `python -m tests.jobs.worker_process URL LOG MODE`.

Each attempt appends a line to LOG; LOG.<pid> appears once it works. Mode `hang`: never return; `work`: do it. With
`patient` as a fourth argument silence counts as death after ten minutes only. Ends on SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from connector.db.work import WorkItem
from connector.domain.work import Work
from connector.jobs.engine import Dispatcher, Engine
from connector.jobs.housekeeping import Pace
from connector.serving import leave
from connector.wiring import Wiring
from tests.jobs.wired import wired

FAST = Pace(poll=0.05, beat=0.3, dead_after=1.5, sweep=1.0, lost_after=2.0, stop_within=5.0)


def main(address: str, log: Path, mode: str, patience: str = "") -> None:
    """Work until told to stop."""

    def handler(wiring: Wiring, item: WorkItem) -> None:
        with log.open("a") as lines:
            lines.write(f"{mode} {os.getpid()} {item.id} {item.attempt}\n")
        if mode == "hang":
            time.sleep(600)

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    dispatch = Dispatcher(address)
    pace = replace(FAST, dead_after=600.0) if patience else FAST
    engine = Engine(wired(address, dispatch), {kind: handler for kind in Work}, pace)
    engine.start()
    log.with_suffix(f".{os.getpid()}").touch()
    stop.wait()
    engine.stop()
    dispatch.close()
    leave(engine)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
