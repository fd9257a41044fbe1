"""Gives birth to processes of the product within a tenth of a second: everything is imported once, then it forks.

`python -m tests.faults.nursery`: reads one JSON object a line, {"role", "settings", "control", "passed", "log",
"weak", ...}; prints "born PID" and, when one has ended, "dead PID STATUS". Each child is a process of its own with its
own connections, its own executor and no memory of the others; it lives until it is killed.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import select
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connector import checkpoints
from connector.app import HANDLERS, wire
from connector.config import read_settings
from connector.jobs.engine import Engine
from connector.jobs.housekeeping import Pace
from connector.wiring import Timing, Wiring
from tests.faults import doors
from tests.faults.control import Control, Fate
from tests.faults.places import places
from tests.weakbooks.weaknesses import ALL
from tests.weakbooks.wiring import with_weak

# A dead worker is noticed within half a second, and work the engine has lost within two.
PACE = Pace(poll=0.03, beat=0.1, dead_after=0.4, sweep=0.5, lost_after=1.5, threads=8)
# The simulators answer within milliseconds; the harness sees to it that none is busy when the next worker begins.
TIMING = Timing(in_flight=1.0, between_pages=0.1)


def wiring_of(settings: Mapping[str, str], control: Control, weak: str) -> Wiring:
    """The product as an installation wires it, with the shared clock and the small systems."""
    return with_weak(wire(read_settings(dict(settings)), clock=control.now, timing=TIMING), ALL, weak)


def _live(told: Mapping[str, Any]) -> None:
    log = os.open(told["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, file in ((0, nothing), (1, log), (2, log)):
        os.dup2(file, number)
    faulthandler.enable()
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    control = Control(Path(told["control"]))
    wiring = wiring_of(told["settings"], control, told["weak"])
    checkpoints.listen(Fate(control, Path(told["passed"]) if told.get("passed") else None))
    if told["role"] == "worker":
        Engine(wiring, HANDLERS, PACE).start()
        threading.Event().wait()
    doors.TABLE[told["role"]](wiring, **told["told"])


def main() -> None:
    """Serve until the standard input ends, then take the children along."""
    places()
    gc.freeze()
    children: set[int] = set()
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], 0.01)
        if readable:
            line = sys.stdin.readline()
            if not line:
                break
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    _live(json.loads(line))
                    status = 0
                except Exception:
                    sys.excepthook(*sys.exc_info())
                finally:
                    sys.stderr.flush()
                    os._exit(status)
            children.add(child)
            print(f"born {child}", flush=True)
        while children:
            ended, status = os.waitpid(-1, os.WNOHANG)
            if ended == 0:
                break
            children.discard(ended)
            print(f"dead {ended} {status}", flush=True)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
