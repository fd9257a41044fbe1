"""Processes of a deployment under test: started, waited for, told to stop, and never left behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# A loaded machine may take a minute to start a process.
PATIENCE = 150.0


@dataclass
class Process:
    """A running process and its log."""

    popen: subprocess.Popen[bytes]
    log: Path

    def words(self) -> str:
        """What it has said."""
        return self.log.read_text(errors="replace")

    def tell(self, sign: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal."""
        self.popen.send_signal(sign)

    def end(self) -> int:
        """Wait until it has ended; its exit code."""
        return self.popen.wait(PATIENCE)


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str], log: Path, cwd: Path | None = None
) -> Iterator[Process]:
    """Run a command in a session of its own until the block ends."""
    with log.open("ab") as output:
        popen = subprocess.Popen(
            list(command),
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process = Process(popen, log)
    try:
        yield process
    finally:
        if popen.poll() is None:
            popen.terminate()
            try:
                popen.wait(30)
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait()


def wait_until(holds: Callable[[], bool], process: Process, what: str) -> None:
    """Ask again and again until it holds, while the process lives."""
    until = time.monotonic() + PATIENCE
    while not holds():
        assert process.popen.poll() is None, f"it ended before {what}: {process.words()}"
        assert time.monotonic() < until, f"waited in vain for {what}: {process.words()}"
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Whether somebody accepts connections at a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def children(process: Process) -> set[str]:
    """The processes a process has started, by their ids."""
    command = ["ps", "-o", "pid=", "--ppid", str(process.popen.pid)]
    return set(subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.split())
