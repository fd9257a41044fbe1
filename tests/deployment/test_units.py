"""What the systemd units would start, started here as systemd does: environment file, readiness, reload, SIGTERM."""

from __future__ import annotations

import base64
import os
import shlex
import signal
import socket
import subprocess
from pathlib import Path

import pytest
import requests

from tests.deployment.files import environment, example_settings, unit, unit_command
from tests.deployment.proxy import two_ports
from tests.deployment.running import children, listens, started, wait_until

pytestmark = pytest.mark.slow


def _settings(folder: Path, port: int) -> dict[str, str]:
    return {
        **example_settings(),
        "DUEBRIDGE_BIND": f"127.0.0.1:{port}",
        "DUEBRIDGE_DATABASE_URL": f"sqlite:///{folder / 'duebridge.db'}",
        "DUEBRIDGE_SECRET_KEY": base64.urlsafe_b64encode(os.urandom(36)).decode(),
        "DUEBRIDGE_ENCRYPTION_KEYS": f"first:{base64.b64encode(os.urandom(32)).decode()}",
    }


def test_the_units_commands_serve_and_work_on_sqlite(tmp_path: Path) -> None:
    port, _ = two_ports()
    surroundings = environment(_settings(tmp_path, port))
    duebridge = unit_command("duebridge-worker.service")[0]
    subprocess.run([duebridge, "db", "upgrade"], env=surroundings, check=True, capture_output=True, timeout=60)
    web, worker = (unit_command(f"duebridge-{name}.service") for name in ("web", "worker"))
    notified = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(notified))
        systemd.settimeout(90)
        assert unit("duebridge-web.service")["Type"] == ["notify"]
        with (
            started(web, {**surroundings, "NOTIFY_SOCKET": str(notified)}, tmp_path / "web.log", tmp_path) as serving,
            started(worker, surroundings, tmp_path / "worker.log", tmp_path) as working,
        ):
            assert b"READY=1" in systemd.recv(4096)
            wait_until(lambda: _ready(port), serving, "readiness")
            wait_until(lambda: "worker started" in working.words(), working, "the worker")

            (reload,) = unit("duebridge-web.service")["ExecReload"]
            old = children(serving)
            assert old
            words = [word.replace("$MAINPID", str(serving.popen.pid)) for word in shlex.split(reload)]
            subprocess.run(words, check=True, timeout=30)
            wait_until(lambda: not old & (now := children(serving)) and bool(now), serving, "the reload")
            wait_until(lambda: _ready(port), serving, "readiness after the reload")

            for process in (working, serving):
                process.tell(signal.SIGTERM)
                assert process.end() == 0, process.words()
            assert "worker stopped" in working.words()
    assert not listens(port)


def _ready(port: int) -> bool:
    if not listens(port):
        return False
    # As the proxy says it, since the public address is https.
    answer = requests.get(f"http://127.0.0.1:{port}/readyz", headers={"X-Forwarded-Proto": "https"}, timeout=30)
    return answer.ok
