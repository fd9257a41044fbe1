"""The small billing systems in a process of their own: `python -m tests.weakbooks PORT [DIRECTORY]`.

Prints its address once it listens (PORT 0: a free one) and serves until it is ended. DIRECTORY keeps payments.jsonl,
the append-only log of every payment recorded or voided, and requests.jsonl.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from integrations.simulator.server import serve
from tests.weakbooks.simulator import WeakUpstreams


def main(port: int, directory: Path | None) -> None:
    """Serve until told to stop."""
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    with serve(WeakUpstreams(directory), port) as server:
        print(server.url, flush=True)
        stop.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
