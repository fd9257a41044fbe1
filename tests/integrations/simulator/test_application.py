"""The three upstreams answer side by side under one address, and go on after a restart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from flask import Flask, request

from integrations.simulator.application import Upstreams, make_upstreams
from integrations.simulator.server import serve, serve_at
from integrations.systems.quickbooks.simulator import upstream


@contextmanager
def _served(directory: Path | None, targets: dict[str, str] | None = None) -> Iterator[tuple[str, Upstreams]]:
    made: list[Upstreams] = []

    def build(url: str) -> Upstreams:
        made.append(make_upstreams(directory, public_url=url, webhook_targets=targets))
        return made[0]

    with serve_at(build) as server:
        yield server.url, made[0]
        made[0].close()


def test_the_start_page_leads_to_pages_that_answer() -> None:
    with _served(None) as (url, _):
        page = requests.get(f"{url}/", timeout=10)
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
        addresses = re.findall(r'href="([^"]+)"', page.text)
        assert len(addresses) >= 8
        for address in addresses:
            answer = requests.get(f"{url}{address}", timeout=10)
            assert answer.status_code == 200, address
            for sheet in re.findall(r'<link rel="stylesheet" href="([^"]+)"', answer.text):
                assert requests.get(f"{url}{sheet}", timeout=10).status_code == 200, sheet
        assert requests.get(f"{url}/elsewhere", timeout=10).status_code == 404


def test_all_three_are_there_and_share_the_clock() -> None:
    with _served(None) as (url, upstreams):
        quickbooks = requests.get(f"{url}/quickbooks/_control/state", timeout=10).json()
        assert quickbooks["invoices"] == 300
        assert requests.get(f"{url}/xero/_control/state", timeout=10).json()["invoices"] >= 300
        assert requests.get(f"{url}/sandbox/_control/state", timeout=10).status_code == 200
        before = upstreams.clock.time()
        requests.post(f"{url}/sandbox/_control/clock", json={"advance_seconds": 3600}, timeout=10)
        assert upstreams.clock.time() - before >= 3600
        assert (
            requests.get(f"{url}/quickbooks/_control/state", timeout=10).json()["now"][:16]
            == (upstreams.clock.now().isoformat()[:16])
        )
        assert requests.get(f"{url}/quickbooks/v3/company/1/invoice/1", timeout=10).status_code == 401
        document = requests.get(f"{url}/quickbooks/.well-known/openid_configuration", timeout=10).json()
        assert document["authorization_endpoint"] == f"{url}/quickbooks/connect/oauth2"


def test_a_change_is_announced_to_the_target_and_kept_over_a_restart(tmp_path: Path) -> None:
    announced: list[str] = []
    receiver = Flask(__name__)

    @receiver.post("/webhooks/<name>")
    def hook(name: str) -> tuple[str, int]:
        announced.append(f"{name} {request.headers.get('intuit-signature', '')[:1]}")
        return "", 200

    with serve(receiver) as server:
        targets = {name: f"{server.url}/webhooks/{name}" for name in ("quickbooks", "sandbox")}
        with _served(tmp_path / "upstreams", targets) as (url, upstreams):
            memo = {"memo": "kept"}
            requests.post(f"{url}/quickbooks/_control/invoices/1/memo", json=memo, timeout=10).raise_for_status()
            assert upstream(upstreams.apps["quickbooks"]).webhooks.flush()
        assert [line.split()[0] for line in announced] == ["quickbooks"]
        assert len(announced[0]) > len("quickbooks ")
        with _served(tmp_path / "upstreams") as (url, _):
            assert "kept" in requests.get(f"{url}/quickbooks/sent/1", timeout=10).text


def test_a_target_for_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="no simulator called 'sage'"):
        make_upstreams(None, public_url="http://127.0.0.1:1", webhook_targets={"sage": "http://127.0.0.1:2"})
