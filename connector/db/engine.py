"""The one place that opens databases: SQLite with a fair queue of writers, PostgreSQL by psycopg.

On SQLite every transaction that may write takes the write lock at its start, so nothing is ever decided on what
another writer changes meanwhile; on PostgreSQL whoever reads in order to write says `with_for_update()`.
"""

from __future__ import annotations

import select
import sqlite3
import sys
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from connector.db.sqlite_turns import PATIENCE, QueuedConnection, Turns

_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLAC", "BEGIN ")


class UnknownDatabase(ValueError):
    """A database address that cannot work; the message says which ones do."""


def database_url(address: str) -> sa.URL:
    """Read an address such as sqlite:///duebridge.db or postgres://host/name. Raises UnknownDatabase.

    The scheme of PostgreSQL addresses may be written postgres, postgresql or postgresql+psycopg.
    """
    try:
        url = sa.make_url(address)
    except sa.exc.ArgumentError:
        raise UnknownDatabase(
            "The database address cannot be read; write sqlite:///path/to/duebridge.db or postgresql://user@host/name."
        ) from None
    if url.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername in ("sqlite", "sqlite+pysqlite") and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite+pysqlite")
    raise UnknownDatabase(
        f"{url.drivername} cannot be used: write sqlite:///path/to/duebridge.db (a file) or postgresql://user@host/name."
    )


def make_engine(address: str, *, connections: int = 40) -> sa.Engine:
    """The product's engine, for processes that do not fork afterwards.

    A transaction may write, and on SQLite holds the write lock from its start, unless the connection has the execution
    option `read_only=True`: then it never waits for writers, and the database refuses every change.
    """
    url = database_url(address)
    if url.get_backend_name() == "postgresql":
        engine = _postgresql(url, connections)
    else:
        engine = _sqlite(url, connections)

        @event.listens_for(engine, "begin")
        def begin(connection: sa.Connection) -> None:
            options = connection.get_execution_options()
            _driver(connection).begin(
                writing=not options.get("read_only"), patience=options.get("patience") or PATIENCE
            )

    return engine


def make_companion(engine: sa.Engine) -> sa.Engine:
    """The engine for what many threads ask at once beside an import, such as rate limits; ends with the other.

    SQLite keeps a page cache for each connection: with a pool of its own these few rows never make the connection of
    an import one of many that have large caches.
    """
    if engine.dialect.name != "sqlite":
        return engine
    companion = make_engine(engine.url.render_as_string(hide_password=False))
    event.listen(engine, "engine_disposed", lambda _: companion.dispose())
    return companion


def make_polling_engine(address: str, *, connections: int = 40) -> sa.Engine:
    """An engine for the job library, which polls: on SQLite it reads without a transaction and takes the write lock
    only before its first change."""
    url = database_url(address)
    if url.get_backend_name() == "postgresql":
        return _postgresql(url, connections)
    engine = _sqlite(url, connections)

    @event.listens_for(engine, "before_cursor_execute")
    def begin_late(connection: sa.Connection, cursor: Any, statement: str, *_: Any) -> None:
        driver = _driver(connection)
        if statement.lstrip()[:6].upper() in _WRITES and not driver.in_transaction:
            driver.begin(writing=True)

    return engine


def bind_to_merchant(connection: sa.Connection, merchant_id: int | None, *, patience: float | None = None) -> None:
    """Tell PostgreSQL's row-level security whose rows this transaction may touch; None: the installation's, all.

    `patience`: no statement of this transaction waits longer for another's rows, in seconds. (On SQLite the wait is
    before the transaction's start.)
    """
    if connection.dialect.name == "postgresql":
        merchant = "*" if merchant_id is None else str(merchant_id)
        # Every transaction begins with this, so it is written out for the driver.
        if patience is None:
            connection.exec_driver_sql(_BIND, (merchant,))
        else:
            connection.exec_driver_sql(_BIND_IMPATIENTLY, (merchant, f"{max(1, int(patience * 1000))}ms"))


_BIND = "SELECT set_config('app.merchant', %s, true)"
_BIND_IMPATIENTLY = f"{_BIND}, set_config('lock_timeout', %s, true)"


# A server whose machine or network is gone says nothing more: seconds until its connections count as broken.
_NO_SILENCE = {
    "connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}  # fmt: skip
# A pooled connection used more recently than this (seconds) is only looked at, not asked, before it is used again.
_RESTED = 1.0


def _postgresql(url: sa.URL, connections: int) -> sa.Engine:
    engine = sa.create_engine(
        url,
        connect_args={name: value for name, value in _NO_SILENCE.items() if name not in url.query},
        pool_size=10,
        max_overflow=connections,
        pool_use_lifo=True,
        hide_parameters=True,
    )

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        driver: Any = connection.connection.driver_connection
        driver.read_only = bool(connection.get_execution_options().get("read_only"))

    _replace_broken(engine)
    return engine


def _replace_broken(engine: sa.Engine) -> None:
    """Let nobody be given a pooled connection that is known to be broken.

    Asking the server (SQLAlchemy's pre-ping) would be a round trip for every transaction. A server that ends a
    connection says so, or its system does: then there is something to be read, though nothing was asked. Only what has
    rested longer is asked, because a network may have lost it without a word.
    """
    gone = engine.dialect.loaded_dbapi.Error

    @event.listens_for(engine, "checkin")
    def note(driver: Any, record: Any) -> None:
        record.info[_RETURNED] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def look(driver: Any, record: Any, _: Any) -> None:
        returned = record.info.get(_RETURNED)
        if returned is None:
            return
        try:
            if time.monotonic() - returned > _RESTED or _can_be_read(driver.pgconn.socket):
                engine.dialect.do_ping(driver)
        except gone as fault:
            raise sa.exc.InvalidatePoolError from fault


_RETURNED = "duebridge-returned"


def _can_be_read(socket: int) -> bool:
    # Elsewhere select() refuses sockets with numbers from 1024 on.
    if sys.platform == "win32":
        return bool(select.select([socket], [], [], 0)[0])
    look = select.poll()
    look.register(socket, select.POLLIN)
    return bool(look.poll(0))


def _sqlite(url: sa.URL, connections: int) -> sa.Engine:
    turns = Turns.of(str(url.database))
    engine = sa.create_engine(
        url,
        connect_args={"timeout": 30, "check_same_thread": False, "factory": QueuedConnection},
        pool_size=connections,
        max_overflow=0,
        # The last returned is the next given out, so that few connections hold warm caches.
        pool_use_lifo=True,
        # Errors are logged, and parameters are people's names, addresses and sealed secrets.
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def connect(driver: QueuedConnection, _: Any) -> None:
        driver.prepare(turns)
        # The job engine's tables ask for unixepoch('subsec') under Python 3.12 and later; before 3.42 that is NULL.
        if sqlite3.sqlite_version_info < (3, 42):
            driver.create_function("unixepoch", 1, _epoch)

    return engine


def _epoch(_: str) -> float:
    return round(time.time(), 3)


def _driver(connection: sa.Connection) -> QueuedConnection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, QueuedConnection)  # noqa: S101 - made so by _sqlite
    return driver
