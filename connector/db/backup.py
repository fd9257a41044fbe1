"""Copies of the whole database in one file, taken while work goes on, and put back into an empty place.

SQLite by its online backup (source: sqlite.org/backup.html), PostgreSQL by pg_dump and pg_restore, which stand with
its client programs (source: postgresql.org/docs/current/backup-dump.html).
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from connector.db.engine import database_url, make_engine

_SQLITE_HEADER = b"SQLite format 3\x00"
_POSTGRESQL_HEADER = b"PGDMP"


class BackupFailed(RuntimeError):
    """No backup was made, or none was put back; the message says why and what to do. Nothing was changed."""


def back_up(address: str, file: Path, *, programs: Path | None = None) -> int:
    """Copy the database to a new file, readable by its owner alone; its size in bytes.

    The copy is one moment of the database, and appears under its name only when it is complete. `programs` is the
    folder of pg_dump, where it is not on the path. Raises BackupFailed.
    """
    if file.exists():
        raise BackupFailed(f"{file} is there already: choose another name, so that no backup is lost.")
    if not file.parent.is_dir():
        raise BackupFailed(f"The folder {file.parent} does not exist: make it first.")
    url = database_url(address)
    part = file.with_name(f"{file.name}.part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        if url.get_backend_name() == "sqlite":
            _copy_sqlite(Path(str(url.database)), part)
        else:
            _dump(url, part, programs)
        _onto_disk(part)
        part.rename(file)
        _onto_disk(file.parent)
    except (OSError, sqlite3.Error) as fault:
        raise BackupFailed(f"The backup could not be written: {fault}.") from fault
    finally:
        part.unlink(missing_ok=True)
    return file.stat().st_size


def put_back(address: str, file: Path, *, programs: Path | None = None) -> None:
    """Put a backup into a database that holds nothing yet. Raises BackupFailed.

    What was written outside after the backup was taken is not in it: `connector.journeys.restored` must follow before
    any work is done.
    """
    url = database_url(address)
    wanted = _SQLITE_HEADER if url.get_backend_name() == "sqlite" else _POSTGRESQL_HEADER
    try:
        with file.open("rb") as opened:
            found = opened.read(len(wanted))
    except OSError as fault:
        raise BackupFailed(f"The backup cannot be read: {fault}.") from fault
    if found != wanted:
        raise BackupFailed(f"{file} is no backup of a {url.get_backend_name()} database made by this command.")
    if url.get_backend_name() == "sqlite":
        _put_back_sqlite(file, Path(str(url.database)))
    else:
        _load(url, file, programs)


def _copy_sqlite(source: Path, target: Path) -> None:
    if not source.is_file():
        raise BackupFailed(f"There is no database at {source}.")
    with closing(sqlite3.connect(source, timeout=30)) as original, closing(sqlite3.connect(target)) as copy:
        # In one step: a copy in several would begin anew whenever somebody writes.
        original.backup(copy, pages=-1)
        # One file that is complete by itself; opened as a database again, it goes back to WAL.
        copy.execute("PRAGMA journal_mode=DELETE")
    _check_sqlite(target)


def _put_back_sqlite(file: Path, target: Path) -> None:
    beside = [target.with_name(target.name + suffix) for suffix in ("", "-wal", "-shm")]
    there = [path for path in beside if path.exists()]
    if there:
        raise BackupFailed(
            f"{there[0]} is there already: stop all processes and move it away, together with its -wal and -shm."
        )
    _check_sqlite(file)
    part = target.with_name(f"{target.name}.part")
    try:
        shutil.copyfile(file, part)
        part.chmod(0o600)
        _onto_disk(part)
        part.rename(target)
        _onto_disk(target.parent)
    except OSError as fault:
        part.unlink(missing_ok=True)
        raise BackupFailed(f"The database could not be written: {fault}.") from fault


def _check_sqlite(path: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
            (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as fault:
        said = str(fault)
    if said != "ok":
        raise BackupFailed(f"{path} is damaged: {said}.")


def _dump(url: sa.URL, file: Path, programs: Path | None) -> None:
    # The product's role sees rows only of the merchant it names: '*' names all, and row security must not be switched
    # off, as pg_dump otherwise asks, for that is a superuser's right.
    options = ["--format=custom", "--enable-row-security", "--no-owner", "--no-privileges", "--lock-wait-timeout=30s"]
    _run(url, "pg_dump", [*options, f"--file={file}"], programs)


def _load(url: sa.URL, file: Path, programs: Path | None) -> None:
    engine = make_engine(url.render_as_string(hide_password=False), connections=1)
    try:
        there = sa.inspect(engine).get_table_names()
    except sa.exc.OperationalError as fault:
        raise BackupFailed("The database cannot be reached: create it, empty, and give its role the right.") from fault
    finally:
        engine.dispose()
    if there:
        raise BackupFailed(
            f"The database holds {len(there)} tables already: create an empty one, named in DUEBRIDGE_DATABASE_URL."
        )
    options = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges"]
    _run(url, "pg_restore", [*options, str(file)], programs)


def _run(url: sa.URL, program: str, options: list[str], programs: Path | None) -> None:
    found = shutil.which(program, path=None if programs is None else str(programs))
    if found is None:
        raise BackupFailed(f"{program} was not found: install PostgreSQL's client programs, or name their folder.")
    where = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    row_security = f"{os.environ.get('PGOPTIONS', '')} -c app.merchant=*".strip()
    environment = {**os.environ, "PGOPTIONS": row_security}
    if url.password is not None:
        environment["PGPASSWORD"] = str(url.password)
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own programs, arguments of our making
        [found, "--no-password", f"--dbname={where}", *options],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise BackupFailed(f"{program} says: {done.stderr.strip()[:1000]}")


def _onto_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
