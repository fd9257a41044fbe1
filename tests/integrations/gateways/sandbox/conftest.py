from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integrations.gateways.sandbox.simulator.driving import Receiver, Upstream


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    running = Upstream()
    yield running
    running.close()
    running.store.close()


@pytest.fixture
def receiver(upstream: Upstream) -> Iterator[Receiver]:
    running = Receiver()
    upstream.gateway.delivery.set_target(running.url)
    yield running
    upstream.gateway.delivery.set_target("")
    running.server.close()
