"""Databases with the tables of the product and of the job engine, copied from templates."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.jobs.engine import prepare_database
from tests.postgres_server import PostgresServer


@pytest.fixture(scope="session")
def sqlite_prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file ready to work with."""
    path = tmp_path_factory.mktemp("prepared") / "template.db"
    prepare_database(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_prepared(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a PostgreSQL database ready to work with."""
    url = postgres_server.create_database()
    prepare_database(url)
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def sqlite_address(sqlite_prepared: Path, tmp_path: Path) -> str:
    """A copy of the SQLite file."""
    return f"sqlite:///{shutil.copy(sqlite_prepared, tmp_path / 'duebridge.db')}"


@pytest.fixture
def postgresql_address(postgres_server: PostgresServer, postgresql_prepared: str) -> Iterator[str]:
    """A copy of the PostgreSQL database, dropped afterwards."""
    url = postgres_server.create_database(postgresql_prepared)
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest) -> str:
    """A database of each kind with the tables of ours and of the engine."""
    url: str = request.getfixturevalue(f"{request.param}_address")
    return url
