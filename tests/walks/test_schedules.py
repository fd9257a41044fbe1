"""What is done by the clock, from the row that says when to the outcome that is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from connector.cli import main
from connector.db import tables as t
from connector.domain.work import Work
from connector.jobs import schedule
from connector.journeys import drift, renew_access
from connector.reading import differences, schedules
from connector.reading.schedules import Scheduled
from tests.walks.standing import Place
from tests.walks.world import world


@pytest.fixture
def shop(schema_url: str) -> Iterator[Place]:
    """Both systems connected, on a database of each kind."""
    with world(schema_url, invoices=8) as here:
        yield Place(here, {system: here.connect(system) for system in ("quickbooks", "xero")})


@pytest.fixture
def small_shop(sqlite_schema_url: str) -> Iterator[Place]:
    """QuickBooks connected, on SQLite, where the database makes no difference."""
    with world(sqlite_schema_url, invoices=8) as here:
        yield Place(here, {"quickbooks": here.connect("quickbooks")})


def _minute(shop: Place, now: datetime | None = None) -> int:
    return schedule.record(shop.here.wiring.database, now or shop.here.now(), shop.here.wiring.systems)


def _tasks(shop: Place, system: str) -> dict[str, Scheduled]:
    found = schedules.of_connection(shop.here.wiring, shop.here.merchant_id, shop.connections[system])
    return {one.task: one for one in found}


def _work_of(shop: Place, kind: Work) -> list[str]:
    with shop.here.wiring.database.engine.connect() as connection:
        rows = connection.execute(sa.select(t.work.c.id).where(t.work.c.kind == kind.value).order_by(t.work.c.id))
        return [row.id for row in rows]


def test_a_night_is_recorded_once_done_and_shown(shop: Place, schema_url: str) -> None:
    shop.here.work()
    _minute(shop)
    first = _tasks(shop, "quickbooks")
    assert set(first) == {"poll", "full_sweep", "drift", "token_refresh", "webhook_renewal"}
    assert first["webhook_renewal"].state == "not_needed" and "do not run out" in first["webhook_renewal"].outcome
    night = max(_tasks(shop, system)["drift"].next_at or shop.here.now() for system in shop.connections)
    assert shop.here.now() < night < shop.here.now() + timedelta(days=2)
    shop.here.advance((night - shop.here.now()).total_seconds() + 60)
    shop.end_silence()
    assert _minute(shop) >= 4
    recorded = _work_of(shop, Work.DRIFT)
    assert len(recorded) == 2 and all(night.date().isoformat()[:8] in identity for identity in recorded)
    assert _minute(shop) == 0, "the same minute again is the same work"
    shop.here.work()
    with shop.here.wiring.database.engine.begin() as connection:
        # As if the row had not been moved on: a run of the same night must not begin twice.
        connection.execute(sa.update(t.schedules).where(t.schedules.c.task == "drift").values(next_at=night))
    _minute(shop)
    assert _work_of(shop, Work.DRIFT) == recorded
    done = _tasks(shop, "xero")["drift"]
    assert done.outcome.startswith("Compared ") and done.outcome.endswith("everything agrees.")
    assert done.last_at and done.next_at and done.next_at > shop.here.now()
    _shown_to_operators(shop, schema_url)


def _shown_to_operators(shop: Place, schema_url: str) -> None:
    environment = {f"DUEBRIDGE_{name}": value for name, value in shop.here.wiring.settings.values.items()}
    answer = CliRunner().invoke(main, ["schedules", "list", "--json"], env=environment)
    assert answer.exit_code == 0, answer.output
    listed = json.loads(answer.output.splitlines()[-1])
    assert {"poll", "drift", "full_sweep", "token_refresh", "webhook_renewal"} <= {one["task"] for one in listed}
    words = CliRunner().invoke(main, ["schedules", "list", "--merchant", str(shop.here.merchant_id)], env=environment)
    assert "Compared " in words.output and "not needed" in words.output


def test_an_access_is_renewed_before_it_runs_out(small_shop: Place) -> None:
    shop = small_shop
    shop.here.work()
    _minute(shop)
    connection_id = shop.connections["quickbooks"]
    store = shop.here.wiring.token_store
    before = store.read(str(connection_id))
    assert store.take_turn(str(connection_id), "test", 30.0)
    assert store.keep(
        str(connection_id), "test", replace(before, access_expires=datetime.now(UTC) + timedelta(minutes=4))
    )
    _renew(shop, connection_id)
    after = store.read(str(connection_id))
    assert after.access != before.access
    task = _tasks(shop, "quickbooks")["token_refresh"]
    assert task.outcome.startswith("Renewed; the access lasts until")
    left = after.access_expires - (task.next_at or datetime.now(UTC))
    assert timedelta(0) < left < timedelta(minutes=5), "the next renewal comes just before it is needed"
    _renew(shop, connection_id)
    assert store.read(str(connection_id)).access == after.access
    assert _tasks(shop, "quickbooks")["token_refresh"].outcome.startswith("Not due yet")


def test_an_access_that_was_withdrawn_is_said_so(small_shop: Place) -> None:
    shop = small_shop
    shop.here.work()
    _minute(shop)
    connection_id = shop.connections["quickbooks"]
    store = shop.here.wiring.token_store
    before = store.read(str(connection_id))
    assert store.take_turn(str(connection_id), "test", 30.0)
    assert store.keep(str(connection_id), "test", replace(before, access_expires=datetime.now(UTC)))
    shop.control("quickbooks", "disconnect")
    _renew(shop, connection_id)
    task = _tasks(shop, "quickbooks")["token_refresh"]
    assert task.state == "paused" and "has ended" in task.outcome
    _minute(shop, shop.here.now() + timedelta(days=3))
    assert not [identity for identity in _work_of(shop, Work.DRIFT) if identity.split(":")[2] == str(connection_id)]


def _renew(shop: Place, connection_id: int) -> None:
    with shop.here.wiring.database.unit_of_work(shop.here.merchant_id) as uow:
        uow.work.add(Work.RENEW, str(connection_id), partition="x", payload={"connection": connection_id}, delay=9e6)
        found = uow.work.find(Work.RENEW, str(connection_id))
    assert found is not None
    renew_access.run(shop.here.wiring, found.item)


def test_a_person_may_have_it_compared_now(shop: Place) -> None:
    shop.here.work()
    _minute(shop)
    (invoice,) = shop.invoices("quickbooks")
    payment = shop.pay([invoice])
    shop.posted(payment)
    drift.ask(shop.here.wiring, shop.here.merchant_id, shop.connections["quickbooks"])
    shop.here.work()
    assert _tasks(shop, "quickbooks")["drift"].outcome.endswith("everything agrees.")
    shop.delete_payment_by_hand("quickbooks", invoice, payment)
    drift.ask(shop.here.wiring, shop.here.merchant_id, shop.connections["quickbooks"])
    shop.here.settle(lambda: differences.count(shop.here.wiring, shop.here.merchant_id) == 1)
    assert _tasks(shop, "quickbooks")["drift"].outcome.startswith("Compared ")
    assert len(_work_of(shop, Work.DRIFT)) == 1
    (found,) = differences.waiting(shop.here.wiring, shop.here.merchant_id)
    assert found.payment_id == payment and "deleted or voided" in found.cause
