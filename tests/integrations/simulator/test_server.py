"""Simulators are served on free ports, know their own address, and stop when told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests
from flask import Flask

from integrations.simulator.server import serve_at

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def test_an_app_can_be_told_its_own_address() -> None:
    def build(url: str) -> WSGIApplication:
        app = Flask(__name__)
        app.add_url_rule("/", view_func=lambda: url, endpoint="index")
        return app

    with serve_at(build) as server:
        assert requests.get(server.url, timeout=5).text == server.url
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url, timeout=5)


def test_a_build_that_fails_leaves_the_port_free() -> None:
    ports: list[str] = []

    def fail(url: str) -> WSGIApplication:
        ports.append(url)
        raise LookupError("no")

    with pytest.raises(LookupError):
        serve_at(fail)
    with pytest.raises(requests.ConnectionError):
        requests.get(ports[0], timeout=5)
