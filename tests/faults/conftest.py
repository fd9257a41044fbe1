"""One stage for each database, on which all tests of this folder play in their order."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.kills import Killer
from tests.faults.stage import SYSTEMS, Stage, stage
from tests.faults.summary import DATABASES, FULL, NOTE, SEED
from tests.faults.upstreams import SECOND_COMPANY
from tests.walks.standing import Place
from tests.weakbooks.wiring import connect_weak

# One system for each way of treating a payment sent twice; QuickBooks and Xero are native_key.
WEAK = ("weak_unique_field", "weak_natural", "weak_search", "weak_none")
PARTS = "weak_search_parts"
SMALL = "a small company with links"


@dataclass
class Theatre:
    """A stage, a place of its own for each system (the small ones number their invoices alike), and who kills."""

    here: Stage
    places: Mapping[str, Place]
    killer: Killer


@pytest.fixture(scope="module", params=DATABASES)
def theatre(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """Everything connected and read, on one of the databases."""
    directory = tmp_path_factory.mktemp(f"faults-{request.param}")
    if request.param == "sqlite":
        yield from _theatre(f"sqlite:///{directory / 'duebridge.db'}", directory)
        return
    server = request.getfixturevalue("postgres_server")
    url = server.create_database()
    yield from _theatre(url, directory)
    server.drop_database(url)


def _theatre(url: str, directory: Path) -> Iterator[Theatre]:
    with stage(url, directory, passed=directory / "passed") as here:
        killer = Killer(here, directory / "passed", seed=SEED, other=url.startswith("postgres"), whole=FULL)
        yield raise_curtain(here, killer)
    if log := os.environ.get("RECORD_CHECKPOINTS"):
        with Path(log).open("a") as record:
            record.writelines(line.split(" ", 1)[1] for line in (directory / "passed").open())


def raise_curtain(here: Stage, killer: Killer) -> Theatre:
    """Connect and read everything. A company with links belongs to a merchant of its own: it is a small one."""
    here.look_after()
    connections = {system: here.connect(system, place_links=False) for system in SYSTEMS}
    for name in (*WEAK, PARTS):
        connections[name] = connect_weak(here.wiring, here.merchant_id, name)
    small = here.of_another_merchant(realm=SECOND_COMPANY)
    places = {name: Place(here, connections) for name in connections}
    places[SMALL] = Place(small, {"quickbooks": small.connect("quickbooks")})
    here.drain()
    here.hush()
    return Theatre(here, places, killer)


@pytest.fixture
def deaths(record_property: Callable[[str, object], None]) -> Iterator[list[int]]:
    """Put the number of processes that died here: it is told in the summary, with the seconds it took."""
    counted: list[int] = []
    began = time.monotonic()
    yield counted
    record_property(NOTE, f"{sum(counted)} {time.monotonic() - began:.1f}")
