"""One night's comparison on a world of the tests, what it leaves to be decided, and a bookkeeper's own hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import requests
import sqlalchemy as sa

from connector.contract import TryAgain
from connector.db import tables as t
from connector.db.work import WorkItem
from connector.domain.tasks import Task
from connector.domain.work import Work
from connector.journeys import drift, full_sweep
from connector.reading import differences
from connector.reading.difference_fixes import Difference
from tests.walks.standing import Place

_night = iter(range(10_000))


def _item(place: Place, system: str, kind: Work) -> WorkItem:
    """One night's work, as its worker begins it."""
    connection = place.connections[system]
    key = f"{connection}:night-{next(_night)}"
    with place.here.wiring.database.unit_of_work(place.here.merchant_id) as uow:
        uow.work.add(kind, key, partition=str(connection), payload={"connection": connection}, delay=9e6)
        found = uow.work.find(kind, key)
        # What changed long ago and no reading of changes has brought: that is what a night is for.
        uow.connections.change(connection, last_synced_at=uow.now + timedelta(hours=1))
    assert found is not None
    return found.item


def at_night(place: Place, system: str, kind: Work = Work.DRIFT) -> str:
    """Do the night's comparison, and say how it ended. Nothing else is worked on: no webhook has come."""
    item = _item(place, system, kind)
    run, task = {
        Work.DRIFT: (drift.run, Task.DRIFT),
        Work.FULL_SWEEP: (full_sweep.run, Task.FULL_SWEEP),
    }[kind]
    for _ in range(50):
        try:
            run(place.here.wiring, item)
        except TryAgain:
            continue
        return _outcome(place, f"{task}:{place.connections[system]}")
    raise AssertionError("there is no end of it")


def _outcome(place: Place, schedule: str) -> str:
    s = t.schedules.c
    with place.here.wiring.database.engine.connect() as connection:
        return str(connection.execute(sa.select(s.outcome).where(s.id == schedule)).scalar_one())


def waiting(place: Place) -> list[Difference]:
    """What a person has to decide."""
    return differences.waiting(place.here.wiring, place.here.merchant_id)


def decision_on(place: Place, payment_id: str) -> Difference:
    """What is to be decided about a payment; there is one such thing."""
    (one,) = [one for one in waiting(place) if one.payment_id == payment_id]
    return one


def actions(one: Difference) -> list[str]:
    """The ways out that are offered."""
    return [fix.action or fix.href for fix in one.fixes]


def write_by_hand(place: Place, entity: str, body: dict[str, Any]) -> dict[str, Any]:
    """What an application of the bookkeeper's own writes through QuickBooks' API."""
    with place.here.wiring.database.view(place.here.merchant_id) as view:
        connection = view.connections.get(place.connections["quickbooks"])
    access = place.here.wiring.access(connection)
    answer = requests.post(
        f"{place.here.upstream_url}/quickbooks/v3/company/{connection.tenant}/{entity.lower()}",
        json=body,
        headers={"Authorization": f"Bearer {access.token(None)}", "Accept": "application/json"},
        timeout=10,
    )
    assert answer.ok, answer.text
    return dict(answer.json()[entity])


def read_record(place: Place, remote_id: str, entity: str = "Payment") -> dict[str, Any]:
    """A record as QuickBooks' API shows it."""
    with place.here.wiring.database.view(place.here.merchant_id) as view:
        connection = view.connections.get(place.connections["quickbooks"])
    access = place.here.wiring.access(connection)
    answer = requests.get(
        f"{place.here.upstream_url}/quickbooks/v3/company/{connection.tenant}/{entity.lower()}/{remote_id}",
        headers={"Authorization": f"Bearer {access.token(None)}", "Accept": "application/json"},
        timeout=10,
    )
    assert answer.ok, answer.text
    return dict(answer.json()[entity])
