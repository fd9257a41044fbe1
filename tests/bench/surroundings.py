"""What the measurements stand on: the shared performance harness, a folder of their own, environments, an upstream."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
HARNESS = REPOSITORY.parent / "shared" / "bench"
# The fake upstream's clock stands still in the past, where no reading of changes would look.
_STILL_CLOCK = 'NOW = "2026-01-01T00:00:00.000-08:00"'
_LIMITS = (
    "flask", "gunicorn", "sqlalchemy", "psycopg[binary,pool]", "requests", "orjson", "msgspec", "marshmallow>=4",
    "pydantic", "uvloop", "jinja2",
)  # fmt: skip


class CannotMeasure(Exception):
    """Something a measurement needs is not here; the message says what."""


def folder() -> Path:
    """Where data, environments and databases are kept between runs: DUEBRIDGE_BENCH_FOLDER, else a temporary one."""
    found = Path(os.environ.get("DUEBRIDGE_BENCH_FOLDER") or Path(tempfile.gettempdir()) / "duebridge-bench")
    for name in ("data", "venvs", "out"):
        (found / name).mkdir(parents=True, exist_ok=True)
    return found


def harness(name: str) -> Path:
    """A file of the shared harness. Raises CannotMeasure."""
    path = HARNESS / name
    if not path.exists():
        raise CannotMeasure(f"The shared harness is not beside this repository: {path} is missing.")
    return path


def measure() -> ModuleType:
    """The harness's own way to measure one command: wall, CPU of the process tree, peak PSS, noise."""
    specification = importlib.util.spec_from_file_location("measure", harness("measure.py"))
    if specification is None or specification.loader is None:
        raise CannotMeasure("The harness's measure.py cannot be loaded.")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def environment_with(name: str, packages: Sequence[str]) -> Path:
    """The interpreter of a virtual environment of this name, made with these packages at its first use."""
    home = folder() / "venvs" / name
    python, ready = home / "bin" / "python", home / ".ready"
    if not ready.exists():
        shutil.rmtree(home, ignore_errors=True)
        say(f"Making the environment {name} ({', '.join(packages)})")
        run([sys.executable, "-m", "venv", str(home)])
        run([str(python), "-m", "pip", "--disable-pip-version-check", "-qq", "install", *packages])
        ready.touch()
    return python


def limits_python() -> Path:
    """The interpreter the hand-made limits and the fake upstream run in."""
    return environment_with("limits", _LIMITS)


def run(command: Sequence[str], **more: Any) -> str:
    """Run a command to its end; its output. Raises CannotMeasure with its last words when it fails."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, **more
    )
    if done.returncode:
        raise CannotMeasure(f"{' '.join(command[:4])} failed: {(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout


def say(words: str) -> None:
    """Tell whoever watches; figures alone go to standard output."""
    print(words, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Upstream:
    """A fake QuickBooks and Xero in a process of its own, with `invoices` invoices of five lines."""

    port: int
    pid: int
    invoices: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def requests(self) -> int:
        """How many requests it has answered since the last question; starts counting anew."""
        with urllib.request.urlopen(f"{self.url}/_stats", timeout=10) as answer:  # noqa: S310 - loopback
            seen = int(json.load(answer)["requests"])
        urllib.request.urlopen(f"{self.url}/_reset", timeout=10).close()  # noqa: S310 - loopback
        return seen


@contextmanager
def upstream(invoices: int, kind: str, *, latency_ms: int = 0) -> Iterator[Upstream]:
    """An upstream with this many invoices of one kind ('qbo' or 'xero'), made by the harness's generator."""
    python, data = limits_python(), folder() / "data"
    if not (data / f"{kind}-{invoices}.idx").exists():
        say(f"Making {invoices} invoices ({kind})")
        run([str(python), str(harness("gen_data.py")), str(invoices), str(data), kind])
    source = harness("fake_upstream.py").read_text()
    if _STILL_CLOCK not in source:
        raise CannotMeasure("The fake upstream's clock is not where it was; it must tell today's time.")
    program = folder() / "out" / "fake_upstream.py"
    program.write_text(source.replace(_STILL_CLOCK, f'NOW = "{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000+00:00}"'))
    port = free_port()
    command = [str(python), str(program), "--n", str(invoices), "--data", str(data), "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--latency-ms", str(latency_ms)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise CannotMeasure("The fake upstream did not start.")
        yield Upstream(port, process.pid, invoices)
    finally:
        process.terminate()
        process.wait(timeout=10)


def free_port() -> int:
    """A port nobody listens on."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settle(seconds: float = 5.0) -> None:
    """Give a machine that is busy with something else a moment."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and os.getloadavg()[0] > 0.5 * (os.cpu_count() or 1):
        time.sleep(0.5)
