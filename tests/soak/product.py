"""The product as it is served, but impatient: `python -m tests.soak.product web PORT`, or `worker`.

Only waiting is shortened; every process is started by the functions the commands call.
"""

from __future__ import annotations

import os
import sys

from connector.config import read_settings
from connector.jobs.housekeeping import Pace
from connector.serving import serve, work
from connector.wiring import Timing

# The upstreams stand on this machine and answer within two seconds, whatever is armed.
TIMING = Timing(in_flight=6.0, checkout=90.0)
PACE = Pace(poll=0.2, beat=1.0, dead_after=8.0, sweep=5.0, lost_after=20.0, threads=8)


def main(what: str, *arguments: str) -> None:
    """Serve or work until told to stop."""
    settings = read_settings(os.environ)
    if what == "web":
        serve(settings, host="127.0.0.1", port=int(arguments[0]), embedded=False, timing=TIMING)
    elif what == "worker":
        work(settings, timing=TIMING, pace=PACE)
    else:
        raise SystemExit(f"There is no part called {what!r}: web or worker.")


if __name__ == "__main__":
    main(*sys.argv[1:])
