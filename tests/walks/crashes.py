"""A process that dies: at the n-th step of a walk everything in memory is lost, and what was committed stays.

A step is a checkpoint: the moment before or after a commit, and the moment before or after an outside call. Here the
death is an exception in this process, so that every step of a walk is died at within seconds; tests/faults does the
same to real workers by kill -9.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from connector.checkpoints import Checkpoint, listen

# Threads a journey works in; the doors' threads belong to other processes and live on.
_OURS = ("MainThread", "page", "reread")


class Died(BaseException):
    """The process is gone. Not an Exception: nothing in the product may catch it."""


class Steps:
    """Counts the steps a walk takes and dies at the one it is told to."""

    def __init__(self, fatal: int | None) -> None:
        self._fatal = fatal
        self._lock = threading.Lock()
        self.names: list[str] = []
        self.dead = False

    def __call__(self, point: Checkpoint) -> None:
        """One step. Raises Died when it is the fatal one, and at every later one: the dead do nothing."""
        if not threading.current_thread().name.startswith(_OURS):
            return
        with self._lock:
            self.names.append(f"{point.moment} {point.step} at {point.place}")
            if len(self.names) - 1 == self._fatal:
                self.dead = True
            if self.dead:
                raise Died(self.names[-1])


@contextmanager
def steps(fatal: int | None = None) -> Iterator[Steps]:
    """Everything inside the block takes countable steps."""
    counter = Steps(fatal)
    before = listen(None)

    def hear(point: Checkpoint) -> None:
        if before is not None:
            before(point)
        counter(point)

    listen(hear)
    try:
        yield counter
    finally:
        listen(before)
