"""A fresh database with all tables for each walk, on either kind, gone after it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path

from tests.postgres_server import PostgresServer

KINDS = ("sqlite", "postgresql")
# Gives the SQLAlchemy URL of a database that lives as long as the block.
Fresh = Callable[[], AbstractContextManager[str]]
_numbers = count(1)


def sqlite_copies(template: Path, folder: Path) -> Fresh:
    """Copies of an SQLite file, each in a folder of its own."""

    @contextmanager
    def fresh() -> Iterator[str]:
        own = folder / str(next(_numbers))
        own.mkdir()
        try:
            yield f"sqlite:///{shutil.copy(template, own / 'duebridge.db')}"
        finally:
            shutil.rmtree(own)

    return fresh


def postgresql_copies(server: PostgresServer, template: str) -> Fresh:
    """Copies of a PostgreSQL database (`template` is its URL)."""

    @contextmanager
    def fresh() -> Iterator[str]:
        url = server.create_database(template)
        try:
            yield url
        finally:
            server.drop_database(url)

    return fresh
