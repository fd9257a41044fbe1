"""What goes wrong between a sender and the door: repeats, disorder, delay, storms, a body of 10 MB, a busy database."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from connector.app import HANDLERS
from connector.db import tables as t
from connector.db.installation import Installation
from connector.demo.processes import free_ports
from connector.demo.surroundings import CREDENTIALS
from connector.domain.work import Work
from connector.jobs.runner import attempt
from tests.webhooks.knocking import NOW, Door, cloud_event, door, sandbox_event, secret_of, signature
from webhooks.inbox import MOST_TOGETHER, Inbox, NotKept

TEN_MB = 10 * 1024 * 1024


def _event(place: int, realm: str = "111") -> bytes:
    return json.dumps([cloud_event(realm, event_id=f"e{place}", remote_id=str(place))]).encode()


def test_a_storm_is_kept_whole_and_is_one_reading(schema_url: str) -> None:
    """400 events at once from 16 senders, every fourth sent twice; `make bench` sends 10,000 in a minute."""
    bodies = [_event(place) for place in range(400)]
    bodies += bodies[::4]
    with door(schema_url) as opened, ThreadPoolExecutor(16) as senders:
        merchant_id = opened.merchant("first")
        connection_id = opened.connection(merchant_id, "quickbooks", "111")
        answers = list(senders.map(lambda body: opened.post("quickbooks", body).status_code, bodies))
        assert answers == [200] * 500
        assert opened.dispatched() == [("quickbooks", "done", "")] * 400
        (row,) = opened.work(merchant_id)
        assert (row.item.kind, row.item.payload["connection"]) == (Work.SYNC, connection_id)
        with opened.wiring.database.engine.connect() as connection:
            kinds = connection.execute(sa.select(t.work.c.kind, sa.func.count()).group_by(t.work.c.kind)).all()
        assert sorted(map(tuple, kinds)) == [("delivery", 1), ("sync", 1)], "a storm leaves no trail of work"


def test_what_arrives_while_others_are_dispatched_is_dispatched_too(schema_url: str) -> None:
    with door(schema_url) as opened:
        opened.connection(opened.merchant("first"), "quickbooks", "111")
        opened.post("quickbooks", _event(1))
        sender = opened.wiring.senders["quickbooks"]
        parse = sender.parse
        came: list[int] = []

        def meanwhile(raw: bytes) -> object:
            if not came:
                came.append(opened.post("quickbooks", _event(2)).status_code)
            return parse(raw)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sender, "parse", meanwhile)
            assert opened.dispatched() == [("quickbooks", "done", "")] * 2
        with opened.wiring.database.lookup() as everybody:
            (row,) = everybody.work(None).list("pending")
        assert row.item.attempt == 2, "the second asked for another look"
        attempt(opened.wiring, HANDLERS, row.item.id, row.item.attempt, None)
        with opened.wiring.database.lookup() as everybody:
            assert everybody.work(None).list("pending") == []


def test_a_repeat_long_after_it_was_dealt_with_asks_for_nothing(schema_url: str) -> None:
    with door(schema_url) as opened:
        merchant_id = opened.merchant("first")
        opened.payment(merchant_id, opened.connection(merchant_id, "quickbooks", "111"), "co_1")
        body = sandbox_event("co_1", "", "evt_1")
        opened.post("sandbox", body)
        opened.dispatched()
        (before,) = opened.work(merchant_id)
        for days in (1, 3):
            opened.ahead = timedelta(days=days)
            assert opened.post("sandbox", body, at=NOW + opened.ahead).status_code == 200
        assert opened.dispatched() == [("sandbox", "done", "")]
        assert opened.work(merchant_id) == [before]


def test_a_recorded_delivery_played_back_later_is_turned_away_where_the_signature_tells_its_time(
    sqlite_schema_url: str,
) -> None:
    body = sandbox_event("co_1", "", "evt_1")
    recorded = signature("sandbox", body, secret_of("sandbox"))
    with door(sqlite_schema_url) as opened:
        opened.ahead = timedelta(hours=1)
        assert opened.post("sandbox", body, recorded).status_code == 401
        assert opened.deliveries() == []


def _refused_unread(address: str, head: str, part: bytes) -> bytes:
    """Announce a body of 10 MB, send a small part of it, and read the answer that must come without the rest."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as line:
        line.sendall(head.encode() + part)
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = line.recv(65_536)
            assert piece, f"no answer but {answer!r}"
            answer += piece
    return answer


def _announced(size: int) -> str:
    ((name, value),) = signature("quickbooks", b"x", secret_of("quickbooks")).items()
    return f"POST /webhooks/quickbooks HTTP/1.1\r\nHost: x\r\n{name}: {value}\r\nContent-Length: {size}\r\n\r\n"


def test_a_body_of_10_mb_is_refused_without_being_read(sqlite_schema_url: str) -> None:
    with door(sqlite_schema_url) as opened:
        answer = _refused_unread(opened.url, _announced(TEN_MB), b" " * 1024)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert opened.deliveries() == []


@contextmanager
def _behind_gunicorn(database_url: str, log: Path) -> Iterator[str]:
    (port,) = free_ports(1)
    environ = {
        **CREDENTIALS,
        "DUEBRIDGE_DATABASE_URL": database_url,
        "DUEBRIDGE_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    gunicorn = str(Path(sys.executable).with_name("gunicorn"))
    command = [gunicorn, "-w", "1", "-k", "gthread", "--threads", "4", "-b", f"127.0.0.1:{port}"]
    with log.open("wb") as lines:
        server = subprocess.Popen(
            [*command, "connector.serving:application()"], env=environ, stdout=lines, stderr=lines
        )
    try:
        ready = threading.Event()
        for _ in range(1200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert server.poll() is None, log.read_text()
                ready.wait(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def test_a_body_of_10_mb_is_refused_without_being_read_behind_gunicorn(sqlite_schema_url: str, tmp_path: Path) -> None:
    with _behind_gunicorn(sqlite_schema_url, tmp_path / "log") as address:
        assert _refused_unread(address, _announced(TEN_MB), b" " * 1024).startswith(b"HTTP/1.1 413 ")


@contextmanager
def _somebody_writes(opened: Door) -> Iterator[None]:
    """Another program holds what the inbox must write to, for as long as the block lasts."""
    database = opened.wiring.database.engine
    address = database.url.render_as_string(hide_password=False)
    if database.dialect.name == "postgresql":
        other = sa.create_engine(address)
        with other.connect() as connection:
            connection.execute(sa.text("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE"))
            yield
        other.dispose()
    else:
        other = sa.create_engine(address, isolation_level="AUTOCOMMIT")
        with other.connect() as connection:
            connection.execute(sa.text("BEGIN IMMEDIATE"))
            yield
            connection.execute(sa.text("ROLLBACK"))
        other.dispose()


def test_while_somebody_holds_the_database_the_sender_is_told_to_come_again(schema_url: str) -> None:
    """The answers come while the lock is still held, so within the sender's limit and not once the lock is free."""
    bodies = [_event(place) for place in range(8)]
    with door(schema_url) as opened, ThreadPoolExecutor(8) as senders:
        with _somebody_writes(opened):
            answers = list(senders.map(lambda body: opened.post("quickbooks", body), bodies))
            assert {answer.status_code for answer in answers} == {503}
            slowest = max(answer.elapsed.total_seconds() for answer in answers)
        scheme = opened.wiring.senders["quickbooks"].manifest.webhooks
        assert scheme is not None and slowest < scheme.answer_within + 1, "one second for a machine that is busy"
        assert opened.deliveries() == []
        assert {opened.post("quickbooks", body).status_code for body in bodies} == {200}
        assert opened.dispatched() == [("quickbooks", "unknown_tenant", "111")] * 8


def test_a_failure_while_others_wait_is_told_to_each_and_the_next_are_kept(sqlite_schema_url: str) -> None:
    """Deliveries share a transaction: when it fails each of them is told so, and nobody waits for ever."""
    with door(sqlite_schema_url) as opened:
        inbox = Inbox(opened.wiring, "quickbooks")
        write, stuck, go = inbox._write, threading.Event(), threading.Event()
        sizes: list[int] = []

        def fail_first(everybody: Installation, together: list[object]) -> None:
            sizes.append(len(together))
            if len(sizes) == 1:
                stuck.set()
                go.wait(10)
            if len(sizes) == 2:
                raise OSError("No space left on device.")
            write(everybody, together)  # type: ignore[arg-type]

        inbox._write = fail_first  # type: ignore[method-assign, assignment]
        inbox._patience = 30.0

        def keep(place: int) -> str:
            try:
                inbox.keep(_event(place))
            except NotKept as failure:
                return str(failure)
            return "kept"

        with ThreadPoolExecutor(8) as people:
            first = people.submit(keep, 0)
            assert stuck.wait(10)
            others = [people.submit(keep, place) for place in range(1, 8)]
            while len(inbox._waiting) < 7:
                threading.Event().wait(0.01)
            go.set()
            assert first.result(10) == "kept"
            assert [other.result(10) for other in others] == ["OSError"] * 7
        assert sizes == [1, 7]
        assert [keep(place) for place in range(1, 8)] == ["kept"] * 7
        assert len(opened.deliveries()) == 8


def test_who_waits_too_long_withdraws_and_is_not_stored_behind_its_back(sqlite_schema_url: str) -> None:
    with door(sqlite_schema_url) as opened:
        inbox = Inbox(opened.wiring, "quickbooks")
        write, stuck, go = inbox._write, threading.Event(), threading.Event()

        def slow(everybody: Installation, together: list[object]) -> None:
            stuck.set()
            go.wait(10)
            write(everybody, together)  # type: ignore[arg-type]

        inbox._write = slow  # type: ignore[method-assign, assignment]
        with ThreadPoolExecutor(2) as people:
            first = people.submit(inbox.keep, _event(1))
            assert stuck.wait(10)
            inbox._patience = 0.05
            with pytest.raises(NotKept, match="TimeoutError"):
                people.submit(inbox.keep, _event(2)).result(10)
            go.set()
            first.result(10)
        assert len(opened.deliveries()) == 1


def test_who_comes_while_others_write_is_stored_in_the_next_commit(sqlite_schema_url: str) -> None:
    with door(sqlite_schema_url) as opened:
        inbox = Inbox(opened.wiring, "quickbooks")
        inbox._patience = 30.0
        write, sizes = inbox._write, []

        def count(everybody: Installation, together: list[object]) -> None:
            sizes.append(len(together))
            write(everybody, together)  # type: ignore[arg-type]

        inbox._write = count  # type: ignore[method-assign, assignment]
        with ThreadPoolExecutor(8) as people:
            with opened.wiring.database.installation():
                waiting = [people.submit(inbox.keep, _event(place)) for place in range(8)]
                while len(inbox._waiting) < 8:
                    threading.Event().wait(0.01)
            for one in waiting:
                one.result(30)
        assert sizes == [8]
        assert len(opened.deliveries()) == 8


def test_whose_turn_never_comes_fails_alone_and_is_not_stored_behind_its_back(sqlite_schema_url: str) -> None:
    with door(sqlite_schema_url) as opened:
        inbox = Inbox(opened.wiring, "quickbooks")
        with ThreadPoolExecutor(2) as people:
            with opened.wiring.database.installation():
                inbox._patience = 0.05
                first = people.submit(inbox.keep, _event(1))
                while not inbox._waiting:
                    threading.Event().wait(0.01)
                inbox._patience = 30.0
                second = people.submit(inbox.keep, _event(2))
                with pytest.raises(NotKept, match="OperationalError"):
                    first.result(30)
            second.result(30)
        with opened.wiring.database.lookup() as everybody:
            assert [one.body for one in everybody.waiting_deliveries("quickbooks", 10)] == [_event(2)]


def test_more_wait_than_one_transaction_takes(sqlite_schema_url: str) -> None:
    with door(sqlite_schema_url) as opened, opened.wiring.database.installation() as everybody:
        rows = [(bytes([place % 251, place // 251]) * 16, b"{}") for place in range(MOST_TOGETHER)]
        assert everybody.receive("xero", rows) == MOST_TOGETHER
        assert everybody.receive("xero", rows) == 0


def test_processes_that_store_at_once_lose_neither_a_delivery_nor_a_question(schema_url: str) -> None:
    """Each transaction asks for work whose row another is just changing; a body two of them bring is stored once."""
    rounds, writers = 20, 4
    with door(schema_url) as opened, ThreadPoolExecutor(writers) as processes:
        assert opened.post("quickbooks", _event(0)).status_code == 200
        together = threading.Barrier(writers)

        def store(writer: int) -> list[int]:
            new = []
            for place in range(rounds):
                mine, shared = f"{writer}-{place}".encode(), f"shared-{writer // 2}-{place}".encode()
                rows = [(hashlib.sha256(body).digest(), body) for body in (mine, shared)]
                together.wait(30)
                with opened.wiring.database.installation() as everybody:
                    new.append(everybody.receive("quickbooks", rows))
            return new

        stored = [one for several in processes.map(store, range(writers)) for one in several]
        assert sum(stored) == writers * rounds + writers // 2 * rounds
        assert len(opened.deliveries()) == 1 + sum(stored)
        with opened.wiring.database.installation() as everybody:
            (row,) = everybody.work(None).list("pending")
            assert row.item.asked == 1 + len(stored)
            again = b"shared-0-0"
            assert everybody.receive("quickbooks", [(hashlib.sha256(again).digest(), again)]) == 0
        with opened.wiring.database.lookup() as everybody:
            assert everybody.work(None).list("pending") == [row], "a repeat asks for nothing"
