"""Writes down which steps of the product the tests' walks pass: `python -m tests.faults.record [PYTEST ARGUMENTS]`.

Runs the folders below, listening, and writes tests/faults/passed.txt anew; with arguments of one's own (the folders or
tests to run) what they pass is added to it. What the source has and no recorded walk has passed is told at the end: the
house test refuses it.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from connector.checkpoints import Checkpoint, listen
from tests.faults.places import name_of, places

FOLDERS = (
    "walks",
    "journeys",
    "reading",
    "dashboard",
    "portal",
    "webhooks",
    "jobs",
    "mail",
    "commands",
    "deployment",
    "faults",
)
PASSED = Path(__file__).with_name("passed.txt")
_FILE = "RECORD_CHECKPOINTS"
_NAME = re.compile(r"^\S+ (?P<place>\S+#\d+) after (?P<step>\S+)$")


class Recorder:
    """Appends each step to a file when it is first taken in this process; several processes may share the file."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._known: set[str] = set()

    def __call__(self, point: Checkpoint) -> None:
        name = name_of(point)
        if name not in self._known:
            self._known.add(name)
            os.write(self._file, f"{name}\n".encode())


def pytest_configure() -> None:
    """As a plugin of pytest, in each of its processes: listen."""
    listen(Recorder(os.environ[_FILE]))


def steps_in(lines: list[str]) -> set[str]:
    """The steps that were taken to their end, as '<place>#<ordinal> <step>', of names of checkpoints."""
    found = (_NAME.match(line) for line in lines)
    return {f"{match['place']} {match['step']}" for match in found if match}


def main(arguments: list[str]) -> int:
    """Run, and write the list. The exit code of pytest."""
    log = PASSED.with_suffix(".log")
    log.unlink(missing_ok=True)
    os.environ[_FILE] = str(log)
    folders = [str(Path(__file__).parents[1] / folder) for folder in FOLDERS]
    # A plugin named on the command line comes before those that are found, and imports some of them.
    early = "ignore::pytest.PytestAssertRewriteWarning"
    code = pytest.main(["-q", "-W", early, "-p", "tests.faults.record", *(arguments or folders)])
    kept = set(PASSED.read_text().splitlines()) if arguments and PASSED.exists() else set()
    left = write_down(kept | steps_in(log.read_text().splitlines()))
    log.unlink()
    print("".join(f"No walk passes {name}\n" for name in left), end="")
    return int(code)


def write_down(steps: set[str]) -> list[str]:
    """Write down what was passed of what there is; returns what was not."""
    known = {place.name: place.what == "commit" for place in places()}
    pairs = sorted(step.split() for step in steps)
    # An ordinal may have come to mean another step since: a transaction is never taken for a call.
    passed = [f"{name} {step}" for name, step in pairs if known.get(name) is (step == "commit")]
    PASSED.write_text("".join(f"{step}\n" for step in passed))
    return sorted(known.keys() - {step.split()[0] for step in passed})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
