"""Fixtures of the QuickBooks adapter's tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import SPECIFICATIONS
from tests.integrations.systems.quickbooks.connected import Connected, connected


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connected]:
    """A connected simulator of its own for each test."""
    # The OAuth library refuses http:// unless told; the simulator is on this machine.
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    with connected() as running:
        yield running


@pytest.fixture(scope="session")
def recorded() -> list[dict[str, Any]]:
    """Requests and answers recorded from a real sandbox company."""
    path = SPECIFICATIONS / "qbo_recorded.json"
    if not path.exists():
        pytest.skip("../shared/specs/qbo_recorded.json is absent: recorded QuickBooks bodies cannot be mapped.")
    found: list[dict[str, Any]] = json.loads(path.read_text())["interactions"]
    return found
