"""A simulator of its own for each test, served on a free port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from integrations.simulator.clock import Clock
from integrations.simulator.faults import Faults
from integrations.simulator.journal import Journal
from integrations.simulator.server import serve_at
from integrations.simulator.store import Store
from integrations.systems.xero.simulator import XeroConfig, create_simulator
from tests.integrations.systems.xero.simulator.driving import App, Running

Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a simulator with changed figures; `path` keeps its documents in a file."""
    with ExitStack() as stack:

        def run(*, path: Path | None = None, invoices: int = 300, **figures: Any) -> Running:
            clock, journal, faults, store = Clock(), Journal(None), Faults(), Store(path)
            config = XeroConfig(**{"minute_limit": 100_000, "day_limit": 100_000, **figures})
            made: list[Flask] = []

            def build(url: str) -> Flask:
                app = create_simulator(
                    store, clock, journal, public_url=url, config=config, faults=faults, invoices=invoices
                )
                made.append(app)
                return app

            stack.callback(store.close)
            server = stack.enter_context(serve_at(build))
            parts = made[0].extensions["xero"]
            stack.callback(parts["webhooks"].delivery.close)
            return Running(server.url, clock, journal, faults, parts["books"], parts["webhooks"])

        yield run


@pytest.fixture
def xero(start: Start) -> Running:
    """A simulator whose limits are out of the way."""
    return start()


@pytest.fixture
def app(xero: Running) -> App:
    """An app connected to the seeded company."""
    return xero.connect()
