"""Rigs by the names in the registry: one simulator each, shared by a file; faults are cleared after every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from integrations.registry import GATEWAYS, SYSTEMS
from tests.contract.rigs import GATEWAY_RIGS, SYSTEM_RIGS, GatewayRig, SystemRig, Taken


@pytest.fixture(scope="module", params=sorted(SYSTEMS))
def rig(request: pytest.FixtureRequest) -> Iterator[SystemRig]:
    """Every system of the registry in turn."""
    # The OAuth library refuses http:// unless told; the simulators are on this machine.
    with patch.dict(os.environ, OAUTHLIB_INSECURE_TRANSPORT="1"), SYSTEM_RIGS[request.param]() as opened:
        yield opened


@pytest.fixture(scope="module")
def taken(rig: SystemRig) -> Taken:
    """Invoices of the system, each handed out once."""
    return Taken(rig, set())


@pytest.fixture(scope="module", params=sorted(GATEWAYS))
def till(request: pytest.FixtureRequest) -> Iterator[GatewayRig]:
    """Every gateway of the registry in turn."""
    with GATEWAY_RIGS[request.param]() as opened:
        yield opened


@pytest.fixture(autouse=True)
def nothing_is_left_armed(request: pytest.FixtureRequest) -> Iterator[None]:
    """What one test lets go wrong does not meet the next."""
    yield
    for name in ("rig", "till"):
        if name in request.fixturenames:
            request.getfixturevalue(name).clear()
