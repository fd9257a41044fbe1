"""The database's own clock, by which leases, slots, limits, heartbeats and work of all machines agree."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

POSTGRESQL_MICROS = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_POSTGRESQL = sa.text(f"SELECT {POSTGRESQL_MICROS}")
_MICROS = 1_000_000
# How long this machine's steady counter is trusted, in seconds, before the database is asked again; and how far this
# machine's time may move against it before that (the time was set, or the machine slept).
_TRUSTED = 30.0
_MOVED = 1.0
_NOT_BEFORE = 1.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def clock_micros(connection: sa.Connection) -> int:
    """Microseconds since 1970. All processes of a SQLite file run on its machine, so there it is this machine's."""
    if connection.dialect.name == "sqlite":
        return time.time_ns() // 1000
    micros: int = connection.execute(_POSTGRESQL).scalar_one()
    return micros


def clock_of(engine: sa.Engine) -> Callable[[], datetime]:
    """The clock all processes of this database share, as aware UTC datetimes."""
    return _local if engine.dialect.name == "sqlite" else DatabaseClock(engine)


class DatabaseClock:
    """PostgreSQL's clock, carried on by this machine's steady counter between two looks at it.

    Setting this machine's time changes nothing of it. While the database cannot be asked it goes on from the last look;
    before the first it is this machine's.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._asking = threading.Lock()
        # Database's time less steady counter, both in microseconds.
        self._ahead: int | None = None
        self._asked = 0.0
        self._next = 0.0
        self._apart = 0.0

    def __call__(self) -> datetime:
        steady = time.monotonic()
        moved = abs(time.time() - steady - self._apart) > _MOVED
        if steady >= self._next and (self._ahead is None or moved or steady - self._asked > _TRUSTED):
            self._ask()
        if self._ahead is None:
            return _local()
        return _EPOCH + timedelta(microseconds=time.monotonic_ns() // 1000 + self._ahead)

    def _ask(self) -> None:
        # One thread asks; the others go on by what is known, and wait only when nothing is.
        if not self._asking.acquire(blocking=self._ahead is None):
            return
        try:
            if time.monotonic() < self._next:
                return
            with self._engine.connect().execution_options(read_only=True) as connection, connection.begin():
                before = time.monotonic_ns() // 1000
                database = clock_micros(connection)
                after = time.monotonic_ns() // 1000
            self._ahead = database - (before + after) // 2
            self._asked = time.monotonic()
            self._apart = time.time() - self._asked
        except sa.exc.SQLAlchemyError:
            # Whoever needs the database says so; time goes on.
            return
        finally:
            self._next = time.monotonic() + _NOT_BEFORE
            self._asking.release()


def _local() -> datetime:
    return datetime.now(UTC)
