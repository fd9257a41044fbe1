"""Told to stop, a web process answers what it was asked and a worker finishes what it does; a restart loses nothing."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import requests
import sqlalchemy as sa
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from connector.app import wire
from connector.config import read_settings
from connector.db import tables as t
from connector.demo.browser import Browser
from connector.domain.work import Work
from connector.jobs.engine import Dispatcher, prepare_database
from connector.wiring import Wiring
from tests.deployment.files import environment, image_command
from tests.deployment.proxy import two_ports
from tests.deployment.running import Process, children, listens, started, wait_until
from tests.jobs.wired import add_merchant, wired, work_states

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("server", ["gunicorn", "duebridge serve"])
def test_a_request_under_way_is_answered(postgresql_schema_url: str, server: str, tmp_path: Path) -> None:
    """It waits for a lock in the database, which is given only once the process has begun to end."""
    port, _ = two_ports()
    command = image_command() if server == "gunicorn" else ["duebridge", "serve", "--port", str(port)]
    surroundings = environment({"DUEBRIDGE_DATABASE_URL": postgresql_schema_url, "DUEBRIDGE_BIND": f"127.0.0.1:{port}"})
    plain = postgresql_schema_url.replace("postgresql+psycopg:", "postgresql:")
    with (
        started(command, surroundings, tmp_path / "web.log", tmp_path) as web,
        psycopg.connect(plain, autocommit=True) as watching,
        psycopg.connect(plain) as holding,
        ThreadPoolExecutor() as customers,
        requests.Session() as idle,
    ):
        wait_until(lambda: listens(port), web, "the port")
        page = Browser().get(f"http://127.0.0.1:{port}/sign-up")
        assert idle.get(f"http://127.0.0.1:{port}/healthz", timeout=30).ok, "a browser stays connected"
        holding.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        signing_up = customers.submit(_sign_up, f"http://127.0.0.1:{port}")
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        wait_until(lambda: watching.execute(waiting).fetchone() == (1,), web, "a request at the lock")

        web.tell()
        # gunicorn's idle process ends, its busy one keeps the port; waitress gives the port up.
        told = (lambda: len(children(web)) == 1) if server == "gunicorn" else (lambda: not listens(port))
        wait_until(told, web, "the signal taken")
        assert web.popen.poll() is None and not signing_up.done(), web.words()
        holding.rollback()

        answer = signing_up.result(60)
        assert answer.status_code in (302, 303), "answered in full"
        assert web.end() == 0, web.words()
    assert page.status == 200 and "Traceback" not in web.words()


def _sign_up(address: str) -> requests.Response:
    with requests.Session() as person:
        person.trust_env = False
        reader = Browser()
        reader._jars[address.removeprefix("http://")] = person
        form = reader.get(f"{address}/sign-up").form("/sign-up")
        values = {"company": "Northwind", "name": "Alex", "email": "a@northwind.example", "password": "a long password"}
        return person.post(form.action, data={**form.fields, **values}, timeout=90, allow_redirects=False)


class _SlowPost:
    """A mail server that takes a letter, and answers when the test lets it."""

    def __init__(self) -> None:
        self.taken = threading.Event()
        self.answer = threading.Event()
        self.letters: list[str] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called by aiosmtpd."""
        import asyncio

        self.taken.set()
        await asyncio.to_thread(self.answer.wait, 60)
        self.letters.append(str(envelope.rcpt_tos[0]))
        return "250 OK"


@contextmanager
def _post_office() -> Iterator[tuple[_SlowPost, int]]:
    post = _SlowPost()
    port, _ = two_ports()
    controller = Controller(post, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield post, port
    finally:
        post.answer.set()
        controller.stop()


def _letter(wiring: Wiring, merchant: int, name: str) -> None:
    with wiring.database.unit_of_work(merchant) as uow:
        mail_id = uow.mails.write(
            "a@customer.example",
            "sign_in",
            {"code": "123456", "minutes": "10", "url": "https://pay.example.com/code/1"},
        )
        uow.work.add(Work.MAIL, name, partition="mail", payload={"mail": mail_id})


def test_a_worker_finishes_what_it_does_and_the_next_goes_on(schema_url: str, tmp_path: Path) -> None:
    prepare_database(schema_url)
    with _post_office() as (post, port):
        settings = {"DUEBRIDGE_DATABASE_URL": schema_url, "DUEBRIDGE_SMTP_PORT": str(port)}
        dispatch = Dispatcher(schema_url)
        wiring = wire(read_settings(settings), dispatch=dispatch)
        merchant = add_merchant(wiring)
        _letter(wiring, merchant, "first")
        command = ["duebridge", "worker"]
        with started(command, environment(settings), tmp_path / "worker.log", tmp_path) as worker:
            wait_until(post.taken.is_set, worker, "the letter under way")
            worker.tell()
            # Recorded while no worker takes anything new.
            _letter(wiring, merchant, "second")
            post.answer.set()
            assert worker.end() == 0, worker.words()
        assert post.letters == ["a@customer.example"], "finished, and once"
        states = work_states(wiring)
        assert [state for name, state in states.items() if "first" in name] == ["done"]
        with started(command, environment(settings), tmp_path / "next.log", tmp_path) as following:
            wait_until(lambda: set(work_states(wiring).values()) == {"done"}, following, "the second letter")
        assert len(post.letters) == 2
        dispatch.close()
        wiring.database.engine.dispose()


def test_what_a_worker_cannot_finish_in_time_is_anothers_at_once(schema_url: str, tmp_path: Path) -> None:
    """The one that stops is heard no more; yet nobody waits until it would count as dead."""
    prepare_database(schema_url)
    dispatch = Dispatcher(schema_url)
    wiring = wired(schema_url, dispatch)
    merchant, log = add_merchant(wiring), tmp_path / "attempts"
    with _plain_worker(schema_url, log, "hang", tmp_path) as stuck:
        with wiring.database.unit_of_work(merchant) as uow:
            uow.work.add(Work.MAIL, "letter", partition="mail", payload={})
        wait_until(lambda: log.exists() and "letter" in log.read_text(), stuck, "the attempt")
        with _plain_worker(schema_url, log, "work", tmp_path) as other:
            stuck.tell(signal.SIGTERM)
            assert stuck.end() == 0, stuck.words()
            assert _signed_on(wiring) == 1, "what was its is free for others from now on"
            wait_until(lambda: set(work_states(wiring).values()) == {"done"}, other, "the other to take over")
            assert f"work {other.popen.pid}" in log.read_text()
    dispatch.close()
    wiring.database.engine.dispose()


def _signed_on(wiring: Wiring) -> int:
    with wiring.database.engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(t.executors)).scalar_one())


@contextmanager
def _plain_worker(address: str, log: Path, mode: str, folder: Path) -> Iterator[Process]:
    command = [sys.executable, "-m", "tests.jobs.worker_process", address, str(log), mode]
    with started(command, environment({}), folder / f"{mode}.log") as process:
        wait_until(lambda: log.with_suffix(f".{process.popen.pid}").exists(), process, "its start")
        yield process
