"""Whether the database is there, is of this version, lies on a disk that keeps its promises, and is being worked on."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.clock import clock_micros
from connector.db.engine import bind_to_merchant
from connector.db.migrations import newest_revision, revision_of
from connector.db.vault import CannotOpen
from connector.doctor.finding import Finding, Verdict, fail, ok, warn
from connector.wiring import Wiring

# File systems over a network keep neither the locks nor the shared memory that SQLite's write-ahead log needs (source:
# sqlite.org/wal.html).
_DISTANT = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs", "fuse.s3fs", "vboxsf")
_FLEETING = ("tmpfs", "ramfs")
_LEAST_FREE = 1024**3
_MICROS = 1_000_000
# Leases and limits go by the database's clock, waiting by ours: this far apart (seconds) nothing suffers yet.
SKEW_NOTICED, SKEW_HARMFUL = 2.0, 60.0
_ALIVE_SECONDS = 60
_LATE_SECONDS, _VERY_LATE_SECONDS = 300, 3600


def findings(wiring: Wiring) -> Iterator[Finding]:
    """Everything that is asked of the database, nothing being changed."""
    sqlite = wiring.database.engine.dialect.name == "sqlite"
    path = Path(str(wiring.database.engine.url.database))
    if sqlite and not path.is_file():
        # Opening it would make it.
        yield fail(
            "database", f"There is none at {path.absolute()}.", "Run duebridge db upgrade, or name the right file."
        )
        return
    try:
        with wiring.database.engine.connect().execution_options(read_only=True) as connection:
            connection.execute(sa.text("SELECT 1"))
    except (sa.exc.SQLAlchemyError, OSError) as fault:
        yield fail(
            "database",
            f"It cannot be reached at {wiring.database.engine.url.render_as_string()}: {_first_line(fault)}",
            "Start it, or put DUEBRIDGE_DATABASE_URL right.",
        )
        return
    schema = _schema(wiring)
    yield schema
    yield from _file(path) if sqlite else _server(wiring)
    if schema.verdict is Verdict.FAIL:
        return
    with wiring.database.engine.connect().execution_options(read_only=True) as connection:
        bind_to_merchant(connection, None)
        yield _clock(connection)
        yield _workers(connection)
        yield from _work(connection)
        yield _sealed(connection, wiring)


def _schema(wiring: Wiring) -> Finding:
    standing, newest = revision_of(wiring.settings.database_url), newest_revision()
    if standing == newest:
        return ok("database", f"Reachable, its tables of this version ({newest}).")
    if standing is None:
        return fail("database", "It has no tables yet.", "Run duebridge db upgrade.")
    if standing > newest:
        return warn(
            "database",
            f"Its tables are of a later version ({standing}; this one makes {newest}).",
            "Nothing, while a new version is being rolled out; else start that version's processes.",
        )
    return fail(
        "database", f"Its tables are of an earlier version ({standing}, not {newest}).", "Run duebridge db upgrade."
    )


def _file(path: Path) -> Iterator[Finding]:
    kind, free = file_system_of(path), shutil.disk_usage(path.parent).free
    if kind.startswith(_DISTANT):
        yield fail(
            "disk",
            f"The SQLite file lies on a file system over the network ({kind}), where it can be destroyed.",
            "Move it to a local disk, or use PostgreSQL.",
        )
    elif kind in _FLEETING:
        yield warn(
            "disk", f"The SQLite file lies in memory ({kind}) and is gone at the next start.", "Move it to a disk."
        )
    elif not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        yield fail("disk", "The SQLite file or its folder cannot be written by this user.", "Give its user the right.")
    elif free < _LEAST_FREE:
        yield warn("disk", f"Only {free // 1024**2} MiB are free beside the SQLite file.", "Make room.")
    else:
        yield ok("disk", f"The SQLite file lies on {kind or 'a local disk'}, {free // 1024**3} GiB free.")


def file_system_of(path: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """The kind of file system a path lies on, such as ext4 or nfs4; empty where the system does not say."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    real = path.resolve()
    best, kind = -1, ""
    for line in lines:
        words = line.split()
        if len(words) > 2:
            point = Path(words[1].replace("\\040", " "))
            # Of two mounts at one place the later one counts.
            if real.is_relative_to(point) and len(point.parts) >= best:
                best, kind = len(point.parts), words[2]
    return kind


def _server(wiring: Wiring) -> Iterator[Finding]:
    with wiring.database.engine.connect().execution_options(read_only=True) as connection:
        passes = connection.execute(
            sa.text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
        ).scalar_one()
        encoding, version = connection.execute(
            sa.text("SELECT current_setting('server_encoding'), current_setting('server_version')")
        ).one()
    if passes:
        yield warn(
            "database",
            "Its role is a superuser, for whom row-level security does not hold: the second wall between merchants.",
            "Let a role without such rights own the tables (deploy/postgresql/10-role.sh).",
        )
    if encoding != "UTF8":
        yield fail("database", f"It keeps texts as {encoding}.", "Create it with ENCODING 'UTF8' and restore into it.")
    else:
        yield ok("database", f"PostgreSQL {version}.")


def _clock(connection: sa.Connection) -> Finding:
    before = time.time()
    theirs = clock_micros(connection) / _MICROS
    return skew("clock", theirs - (before + time.time()) / 2, "the database's")


def skew(check: str, seconds: float, whose: str) -> Finding:
    """How far this machine's clock is from another, in seconds (positive: ours is behind)."""
    if abs(seconds) < SKEW_NOTICED:
        return ok(check, f"This machine's clock agrees with {whose}.")
    say = fail if abs(seconds) > SKEW_HARMFUL else warn
    side = "behind" if seconds > 0 else "ahead of"
    return say(
        check,
        f"This machine's clock is {abs(seconds):.0f} seconds {side} {whose}.",
        "Let both machines keep time by NTP (timedatectl set-ntp true).",
    )


def _workers(connection: sa.Connection) -> Finding:
    now = clock_micros(connection)
    seen = [row.seen for row in connection.execute(sa.select(t.executors.c.seen))]
    alive = [moment for moment in seen if now - moment <= _ALIVE_SECONDS * _MICROS]
    if alive:
        return ok(
            "workers", f"{len(alive)} at work, last heard of {max(0, (now - max(alive)) // _MICROS)} seconds ago."
        )
    if seen:
        return fail(
            "workers",
            f"None is at work: the last was heard of {(now - max(seen)) // _MICROS // 60} minutes ago.",
            "Start duebridge worker; its log says why it ended.",
        )
    return fail("workers", "None is at work.", "Start duebridge worker (or duebridge serve --embedded).")


def _work(connection: sa.Connection) -> Iterator[Finding]:
    w = t.work.c
    due, oldest, now = (
        w.state == "pending",
        sa.func.min(sa.type_coerce(w.next_at, sa.BigInteger)),
        clock_micros(connection),
    )
    first = connection.execute(sa.select(oldest).where(due)).scalar_one()
    late = 0 if first is None else max(0, (now - first) // _MICROS)
    if late > _LATE_SECONDS:
        say = fail if late > _VERY_LATE_SECONDS else warn
        yield say(
            "work",
            f"The oldest work that is due has waited for {late // 60} minutes.",
            "See whether the workers keep up (duebridge work list); start more of them.",
        )
    else:
        yield ok("work", "Nothing that is due has waited for long.")
    dead = connection.execute(sa.select(sa.func.count()).select_from(t.work).where(w.state == "dead")).scalar_one()
    if dead:
        yield warn("work", f"{dead} pieces of work were given up.", "Look at their causes: duebridge work list.")


def _sealed(connection: sa.Connection, wiring: Wiring) -> Finding:
    s, vault = t.secrets.c, wiring.database.vault
    closed = old = total = 0
    for row in connection.execute(sa.select(s.connection_id, s.sealed)):
        total += 1
        old += not vault.sealed_with_newest(row.sealed)
        try:
            vault.open(row.sealed, bound_to=f"secrets:{row.connection_id}")
        except CannotOpen:
            closed += 1
    if closed:
        return fail(
            "keys",
            f"The tokens of {closed} of {total} connections cannot be opened with the present encryption keys.",
            "Put the former key back at the end of DUEBRIDGE_ENCRYPTION_KEYS; without it they must connect again.",
        )
    aged = f", {old} of them with a former key" if old else ""
    return ok("keys", f"The tokens of all {total} connections open{aged}.")


def _first_line(fault: BaseException) -> str:
    """The driver's own words; it names host and user, never a password."""
    words = str(getattr(fault, "orig", None) or fault).strip().splitlines()
    return words[0][:300] if words else type(fault).__name__
