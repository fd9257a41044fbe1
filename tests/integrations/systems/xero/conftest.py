"""Fixtures of the Xero adapter's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integrations.systems.xero.connected import Connected, simulated


@pytest.fixture(autouse=True)
def _loopback_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The OAuth library refuses http:// unless told; the simulator is on this machine."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


@pytest.fixture
def upstream() -> Iterator[Connected]:
    """A connected simulator of its own for each test."""
    with simulated() as connected:
        connected.connect()
        yield connected
