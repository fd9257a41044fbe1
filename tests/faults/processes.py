"""The processes of a run: the upstreams nobody kills, the nursery, and the children it gives birth to."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_PATIENCE = 120.0


@contextmanager
def upstream_process(directory: Path) -> Iterator[tuple[str, int]]:
    """The upstreams; their address and the mail server's port."""
    with (
        (directory / "upstreams.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.upstreams", str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None and process.stdin is not None
        told = process.stdout.readline().split()
        assert len(told) == 2, f"the upstreams did not start: {directory / 'upstreams.log'}"
        try:
            yield told[0], int(told[1])
        finally:
            process.stdin.close()
            process.wait(_PATIENCE)


class Nursery:
    """Gives birth on request and knows who has died."""

    def __init__(self, directory: Path) -> None:
        self._log = (directory / "nursery.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
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
        self._log.close()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            word, number, *rest = line.split()
            if word == "born":
                self._born.put(int(number))
            else:
                with self._changed:
                    self._ended[int(number)] = int(rest[0])
                    self._changed.notify_all()
