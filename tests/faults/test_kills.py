"""A real worker dies by kill -9 before and after every step of every walk, and the books agree all the same.

Tests of one database play on one stage, in the order they stand here.
"""

from __future__ import annotations

import base64
import hmac
import itertools
import json
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from connector.db import tables as t
from connector.demo.surroundings import CREDENTIALS
from tests.faults import judge
from tests.faults.conftest import PARTS, SMALL, WEAK, Theatre
from tests.faults.connections import Disconnected, Imported
from tests.faults.quiet_walks import Regenerated
from tests.faults.repertoire import OTHER_FAULTS, walks_of
from tests.faults.stage import SYSTEMS
from tests.faults.summary import FULL
from tests.faults.walks import Paid, PutBack, Refunded

_BOTH = (
    "payment",
    "answer lost",
    "never arrived",
    "refund",
    "late return",
    "voided meanwhile",
    "left behind",
    "reading",
    "token renewed",
)
WALKS = {
    "quickbooks": (*_BOTH, "mail", "page opened unheard"),
    "xero": _BOTH,
    **{name: ("payment", "answer lost", "never arrived", "refund") for name in WEAK},
}
if FULL:
    WALKS = {system: (*walks, *OTHER_FAULTS) for system, walks in WALKS.items()}
pytestmark = pytest.mark.timeout(7200 if FULL else 900)


@pytest.mark.parametrize(("system", "walk"), [(system, walk) for system, walks in WALKS.items() for walk in walks])
def test_a_worker_dies_at_every_step(theatre: Theatre, deaths: list[int], system: str, walk: str) -> None:
    make = walks_of(theatre.places[system], system)[walk]
    deaths.append(theatre.killer.at_each_step_of(make))
    theatre.killer.survived(deaths[0])


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_worker_dies_at_every_step_of_a_night(theatre: Theatre, deaths: list[int], system: str) -> None:
    deaths.append(theatre.killer.along(walks_of(theatre.places[system], system)["night"]))
    theatre.killer.survived(deaths[0], at_least=5 if system == "quickbooks" else 0)


def test_a_worker_dies_at_every_step_of_a_link_made_anew(theatre: Theatre, deaths: list[int]) -> None:
    deaths.append(theatre.killer.at_each_step_of(partial(Regenerated, theatre.places[SMALL], "quickbooks")))
    theatre.killer.survived(deaths[0], at_least=3)


def test_a_worker_dies_at_what_comes_late(theatre: Theatre, deaths: list[int]) -> None:
    deaths.append(theatre.killer.at_what_came_late())
    theatre.killer.survived(deaths[0])


def test_a_worker_dies_between_the_parts_of_one_payment(theatre: Theatre, deaths: list[int]) -> None:
    three = walks_of(theatre.places[PARTS], PARTS)["three parts"]
    deaths.append(theatre.killer.at_each_part(three, 3))
    theatre.killer.survived(deaths[0], at_least=4)


def test_the_second_part_is_refused_and_the_worker_dies_all_the_same(theatre: Theatre, deaths: list[int]) -> None:
    refused = walks_of(theatre.places[PARTS], PARTS)["second part refused"]
    targets = [name for name in theatre.killer.record(refused) if "_park" in name or "_posted" in name]
    deaths.append(theatre.killer.kill_at(refused, targets))
    theatre.killer.survived(deaths[0], at_least=2)


def test_a_worker_dies_at_every_step_of_a_first_import(theatre: Theatre, deaths: list[int]) -> None:
    deaths.append(theatre.killer.along(partial(Imported, theatre.places["quickbooks"], "quickbooks")))
    theatre.killer.survived(deaths[0], at_least=1)


def test_a_worker_dies_at_every_step_of_a_disconnect(theatre: Theatre, deaths: list[int]) -> None:
    deaths.append(theatre.killer.along(partial(Disconnected, theatre.places["quickbooks"], "quickbooks")))
    theatre.killer.survived(deaths[0], at_least=4)


def test_a_customers_page_dies_at_every_step_of_paying(theatre: Theatre, deaths: list[int], tmp_path: Path) -> None:
    here, place = theatre.here, theatre.places["quickbooks"]

    class ByDoor(Paid):
        def strike(self) -> None:
            (invoice,) = self.invoices
            form, answer = f"door-{invoice.id}", tmp_path / f"{invoice.id}"
            told = {
                "scope": [here.merchant_id, invoice.connection_id, invoice.customer],
                "choices": [[invoice.id, f"{invoice.balance / 100:.2f}"]],
                "form": form,
                "answer": str(answer),
            }
            theatre.killer.visit("pay", **told)
            here.press(answer.read_text())
            self.payment_id = place.of_form(form).id

    deaths.append(theatre.killer.at_the_door(lambda: ByDoor(place, "quickbooks")))
    assert deaths[0] >= 5


def test_a_merchants_page_dies_at_every_step_of_asking_for_a_refund(theatre: Theatre, deaths: list[int]) -> None:
    class ByDoor(Refunded):
        def strike(self) -> None:
            form = f"refund-{self.payment_id}"
            theatre.killer.visit(
                "refund", merchant=self.here.merchant_id, payment=self.payment_id, amount="1.00", form=form
            )

    deaths.append(theatre.killer.at_the_door(lambda: ByDoor(theatre.places["xero"], "xero")))
    assert deaths[0] >= 1


def test_a_merchants_page_dies_while_a_difference_is_decided(theatre: Theatre, deaths: list[int]) -> None:
    class ByDoor(PutBack):
        def strike(self) -> None:
            theatre.killer.visit("take_back", merchant=self.here.merchant_id, difference=self.difference)

    # Each of these walks takes a payment, a refund and a night: none is spent on looking.
    door = "journeys.fix_difference.take_back"
    steps = [f"{door} {door}#1 {moment} commit" for moment in ("before", "after")]
    deaths.append(theatre.killer.at_the_door(lambda: ByDoor(theatre.places["quickbooks"], "quickbooks"), steps))
    assert deaths[0] >= 1


def test_a_merchants_page_dies_while_a_link_is_made_anew(theatre: Theatre, deaths: list[int]) -> None:
    class ByDoor(Regenerated):
        def strike(self) -> None:
            told = {"merchant": self.here.merchant_id, "connection": self.connection, "target": self.target}
            theatre.killer.visit("regenerate", **told)

    deaths.append(theatre.killer.at_the_door(lambda: ByDoor(theatre.places[SMALL], "quickbooks")))
    assert deaths[0] >= 1


def test_the_webhook_door_dies_and_the_sender_sends_again(theatre: Theatre, deaths: list[int]) -> None:
    here, place = theatre.here, theatre.places["quickbooks"]

    stamps = itertools.count()

    class ByDoor(Paid):
        body = b""

        def strike(self) -> None:
            (invoice,) = self.invoices
            stamp = f"2026-11-22T16:29:58.{next(stamps):03}Z"
            changed = {"name": "Invoice", "id": invoice.remote_id, "operation": "Update", "lastUpdated": stamp}
            part = {"realmId": "9341453000000101", "dataChangeEvent": {"entities": [changed]}}
            self.body = json.dumps({"eventNotifications": [part]}).encode()
            signed = hmac.new(CREDENTIALS["DUEBRIDGE_QUICKBOOKS_WEBHOOK_SECRET"].encode(), self.body, "sha256").digest()
            told = {"headers": {"intuit-signature": base64.b64encode(signed).decode()}}
            theatre.killer.visit("receive", sender="quickbooks", body=base64.b64encode(self.body).decode(), **told)

        def kept(self) -> list[str]:
            rows = sa.select(t.deliveries.c.state).where(t.deliveries.c.body == self.body)
            with here.wiring.database.engine.connect() as connection:
                return list(connection.execute(rows).scalars())

        def arrived(self) -> bool:
            return set(self.kept()) == {"done"}

        def check(self) -> None:
            assert self.kept() == ["done"], "kept once, however often it was sent"

    deaths.append(theatre.killer.at_the_door(lambda: ByDoor(place, "quickbooks")))
    assert deaths[0] >= 1


def test_a_worker_dies_while_it_keeps_house(theatre: Theatre, deaths: list[int]) -> None:
    deaths.append(theatre.killer.while_keeping_house())
    theatre.killer.survived(deaths[0], at_least=2)


def test_in_the_end_nothing_is_lost_nothing_doubled(theatre: Theatre) -> None:
    theatre.here.drain()
    for system in (*SYSTEMS, *WEAK, PARTS):
        judge.nothing_else_stands(theatre.here, system)
    judge.ledger_sums_to_zero(theatre.here)
