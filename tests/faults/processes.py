"""The upstreams of a run, in a process that nobody kills."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
