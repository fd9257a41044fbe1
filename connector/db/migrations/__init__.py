"""Brings a database to the present schema: Alembic's revisions, kept in the package so that they install with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from connector.db.engine import make_engine

# Any constant will do; it is the name under which upgrades of one PostgreSQL database wait for each other.
_UPGRADE_LOCK = 4_736_202_611


class BrokenReferences(RuntimeError):
    """A migration left rows that refer to nothing; everything was rolled back."""


def upgrade(address: str, revision: str = "head") -> None:
    """Bring the database to a revision. Safe to run at any time and in several processes at once.

    All revisions run in one transaction: either all hold or nothing has changed. A SQLite file that holds data is
    copied to `<file>.before-<revision>` first. A database a newer version has upgraded is left as it is: its code and
    ours work on the same tables (CONTRIBUTING, migrations).
    """
    _run(address, lambda config: command.upgrade(config, revision), revision)


def downgrade(address: str, revision: str) -> None:
    """Take the database back to a revision ('base': nothing left). What later revisions added is lost."""
    _run(address, lambda config: command.downgrade(config, revision), revision)


def revision_of(address: str) -> str | None:
    """The revision a database stands at; None when it is empty."""
    engine = make_engine(address, connections=1)
    try:
        with engine.connect().execution_options(read_only=True) as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def newest_revision() -> str:
    """The one revision all others lead to."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None  # noqa: S101 - there are revisions
    return head


def _is_newer(standing: str | None) -> bool:
    """Whether a revision is one that only later versions of the product know; they are numbered in order."""
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    return standing is not None and standing not in known and standing > newest_revision()


def _run(address: str, change: Callable[[Config], None], revision: str) -> None:
    engine = make_engine(address, connections=1)
    try:
        standing = revision_of(address)
        wanted = newest_revision() if revision == "head" else revision
        if standing == wanted or (revision == "head" and _is_newer(standing)):
            return
        if engine.dialect.name == "sqlite" and standing is not None:
            _copy(Path(str(engine.url.database)), standing)
        with engine.connect() as connection:
            # Rebuilding a table deletes the old one, and with enforcement on all rows that refer to it. The switch
            # has no effect inside a transaction, so it is set on the driver's connection before one begins.
            if connection.dialect.name == "sqlite":
                driver = connection.connection.driver_connection
                assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - the engine makes no other
                driver.execute("PRAGMA foreign_keys=OFF")
            with connection.begin():
                _migrate(connection, change)
    finally:
        engine.dispose()


def _migrate(connection: sa.Connection, change: Callable[[Config], None]) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
    change(_config(connection))
    if connection.dialect.name == "sqlite":
        broken = connection.execute(sa.text("PRAGMA foreign_key_check")).all()
        if broken:
            raise BrokenReferences(f"{len(broken)} rows refer to nothing, the first in {broken[0][0]}.")


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", "connector.db:migrations")
    config.attributes["connection"] = connection
    return config


def _copy(path: Path, standing: str) -> None:
    with (
        closing(sqlite3.connect(path)) as source,
        closing(sqlite3.connect(path.with_name(f"{path.name}.before-{standing}"))) as target,
    ):
        source.backup(target)
