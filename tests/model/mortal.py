"""Workers that really die: each is a process of its own, ended by its own kill -9 at the n-th step it takes.

`python -m tests.model.mortal` imports the product once and reads one JSON object a line, {"environment": {...},
"ahead": seconds, "fatal": n}. For each it forks a process that does what is due, and answers with how that ended.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from connector.app import HANDLERS, wire
from connector.checkpoints import Checkpoint, listen
from connector.config import read_settings
from connector.jobs.runner import run_due

# A worker that is still busy then is stuck: what is due in a run is done within seconds.
_LONGEST_SECONDS = 200


class Mortals:
    """Lets one worker after the other live in this place of a run. Ends them all with `close`."""

    def __init__(self, log: IO[bytes] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.model.mortal"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def work(self, environment: Mapping[str, str], ahead: timedelta, fatal: int) -> bool:
        """Let a worker do what is due, on a clock so far ahead, and die at its step `fatal`; whether it died there.

        It survives a walk of fewer steps. AssertionError for any other end.
        """
        told = {"environment": dict(environment), "ahead": ahead.total_seconds(), "fatal": fatal}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer in ("0", str(-signal.SIGKILL)), f"a worker ended with {answer or 'silence'}"
        return answer != "0"

    def close(self) -> None:
        """No more workers."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


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
    os.dup2(2, 1)
    faulthandler.enable()
    signal.alarm(_LONGEST_SECONDS)
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    ahead = timedelta(seconds=told["ahead"])
    wiring = wire(
        read_settings(told["environment"]),
        clock=lambda: datetime.now(UTC) + ahead,
        dispatch=lambda connection, item, delay: None,
    )
    listen(_Fate(told["fatal"]))
    run_due(wiring, HANDLERS)


def main() -> None:
    """Serve until the standard input ends."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _live(json.loads(line))
                status = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stderr.flush()
                os._exit(status)
        _, ended = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(ended), flush=True)


if __name__ == "__main__":
    main()
