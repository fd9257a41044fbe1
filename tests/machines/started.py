"""Starts machines, and sees that none outlives its test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Four machines whose clocks are off by up to a minute and a half, one of them not at all.
FOUR = (("amber", 90.0), ("birch", -90.0), ("cedar", 37.0), ("dune", 0.0))
# `make machines` runs every variant; the suite one of each kind.
EVERY = os.environ.get("MACHINES") == "1"
REPOSITORY = Path(__file__).resolve().parent.parent.parent


@dataclass
class Machine:
    """A machine that runs one part; its folder holds `log`, what it wrote."""

    name: str
    folder: Path
    process: subprocess.Popen[bytes]

    def log(self) -> str:
        """What it wrote so far."""
        return (self.folder / "log").read_text()


Start = Callable[..., Machine]


@contextmanager
def machines(folder: Path) -> Iterator[Start]:
    """`start(name, seconds_off, part, *arguments)`; whatever still runs is stopped at the end."""
    started: list[Machine] = []

    def start(name: str, seconds_off: float, part: str, *arguments: str) -> Machine:
        own = folder / name
        own.mkdir(parents=True)
        command: Sequence[str] = (name, str(seconds_off), str(own), part, *arguments)
        with (own / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.machines.machine", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                cwd=REPOSITORY,
            )
        started.append(Machine(name, own, process))
        return started[-1]

    try:
        yield start
    finally:
        for machine in started:
            machine.process.terminate()
        for machine in started:
            try:
                machine.process.wait(30)
            except subprocess.TimeoutExpired:
                machine.process.kill()
                machine.process.wait()
