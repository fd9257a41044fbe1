"""The application under a WSGI server of one's own, as the README names it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

import pytest
import requests

from connector.contract import Access
from connector.demo.processes import free_ports
from connector.domain.records import Kind, Page
from connector.serving import sync_now
from integrations.systems.quickbooks.adapter import QuickBooks
from tests.walks.world import world


@pytest.mark.slow
def test_gunicorn_serves_it_in_several_processes(sqlite_schema_url: str, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DUEBRIDGE_")}
    environment["DUEBRIDGE_DATABASE_URL"] = sqlite_schema_url
    command = [
        *(str(Path(sys.executable).with_name("gunicorn")), "--workers", "2", "--threads", "4", "--no-control-socket"),
        *("--bind", f"127.0.0.1:{port}", "connector.serving:application()"),
    ]
    with (tmp_path / "gunicorn.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        ready = _answer(f"http://127.0.0.1:{port}/readyz", server)
        assert json.loads(ready) == {"ok": True, "checks": {"database": "ok", "keys": "ok", "schema": "ok"}}
        assert b"Create your account" in _answer(f"http://127.0.0.1:{port}/sign-up", server)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
    assert server.returncode == 0, (tmp_path / "gunicorn.log").read_text()


def test_a_reading_from_the_command_line_leaves_its_part_of_the_limits_to_others(sqlite_schema_url: str) -> None:
    """It is background work, in the threads that read pages as well; the budgets' rules are tested where they are."""
    seen: list[tuple[bool, Kind]] = []
    with world(sqlite_schema_url, invoices=40) as here, patch("connector.serving._tune_memory"):
        connection_id = here.connect("quickbooks")
        settings = here.wiring.settings
        inside = QuickBooks.page

        def page(self: QuickBooks, access: Access, kind: Kind, cursor: str) -> Page:
            seen.append((access.background, kind))
            return inside(self, access, kind, cursor)

        with patch.object(QuickBooks, "page", page):
            said = list(sync_now(settings, here.merchant_id, connection_id, ()))
            assert said[-1].startswith("Everything is read")
    assert {kind for _, kind in seen} >= {Kind.INVOICE, Kind.CUSTOMER}
    assert all(background for background, _ in seen)


@pytest.mark.slow
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_ends_cleanly_with_a_browser_connected(told: signal.Signals, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DUEBRIDGE_")}
    environment["DUEBRIDGE_DATABASE_URL"] = f"sqlite:///{tmp_path / 'duebridge.db'}"
    command = [str(Path(sys.executable).with_name("duebridge")), "serve", "--embedded", "--port", str(port)]
    log = tmp_path / "serve.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        _answer(f"http://127.0.0.1:{port}/readyz", server)
        with requests.Session() as browser:
            assert browser.get(f"http://127.0.0.1:{port}/healthz", timeout=10).ok
            server.send_signal(told)
            assert server.wait(30) == 0, log.read_text()
    finally:
        server.kill()
        server.wait()
    words = log.read_text()
    assert "Traceback" not in words and "worker stopped" in words


def _answer(url: str, server: subprocess.Popen[bytes]) -> bytes:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        try:
            answer = requests.get(url, timeout=10)
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.1)
        else:
            assert answer.ok, answer.text
            return answer.content
    raise AssertionError(f"{url} did not answer; gunicorn ended with {server.returncode}")
