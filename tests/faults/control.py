"""What the harness tells all processes of the product while they run, through a small file they share.

How far the clock is ahead, and the checkpoint at which the process that passes it is to die.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connector.checkpoints import Checkpoint
from tests.faults.places import name_of

_SIZE = 1024
_AHEAD = struct.Struct("<d")
_TARGET = struct.Struct("<H")


class Control:
    """The shared file. Written by the harness only."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_SIZE))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _SIZE)

    @property
    def ahead(self) -> float:
        """Seconds the product's clock is ahead of the real one."""
        return float(_AHEAD.unpack_from(self._shared, 0)[0])

    def advance(self, seconds: float) -> None:
        """Let time pass for all processes."""
        _AHEAD.pack_into(self._shared, 0, self.ahead + seconds)

    def now(self) -> datetime:
        """The product's clock (UTC)."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    @property
    def target(self) -> str:
        """The checkpoint a process dies at, '' for none; with ' @3' for the third passing."""
        (length,) = _TARGET.unpack_from(self._shared, _AHEAD.size)
        start = _AHEAD.size + _TARGET.size
        return self._shared[start : start + length].decode()

    def aim(self, target: str) -> None:
        """Let the process that passes this checkpoint next die there; '' lets all live."""
        start, text = _AHEAD.size + _TARGET.size, target.encode()
        # The length goes last and comes first: nobody ever reads half a name.
        _TARGET.pack_into(self._shared, _AHEAD.size, 0)
        self._shared[start : start + len(text)] = text
        _TARGET.pack_into(self._shared, _AHEAD.size, len(text))


class Fate:
    """Hears every checkpoint of its process: writes moment and name into a log, dies by SIGKILL at the one aimed at."""

    def __init__(self, control: Control, log: Path | None) -> None:
        self._control = control
        self._log = None if log is None else os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._aimed, self._passed = "", 0

    def __call__(self, point: Checkpoint) -> None:
        name = name_of(point)
        if self._log is not None:
            os.write(self._log, f"{time.monotonic():.4f} {name}\n".encode())
        target = self._control.target
        if not target:
            return
        wanted, _, number = target.partition(" @")
        if target != self._aimed:
            self._aimed, self._passed = target, 0
        if name == wanted:
            self._passed += 1
            if self._passed >= int(number or 1):
                os.kill(os.getpid(), signal.SIGKILL)
                # The signal is on its way; nothing more may happen in this thread.
                time.sleep(60)
