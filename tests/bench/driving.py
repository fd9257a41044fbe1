"""Servers under load: wrk through the shared harness as fast as they answer, or signed webhooks at an even pace."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import queue
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.postgres import MeasuredServer
from tests.bench.surroundings import REPOSITORY, CannotMeasure, folder, free_port, harness, run

GUNICORN = Path(sys.executable).with_name("gunicorn")
TWO_BY_EIGHT = "-w 2 -k gthread --threads 8 --log-level error"
PRODUCT = f"{GUNICORN} {TWO_BY_EIGHT} -b 127.0.0.1:{{port}} {shlex.quote('connector.serving:application()')}"


@dataclass(frozen=True, slots=True)
class Doorway:
    """A server that takes signed webhooks. `serve` starts it ('{port}' is filled in); `signs`: qbo, xero or stripe."""

    name: str
    serve: str
    path: str
    secret: str
    signs: str = "qbo"
    environ: Mapping[str, str] = field(default_factory=dict)
    home: Path = REPOSITORY


def knock_with_wrk(
    door: Doorway, server: MeasuredServer | None, *, seconds: int, connections: int = 16
) -> dict[str, Any]:
    """One run of unique events over so many connections: rps, p50, p99 and max in ms, cpu_ms an event (server tree and
    database), noise. Raises CannotMeasure when an event was refused."""
    port, out = free_port(), folder() / "out" / "http.jsonl"
    out.unlink(missing_ok=True)
    command = [
        sys.executable, str(harness("bench_http.py")), "--name", door.name, "--serve", door.serve.format(port=port),
        "--port", str(port), "--lua", str(harness("hooks.lua")), "--cwd", str(door.home), "--out", str(out),
        "--secs", str(seconds), "--warm", "2", "--runs", "1", "--retries", "0", "--conns", str(connections),
        "--lua-env", f"KIND={door.signs}", "--lua-env", f"SECRET={door.secret}", "--lua-env", f"URLPATH={door.path}",
    ]  # fmt: skip
    # Every call's events are its own: the same bytes again would cost nothing.
    command += ["--lua-env", f"RUNID={time.time_ns() % 10**10}"]
    if server is not None:
        command += ["--also-pid", str(server.pid)]
    run(command, env={**os.environ, **door.environ, "PERF": str(folder())})
    driven: dict[str, Any] = json.loads(out.read_text().splitlines()[-1])
    if driven["non2xx"] or driven["errors"] or not driven["requests"]:
        log = (folder() / "out" / "serve.log").read_text(errors="replace")[-1500:]
        raise CannotMeasure(f"{door.name} refused {driven['non2xx']} of {driven['requests']} events. {log}")
    return driven


@contextmanager
def process(command: Sequence[str], environ: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours, told to stop at the end and killed when it does not."""
    with log.open("wb") as lines:
        started = subprocess.Popen(
            command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=lines, stderr=subprocess.STDOUT
        )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.terminate()
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def until_it_listens(port: int, started: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    """Wait for a server of ours. Raises CannotMeasure with its last words."""
    end = time.monotonic() + seconds
    while True:
        try:
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            line.request("GET", "/healthz")
            line.getresponse().read()
            line.close()
            return
        except OSError:
            if started.poll() is not None or time.monotonic() > end:
                raise CannotMeasure(f"The server did not start: {log.read_text(errors='replace')[-1500:]}") from None
            time.sleep(0.1)


def quickbooks_event(realm: str, number: int, mark: str) -> bytes:
    """One changed invoice as Intuit tells of it (CloudEvents)."""
    event = {
        "specversion": "1.0", "id": f"{mark}-{number}", "source": "intuit.measured", "type": "qbo.invoice.updated.v1",
        "datacontenttype": "application/json", "time": "2026-11-22T16:29:58Z", "intuitentityid": str(number),
        "intuitaccountid": realm, "data": {},
    }  # fmt: skip
    return json.dumps([event]).encode()


def sign_quickbooks(body: bytes, secret: str) -> str:
    """What stands in intuit-signature."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


@dataclass
class Answered:
    """What a steady stream met: milliseconds from the moment an event was due to its answer, and other statuses."""

    waits_ms: list[float] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)

    def percentile(self, share: float) -> float:
        """The wait that `share` of the events stayed below."""
        ordered = sorted(self.waits_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def knock_evenly(
    port: int, bodies: Sequence[bytes], secret: str, *, a_second: float, connections: int = 16
) -> Answered:
    """Send each body once, `a_second` of them, whether or not the ones before are answered: a wait counts from when
    its event was due, so that a server that stalls cannot hide it."""
    due: queue.SimpleQueue[tuple[float, bytes] | None] = queue.SimpleQueue()
    seen, guard = Answered(), threading.Lock()
    began = time.perf_counter() + 0.2

    def carry() -> None:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while (one := due.get()) is not None:
            at, body = one
            headers = {"Content-Type": "application/json", "intuit-signature": sign_quickbooks(body, secret)}
            line.request("POST", "/webhooks/quickbooks", body, headers)
            answer = line.getresponse()
            answer.read()
            with guard:
                seen.waits_ms.append((time.perf_counter() - at) * 1000)
                if answer.status != 200:
                    seen.refused[answer.status] = seen.refused.get(answer.status, 0) + 1
        line.close()

    carriers = [threading.Thread(target=carry) for _ in range(connections)]
    for carrier in carriers:
        carrier.start()
    for number, body in enumerate(bodies):
        at = began + number / a_second
        time.sleep(max(0.0, at - time.perf_counter()))
        due.put((at, body))
    for _ in carriers:
        due.put(None)
    for carrier in carriers:
        carrier.join()
    return seen
