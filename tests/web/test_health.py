"""Readiness tells the truth, and in one word why not: schema, keys, and the worker where it runs here."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa
from flask import Flask

from connector.app import HANDLERS, create_app, wire
from connector.config import read_settings
from connector.db import tables as t
from connector.db.executors import Executors
from connector.db.migrations import downgrade, newest_revision
from connector.db.readiness import expected_revision
from connector.db.vault import Vault
from connector.jobs.engine import Engine, prepare_database
from connector.web import health
from connector.wiring import Wiring
from tests.jobs.wired import add_connection, add_merchant

Ready = Callable[[], tuple[int, dict[str, str]]]


def _served(wiring: Wiring) -> tuple[Flask, Ready]:
    app = create_app(wiring)

    def ready() -> tuple[int, dict[str, str]]:
        answer = app.test_client().get("/readyz")
        assert answer.json is not None and answer.json["ok"] is (answer.status_code == 200)
        return answer.status_code, answer.json["checks"]

    return app, ready


@pytest.fixture
def wiring(schema_url: str) -> Iterator[Wiring]:
    """An installation of each database."""
    made = wire(read_settings({"DUEBRIDGE_DATABASE_URL": schema_url}), dispatch=lambda *_: None)
    yield made
    made.database.engine.dispose()


def test_the_revision_expected_is_the_newest() -> None:
    assert expected_revision() == newest_revision()


def test_a_database_behind_this_version_is_not_ready_and_a_newer_one_is(wiring: Wiring) -> None:
    _, ready = _served(wiring)
    assert ready() == (200, {"database": "ok", "schema": "ok", "keys": "ok"})
    with wiring.database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    assert ready()[0] == 200, "old processes go on while new ones are started"
    with wiring.database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0008'"))
    assert ready() == (503, {"database": "ok", "schema": "behind", "keys": "ok"})


def test_a_database_without_tables_is_not_ready(database_url: str) -> None:
    wiring = wire(read_settings({"DUEBRIDGE_DATABASE_URL": database_url}), dispatch=lambda *_: None)
    _, ready = _served(wiring)
    assert ready() == (503, {"database": "ok", "schema": "missing", "keys": "ok"})
    wiring.database.engine.dispose()


def test_a_key_that_is_no_longer_configured_is_noticed(wiring: Wiring) -> None:
    connection_id = add_connection(wiring, add_merchant(wiring), "quickbooks")
    former = Vault([("former", b"f" * 32)])
    with wiring.database.installation() as everybody:
        everybody.connection.execute(
            sa.insert(t.secrets).values(
                merchant_id=1,
                connection_id=connection_id,
                sealed=former.seal(b"{}", bound_to=f"secrets:{connection_id}"),
                changed_at=everybody.now,
            )
        )
    _, ready = _served(wiring)
    assert ready() == (503, {"database": "ok", "schema": "ok", "keys": "cannot_open"})
    both = Vault([*wiring.settings.encryption_keys, ("former", b"f" * 32)])
    _, ready = _served(replace(wiring, database=replace(wiring.database, vault=both)))
    assert ready()[0] == 200


def test_an_embedded_worker_must_beat(sqlite_url: str) -> None:
    prepare_database(sqlite_url)
    wiring = wire(read_settings({"DUEBRIDGE_DATABASE_URL": sqlite_url}))
    app, ready = _served(wiring)
    engine = Engine(wiring, HANDLERS)
    health.watch_worker(app, engine.trouble)
    assert ready() == (503, {"database": "ok", "schema": "ok", "keys": "ok", "worker": "not_running"})
    engine.start()
    try:
        assert ready() == (200, {"database": "ok", "schema": "ok", "keys": "ok", "worker": "ok"})
        # As after a minute without a heartbeat: the beat comes every five seconds, and this looks at once.
        silent = Executors(wiring.database.engine).silent_for
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Executors, "silent_for", lambda self, seconds: {engine.executor: 1} | silent(seconds))
            assert ready()[1]["worker"] == "silent"
    finally:
        engine.stop()
    assert ready()[1]["worker"] == "not_running"
    wiring.database.engine.dispose()


def test_the_process_lives_whatever_its_database_does(wiring: Wiring) -> None:
    app, ready = _served(wiring)
    downgrade(wiring.settings.database_url, "base")
    assert ready()[0] == 503
    assert app.test_client().get("/healthz").json == {"ok": True}


def test_a_database_that_does_not_answer_is_told_in_time_and_asked_only_once(
    postgresql_schema_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.2)
    wiring = wire(read_settings({"DUEBRIDGE_DATABASE_URL": postgresql_schema_url}), dispatch=lambda *_: None)
    _, ready = _served(wiring)
    with wiring.database.engine.begin() as connection:
        # Whoever reads this waits until the transaction ends.
        connection.execute(sa.text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))
        assert ready() == (503, {"database": "silent"})
        assert ready() == (503, {"database": "silent"})
        looking = [thread for thread in threading.enumerate() if thread.name == "readiness"]
        assert len(looking) == 1, "the second question waits for the answer to the first"
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 30.0)
    assert ready() == (200, {"database": "ok", "schema": "ok", "keys": "ok"})
    wiring.database.engine.dispose()


def test_a_server_that_takes_calls_and_says_nothing_is_told_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"postgresql://nobody@127.0.0.1:{mute.getsockname()[1]}/nothing"
        wiring = wire(read_settings({"DUEBRIDGE_DATABASE_URL": address}), dispatch=lambda *_: None)
        _, ready = _served(wiring)
        assert ready() == (503, {"database": "silent"})
    wiring.database.engine.dispose()
