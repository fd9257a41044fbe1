"""The application under a WSGI server of one's own, as the README names it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from connector.demo.processes import free_ports


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
