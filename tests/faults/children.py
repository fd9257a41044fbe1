"""What the nursery of the faults gives birth to: workers, which live until they are killed, and doors.

`python -m tests.faults.children` serves `tests.nursery`; each line is {"role", "settings", "control", "passed", "log",
"weak", "told"}.
"""

from __future__ import annotations

import gc
import os
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
from tests.nursery import serve
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
    control = Control(Path(told["control"]))
    wiring = wiring_of(told["settings"], control, told["weak"])
    checkpoints.listen(Fate(control, Path(told["passed"]) if told.get("passed") else None))
    if told["role"] == "worker":
        Engine(wiring, HANDLERS, PACE).start()
        threading.Event().wait()
    doors.TABLE[told["role"]](wiring, **told["told"])


def main() -> None:
    """Serve until the standard input ends."""
    places()
    gc.freeze()
    serve(_live)


if __name__ == "__main__":
    main()
