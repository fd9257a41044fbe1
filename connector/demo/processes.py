"""Starts the demonstration's processes, waits until they answer, and stops all of them together."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from connector.demo.surroundings import Surroundings

_START_SECONDS = 60.0
_STOP_SECONDS = 15.0


class DidNotStart(Exception):
    """A process ended or did not answer; the message says which, and where its log is."""


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on just now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@contextmanager
def running(where: Surroundings) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The product and its little upstreams, answering; everything is stopped when the block ends.

    Each process writes its log into the folder. Raises DidNotStart.
    """
    _check_ports(where)
    environment = where.environment()
    simulate = [
        *("simulate", "--port", str(where.upstream_port), "--mail-port", str(where.mail_port)),
        *("--directory", str(where.directory / "upstreams"), "--product-url", where.public_url),
    ]
    serve = ["serve", "--embedded", "--port", str(where.port)]
    processes: list[subprocess.Popen[bytes]] = []
    logs: list[IO[bytes]] = []
    try:
        for name, arguments, address in (
            ("upstreams", simulate, f"{where.upstream_url}/"),
            ("product", serve, f"{where.public_url}/readyz"),
        ):
            log: IO[bytes] = (where.directory / f"{name}.log").open("ab")
            logs.append(log)
            process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "connector.cli", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            processes.append(process)
            _wait_for(address, process, name, where.directory / f"{name}.log")
        yield processes
    finally:
        _stop(processes)
        for log in logs:
            log.close()


def _check_ports(where: Surroundings) -> None:
    for port in (where.port, where.upstream_port, where.mail_port):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as taken:
                raise DidNotStart(
                    f"Port {port} is in use. Choose another with PORT=…; the two ports after it are needed as well."
                ) from taken


def _wait_for(address: str, process: subprocess.Popen[bytes], name: str, log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise DidNotStart(f"The {name} ended at once; its log is {log}.")
        with (
            suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(address, timeout=2),  # noqa: S310 - a loopback address of our own
        ):
            return
        time.sleep(0.1)
    raise DidNotStart(f"The {name} did not answer within {_START_SECONDS:.0f} seconds; its log is {log}.")


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in reversed(processes):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    until = time.monotonic() + _STOP_SECONDS
    for process in reversed(processes):
        try:
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
