"""A world that the tests of one file share: each takes invoices of its own out of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.walks.standing import Place, both_connected


@pytest.fixture(scope="module")
def place(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Both systems connected and read, on SQLite."""
    path = shutil.copy(sqlite_template, tmp_path_factory.mktemp("world") / "duebridge.db")
    with both_connected(f"sqlite:///{path}", invoices=200) as made:
        yield made


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with all tables that the tests of one file share; they run once on each kind."""
    if request.param == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        yield f"sqlite:///{shutil.copy(template, tmp_path_factory.mktemp('world') / 'duebridge.db')}"
        return
    server = request.getfixturevalue("postgres_server")
    url = server.create_database(request.getfixturevalue("postgresql_template"))
    yield url
    server.drop_database(url)


@pytest.fixture(autouse=True)
def no_fault_is_left_armed(request: pytest.FixtureRequest) -> Iterator[None]:
    """What one test lets go wrong does not meet the next one."""
    yield
    if "place" in request.fixturenames:
        here = request.getfixturevalue("place").here
        for name in ("quickbooks", "xero", "sandbox"):
            requests.post(f"{here.upstream_url}/{name}/_control/faults/clear", json={}, timeout=10)
