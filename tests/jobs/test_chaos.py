"""Workers killed again and again, answers lost after the upstream has booked: nothing is lost, nothing is doubled."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from connector.domain.work import Work
from connector.jobs.engine import Dispatcher
from tests.jobs.wired import add_merchant, wired, work_states

SECONDS = 20.0


class Upstream(ThreadingHTTPServer):
    """Books every POST, whatever it has booked before, and drops one answer in six after booking."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.booked: Counter[str] = Counter()
        self.dropped = 0
        self.guard = threading.Lock()
        self.chance = random.Random(7)


class _Door(BaseHTTPRequestHandler):
    server: Upstream

    def do_GET(self) -> None:
        self._answer(200 if self.server.booked[self.path] else 404)

    def do_POST(self) -> None:
        time.sleep(0.02)
        with self.server.guard:
            self.server.booked[self.path] += 1
            drop = self.server.chance.random() < 0.16
            self.server.dropped += drop
        if not drop:
            self._answer(201)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """An upstream on a port of its own."""
    server = Upstream()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_doubled_while_workers_are_killed(address: str, upstream: Upstream) -> None:
    dispatch = Dispatcher(address)
    wiring = wired(address, dispatch)
    merchant = add_merchant(wiring)
    chance = random.Random(11)

    def start() -> subprocess.Popen[bytes]:
        port = upstream.server_address[1]
        program = [sys.executable, "-m", "tests.jobs.chaos_worker", address, f"http://127.0.0.1:{port}"]
        return subprocess.Popen(program, stdout=subprocess.DEVNULL)

    workers = [start(), start()]
    asked = kills = 0
    end, next_kill = time.monotonic() + SECONDS, time.monotonic() + 3
    try:
        while time.monotonic() < end:
            with wiring.database.unit_of_work(merchant) as uow:
                uow.work.add(Work.WRITE_BACK, f"payment-{asked}", partition=str(asked % 7))
            asked += 1
            time.sleep(0.04)
            if time.monotonic() > next_kill:
                victim = chance.randrange(2)
                workers[victim].kill()
                workers[victim].wait()
                workers[victim] = start()
                kills += 1
                next_kill = time.monotonic() + chance.uniform(0.8, 2.0)
        drained = time.monotonic() + 90
        while set(work_states(wiring).values()) != {"done"} and time.monotonic() < drained:
            time.sleep(0.2)
        states = Counter(work_states(wiring).values())
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        dispatch.close()
        wiring.database.engine.dispose()
    paths = {f"/write_back:{merchant}:payment-{number}" for number in range(asked)}
    assert states == {"done": asked}
    assert set(upstream.booked) == paths
    assert {path: times for path, times in upstream.booked.items() if times != 1} == {}
    # The test is worth something only if there was something to survive.
    assert kills >= 8 and upstream.dropped >= 10 and asked >= 100
