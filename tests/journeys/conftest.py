"""A shop on a database of each kind, with a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from connector.db.unit_of_work import Database
from connector.demo.processes import free_ports
from tests.journeys.standing import Standing
from tests.portal.shop import NOW, open_shop
from tests.weakbooks.place import WeakPlace, weak_place
from tests.weakbooks.weaknesses import ALL


@pytest.fixture
def standing(database_url: str) -> Iterator[Standing]:
    """The merchant with its small system and gateway; runs on SQLite and on PostgreSQL."""
    shop = open_shop(database_url)
    ahead: list[timedelta] = [timedelta()]

    def clock() -> object:
        return NOW + ahead[0]

    database = Database(shop.wiring.database.engine, shop.wiring.database.vault, clock, lambda *_: None)  # type: ignore[arg-type]
    shop.wiring = replace(shop.wiring, database=database, clock=clock)  # type: ignore[arg-type]
    yield Standing(shop, ahead)
    shop.wiring.database.engine.dispose()


@pytest.fixture(scope="module")
def weak_on_sqlite(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeakPlace]:
    """The same on SQLite alone, for what takes long."""
    path = tmp_path_factory.mktemp("weak") / "duebridge.db"
    path.write_bytes(sqlite_template.read_bytes())
    with weak_place(f"sqlite:///{path}") as here:
        yield here


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def weak(request: pytest.FixtureRequest) -> Iterator[WeakPlace]:
    """A merchant with small systems of every weakness, on each database; tests take invoices of their own."""
    if request.param == "sqlite":
        yield request.getfixturevalue("weak_on_sqlite")
        return
    server = request.getfixturevalue("postgres_server")
    url = server.create_database(request.getfixturevalue("postgresql_template"))
    with weak_place(url) as here:
        yield here
    server.drop_database(url)


@pytest.fixture(autouse=True)
def nothing_is_left_armed(request: pytest.FixtureRequest) -> Iterator[None]:
    """What one test lets go wrong does not meet the next one."""
    yield
    for name in {"weak", "weak_on_sqlite"} & set(request.fixturenames):
        here: WeakPlace = request.getfixturevalue(name)
        for weakness in ALL:
            here.books(weakness).mend()
            here.upstreams.faults[weakness.name].clear()


@pytest.fixture
def free_port() -> int:
    """A port nobody listens on."""
    return free_ports(1)[0]
