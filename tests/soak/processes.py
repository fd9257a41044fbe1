"""The processes of a soak: upstreams that live throughout, and parts of the product that are killed and come back."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from connector.demo.surroundings import Surroundings

_START_SECONDS = 120.0
_STOP_SECONDS = 30.0


class DidNotStart(Exception):
    """A process ended or did not answer; the message says where its log is."""


@dataclass(frozen=True, slots=True)
class Place(Surroundings):
    """A soak's folder, ports and database."""

    database_url: str = ""

    def environment(self) -> dict[str, str]:
        """The product's environment: as in the demonstration, on the soak's database, with limits out of the way."""
        # Not super(): slots make a new class, which a bare super() does not find.
        return {
            **Surroundings.environment(self),
            "DUEBRIDGE_DATABASE_URL": self.database_url,
            "DUEBRIDGE_QUICKBOOKS_RATE": "100000/60",
            "DUEBRIDGE_XERO_RATE": "100000/60",
            "DUEBRIDGE_LOG_LEVEL": "info",
        }


@dataclass
class Process:
    """One part of the product, started again whenever it was killed."""

    name: str
    arguments: list[str]
    environment: dict[str, str]
    log: Path
    running: subprocess.Popen[bytes] | None = None
    ended_by_itself: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Start it, appending to its log."""
        with self._lock, self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [sys.executable, "-m", *self.arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """kill -9, then start it anew: what was in its memory is gone."""
        with self._lock:
            assert self.running is not None
            self.ended_by_itself += int(self.running.poll() is not None)
            self.running.kill()
            self.running.wait()
        self.start()

    def alive(self) -> bool:
        """Whether it runs."""
        return self.running is not None and self.running.poll() is None

    def stop(self) -> None:
        """Ask it to end, and see that it does."""
        if self.running is None or self.running.poll() is not None:
            return
        self.running.send_signal(signal.SIGTERM)
        try:
            self.running.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()


@dataclass
class Running:
    """Everything that runs. `killable` are web and workers."""

    upstreams: Process
    web: Process
    workers: list[Process]

    @property
    def killable(self) -> list[Process]:
        """What may be killed at any moment."""
        return [self.web, *self.workers]


@contextmanager
def running(place: Place, invoices: int, workers: int) -> Iterator[Running]:
    """The upstreams and the product, answering; everything is stopped when the block ends. Raises DidNotStart."""
    environment = place.environment()
    upstream_arguments = [
        "tests.soak.upstreams",
        *(str(place.upstream_port), str(place.mail_port), str(place.directory / "upstreams")),
        *(place.public_url, str(invoices)),
    ]

    def part(name: str, *arguments: str) -> Process:
        return Process(name, list(arguments), environment, place.directory / f"{name}.log")

    everything = Running(
        part("upstreams", *upstream_arguments),
        part("web", "tests.soak.product", "web", str(place.port)),
        [part(f"worker-{number}", "tests.soak.product", "worker") for number in range(1, workers + 1)],
    )
    try:
        everything.upstreams.start()
        wait_for(f"{place.upstream_url}/", everything.upstreams)
        for process in everything.killable:
            process.start()
        wait_for(f"{place.public_url}/readyz", everything.web)
        yield everything
    finally:
        for process in (*everything.killable, everything.upstreams):
            process.stop()


def wait_for(address: str, process: Process) -> None:
    """Wait until a process answers."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if not process.alive():
            raise DidNotStart(f"{process.name} ended at once; its log is {process.log}.")
        try:
            if requests.get(address, timeout=3).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise DidNotStart(f"{process.name} did not answer within {_START_SECONDS:.0f} seconds; its log is {process.log}.")


def fresh_folder(parent: Path) -> Path:
    """A folder of one run."""
    folder = parent / f"soak-{time.strftime('%H%M%S')}-{secrets.token_hex(2)}"
    folder.mkdir(parents=True)
    return folder
