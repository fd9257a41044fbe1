"""The engines: no lost updates, nobody starves, readers do not wait, read-only is refused to write."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import connector.db.engine
from connector.db.engine import UnknownDatabase, database_url, make_engine, make_polling_engine

_COUNT_UP = """
import sys, sqlalchemy as sa
from connector.db.engine import make_engine
engine = make_engine(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with engine.begin() as connection:
        lock = "" if connection.dialect.name == "sqlite" else " FOR UPDATE"
        value = connection.execute(sa.text("SELECT value FROM counter" + lock)).scalar_one()
        connection.execute(sa.text("UPDATE counter SET value = :value"), {"value": value + 1})
"""

_WRITE_WITHOUT_PAUSE = """
import sys, time, sqlalchemy as sa
from connector.db.engine import make_engine
engine = make_engine(sys.argv[1])
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE counter SET value = value + 1"))
"""


@pytest.fixture
def counter(database_url: str) -> str:
    """A database with one number in it."""
    engine = make_engine(database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE counter (value INTEGER NOT NULL)"))
        connection.execute(sa.text("INSERT INTO counter VALUES (0)"))
    engine.dispose()
    return database_url


def _run(program: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)])


def test_no_update_is_lost_between_processes_that_read_and_then_write(counter: str) -> None:
    processes = [_run(_COUNT_UP, counter, 150) for _ in range(4)]
    assert [process.wait(120) for process in processes] == [0, 0, 0, 0]
    engine = make_engine(counter)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT value FROM counter")).scalar_one() == 600
    engine.dispose()


def test_no_writer_starves_beside_busy_processes_and_threads(counter: str) -> None:
    busy = [_run(_WRITE_WITHOUT_PAUSE, counter, 6) for _ in range(2)]
    time.sleep(1.5)
    engine = make_engine(counter)
    waits: list[float] = []

    def write() -> None:
        for _ in range(25):
            began = time.monotonic()
            with engine.begin() as connection:
                connection.execute(sa.text("UPDATE counter SET value = value + 1"))
            waits.append(time.monotonic() - began)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(60) for process in busy] == [0, 0]
    engine.dispose()
    assert len(waits) == 100
    # Who starves waits for as long as the others are busy; the bound is far above what a crowded machine adds.
    assert max(waits) < 4.0, f"the longest wait was {max(waits):.3f} s"


def test_a_reader_does_not_wait_for_a_writer_and_sees_only_what_is_committed(counter: str) -> None:
    engine = make_engine(counter)
    with engine.begin() as writing:
        writing.execute(sa.text("UPDATE counter SET value = 7"))
        began = time.monotonic()
        with engine.connect().execution_options(read_only=True) as reading, reading.begin():
            assert reading.execute(sa.text("SELECT value FROM counter")).scalar_one() == 0
        assert time.monotonic() - began < 0.5
    engine.dispose()


def test_a_read_only_transaction_cannot_write_and_the_connection_can_afterwards(counter: str) -> None:
    engine = make_engine(counter, connections=1)
    refused = (sa.exc.OperationalError, sa.exc.InternalError)
    with pytest.raises(refused), engine.connect().execution_options(read_only=True) as reading, reading.begin():
        reading.execute(sa.text("UPDATE counter SET value = 9"))
    with engine.begin() as writing:
        writing.execute(sa.text("UPDATE counter SET value = 1"))
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT value FROM counter")).scalar_one() == 1
    engine.dispose()


def test_a_failed_transaction_gives_the_turn_back(counter: str) -> None:
    engine = make_engine(counter)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), engine.begin() as connection:
            connection.execute(sa.text("UPDATE counter SET value = 5"))
            raise ZeroDivisionError
    with engine.begin() as connection:
        assert connection.execute(sa.text("SELECT value FROM counter")).scalar_one() == 0
    engine.dispose()


def test_a_process_killed_while_writing_blocks_nobody(counter: str) -> None:
    program = (
        "import os, signal, sys, sqlalchemy as sa\n"
        "from connector.db.engine import make_engine\n"
        "connection = make_engine(sys.argv[1]).connect()\n"
        "connection.execute(sa.text('UPDATE counter SET value = 100'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert _run(program, counter).wait(30) == -9
    engine = make_engine(counter)
    began = time.monotonic()
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE counter SET value = value + 1"))
        assert connection.execute(sa.text("SELECT value FROM counter")).scalar_one() == 1
    assert time.monotonic() - began < 5
    engine.dispose()


def test_sqlite_is_durable_and_keeps_foreign_keys(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    with engine.connect() as connection:
        found = {
            name: connection.execute(sa.text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    engine.dispose()
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_the_polling_engine_takes_the_write_lock_only_to_write(counter: str) -> None:
    engine, polling = make_engine(counter), make_polling_engine(counter)
    with engine.begin() as writing:
        writing.execute(sa.text("UPDATE counter SET value = 2"))
        with polling.begin() as reading:
            assert reading.execute(sa.text("SELECT value FROM counter")).scalar_one() == 0
    with polling.begin() as connection:
        connection.execute(sa.text("UPDATE counter SET value = value + 1"))
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT value FROM counter")).scalar_one() == 3
    engine.dispose()
    polling.dispose()


def _backend(engine: sa.Engine) -> int:
    with engine.begin() as connection:
        return int(connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one())


@pytest.fixture
def pings(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The connections PostgreSQL was asked about before they were used."""
    asked: list[object] = []
    dialect = sa.make_url("postgresql+psycopg://").get_dialect()
    ask = dialect.do_ping

    def noted(self: sa.Dialect, driver: Any) -> bool:
        asked.append(driver)
        return ask(self, driver)

    monkeypatch.setattr(dialect, "do_ping", noted)
    return asked


def test_a_connection_the_server_has_ended_is_given_to_nobody(postgresql_url: str) -> None:
    engine, other = make_engine(postgresql_url), make_engine(postgresql_url)
    for _ in range(3):
        ended = _backend(engine)
        with other.begin() as connection:
            connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": ended})
        assert _backend(engine) != ended
    engine.dispose()
    other.dispose()


def test_a_connection_just_used_is_not_asked_for_and_one_that_rested_is(
    postgresql_url: str, pings: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(postgresql_url)
    monkeypatch.setattr(connector.db.engine, "_RESTED", 60.0)
    first = _backend(engine)
    assert [_backend(engine) for _ in range(3)] == [first] * 3 and not pings
    monkeypatch.setattr(connector.db.engine, "_RESTED", 0.0)
    assert _backend(engine) == first and len(pings) == 1
    engine.dispose()


def test_a_connection_lost_without_a_word_is_replaced_once_it_has_rested(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(postgresql_url)
    first = _backend(engine)
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        with socket.socket(fileno=os.dup(driver.pgconn.socket)) as line:
            line.shutdown(socket.SHUT_WR)
            monkeypatch.setattr(connector.db.engine, "_can_be_read", lambda _: False)
    monkeypatch.setattr(connector.db.engine, "_RESTED", 0.0)
    assert _backend(engine) != first
    engine.dispose()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_addresses_of_postgresql_are_read_in_all_spellings(scheme: str) -> None:
    url = database_url(f"{scheme}://me:secret@host:5433/books?sslmode=require")
    assert url.render_as_string(hide_password=False) == "postgresql+psycopg://me:secret@host:5433/books?sslmode=require"


@pytest.mark.parametrize("address", ["", "mysql://host/name", "sqlite://", "sqlite:///:memory:", "no address"])
def test_addresses_that_cannot_work_are_refused_with_words(address: str) -> None:
    with pytest.raises(UnknownDatabase, match="write sqlite:///"):
        database_url(address)


def test_an_address_refused_never_shows_its_password() -> None:
    with pytest.raises(UnknownDatabase) as refusal:
        database_url("mysql://me:hunter2@host/name")
    assert "hunter2" not in str(refusal.value)


def test_files_beside_the_database_are_for_their_owner_only(sqlite_url: str, tmp_path: Path) -> None:
    engine = make_engine(sqlite_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE counter (value INTEGER)"))
    engine.dispose()
    modes = {
        path.name: path.stat().st_mode & 0o077
        for path in tmp_path.iterdir()
        if path.name.endswith(("-next", "-writing"))
    }
    assert modes == {"duebridge.db-next": 0, "duebridge.db-writing": 0}
