"""A worker whose handlers do nothing, or hang: `python -m tests.bench.empty_worker URL done|hang`. What remains is what
the engine costs. The pace is the product's own."""

from __future__ import annotations

import signal
import sys
import threading

from connector.db.work import WorkItem
from connector.domain.work import Work
from connector.jobs.engine import Dispatcher, Engine
from connector.wiring import Wiring
from tests.jobs.wired import wired


def main(address: str, mode: str) -> None:
    """Work until told to stop."""

    def handler(wiring: Wiring, item: WorkItem) -> None:
        if mode == "hang":
            threading.Event().wait()

    told = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: told.set())
    dispatch = Dispatcher(address)
    engine = Engine(wired(address, dispatch), {kind: handler for kind in Work})
    engine.start()
    told.wait()
    engine.stop()
    dispatch.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
