"""Workers that really die: each is a process of its own, ended by its own kill -9 at the n-th step it takes.

`python -m tests.model.mortal` serves `tests.nursery`; a line is {"environment": {...}, "ahead": seconds, "fatal": n},
and its child does what is due.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from connector.app import HANDLERS, wire
from connector.checkpoints import Checkpoint, listen
from connector.config import read_settings
from connector.jobs.runner import run_due
from tests.nursery import Nursery, serve

# A worker that is still busy then is stuck: what is due in a run is done within seconds.
_LONGEST_SECONDS = 200


class Mortals:
    """Lets one worker after the other live in this place of a run. Ends them all with `close`."""

    def __init__(self, log: IO[bytes] | None = None) -> None:
        self._nursery = Nursery("tests.model.mortal", log)

    def work(self, environment: Mapping[str, str], ahead: timedelta, fatal: int) -> bool:
        """Let a worker do what is due, on a clock so far ahead, and die at its step `fatal`; whether it died there.

        It survives a walk of fewer steps. AssertionError for any other end.
        """
        told = {"environment": dict(environment), "ahead": ahead.total_seconds(), "fatal": fatal}
        status = self._nursery.wait(self._nursery.bear(told), _LONGEST_SECONDS + 10)
        assert status in (0, signal.SIGKILL), f"a worker ended with {status}"
        return status == signal.SIGKILL

    def close(self) -> None:
        """No more workers."""
        self._nursery.close()


class _Fate:
    def __init__(self, fatal: int) -> None:
        self._left = fatal
        self._lock = threading.Lock()

    def __call__(self, point: Checkpoint) -> None:
        with self._lock:
            self._left -= 1
            if self._left < 0:
                os.kill(os.getpid(), signal.SIGKILL)


def _live(told: Mapping[str, Any]) -> None:
    signal.alarm(_LONGEST_SECONDS)
    ahead = timedelta(seconds=told["ahead"])
    wiring = wire(
        read_settings(told["environment"]),
        clock=lambda: datetime.now(UTC) + ahead,
        dispatch=lambda connection, item, delay: None,
    )
    listen(_Fate(told["fatal"]))
    run_due(wiring, HANDLERS)


if __name__ == "__main__":
    serve(_live)
