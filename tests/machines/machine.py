"""One machine of several: a host name, a working folder and a clock of its own, then a part of the product.

`python -m tests.machines.machine NAME SECONDS_OFF FOLDER PART ARGUMENT…`, where PART is a module with a `main`.
"""

from __future__ import annotations

import importlib
import os
import platform
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine


def become(name: str, seconds_off: float, folder: Path) -> None:
    """Let this process believe that it runs elsewhere, by a clock that is wrong by so many seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    platform.node = lambda: name
    socket.gethostname = lambda: name
    if seconds_off:
        # Every way to ask for the time is shifted; the steady counter goes on as it does on any machine.
        time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds_off), tick=True).start()


def main(name: str, seconds_off: str, folder: str, part: str, *arguments: str) -> None:
    """Become the machine and run the part."""
    become(name, float(seconds_off), Path(folder))
    importlib.import_module(part).main(*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
