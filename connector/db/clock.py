"""The database's own clock, by which leases, slots, limits and heartbeats of all machines agree."""

from __future__ import annotations

import time

import sqlalchemy as sa

POSTGRESQL_MICROS = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_POSTGRESQL = sa.text(f"SELECT {POSTGRESQL_MICROS}")


def clock_micros(connection: sa.Connection) -> int:
    """Microseconds since 1970. All processes of a SQLite file run on its machine, so there it is this machine's."""
    if connection.dialect.name == "sqlite":
        return time.time_ns() // 1000
    micros: int = connection.execute(_POSTGRESQL).scalar_one()
    return micros
