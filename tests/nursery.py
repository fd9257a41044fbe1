"""Gives birth to processes of the product within a tenth of a second: everything is imported once, then it forks.

A module whose `main` calls `serve` is what a nursery runs. It reads one JSON object a line and prints "born PID" and,
when a child has ended, "dead PID STATUS". Each child is a process of its own with its own connections and no memory of
the others.
"""

from __future__ import annotations

import faulthandler
import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any

_PATIENCE = 120.0
# How often those who live are asked whether they still do, in seconds.
_ROUND = 0.005


class Nursery:
    """Gives birth on request and knows who has died. `module`: the one that serves."""

    def __init__(self, module: str, log: IO[bytes] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        self._born: queue.Queue[int] = queue.Queue()
        self._ended: dict[int, int] = {}
        self._changed = threading.Condition()
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def bear(self, told: Mapping[str, Any]) -> int:
        """A new child; its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        return self._born.get(timeout=_PATIENCE)

    def ended(self, child: int) -> int | None:
        """How a child has ended, as waitpid tells it; None while it lives."""
        return self._ended.get(child)

    def wait(self, child: int, seconds: float) -> int | None:
        """Wait until a child has ended; how, or None when it lives on."""
        with self._changed:
            self._changed.wait_for(lambda: child in self._ended, timeout=seconds)
        return self._ended.get(child)

    def close(self) -> None:
        """End everybody."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(_PATIENCE)
        self._reader.join(_PATIENCE)
        self._process.stdout.close()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            word, number, *rest = line.split()
            if word == "born":
                self._born.put(int(number))
            else:
                with self._changed:
                    self._ended[int(number)] = int(rest[0])
                    self._changed.notify_all()


def serve(live: Callable[[Mapping[str, Any]], None]) -> None:
    """Let a child live as it is told to, for each line, until the standard input ends; then take the rest along."""
    children: set[int] = set()
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], _ROUND if children else None)
        if readable:
            line = sys.stdin.readline()
            if not line:
                break
            child = os.fork()
            if child == 0:
                _live_and_end(live, line)
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


def _live_and_end(live: Callable[[Mapping[str, Any]], None], line: str) -> None:
    """Never returns: what stands behind in the parent is the parent's."""
    status = 1
    try:
        # What the nursery says goes out by its standard output; what a child prints does not belong there.
        os.dup2(2, 1)
        faulthandler.enable()
        os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
        live(json.loads(line))
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)
