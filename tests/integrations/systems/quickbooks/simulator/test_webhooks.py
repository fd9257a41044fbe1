"""Webhooks: signed, in either form, several companies in one body, repeated as Intuit does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask, request

from integrations.simulator.clock import Clock
from integrations.simulator.server import serve
from integrations.systems.quickbooks.simulator.webhooks import cloud_events, legacy
from tests.integrations.systems.quickbooks.simulator.driving import OTHER_REALM, REALM, Running, running

TOKEN = "demo-verifier-quickbooks"


@dataclass
class Receiver:
    """Keeps what came; answers with `status`."""

    url: str = ""
    status: int = 200
    bodies: list[bytes] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def events(self) -> list[dict[str, Any]]:
        """Everything announced so far in the present form."""
        return [event for body in self.bodies for event in json.loads(body)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()
    app = Flask(__name__)

    @app.post("/webhooks/quickbooks")
    def hook() -> tuple[str, int]:
        with kept.lock:
            kept.bodies.append(request.get_data())
            kept.signatures.append(request.headers["intuit-signature"])
            return "", kept.status

    with serve(app) as server:
        kept.url = f"{server.url}/webhooks/quickbooks"
        yield kept


def _expected(body: bytes, token: str = TOKEN) -> str:
    return base64.b64encode(hmac.new(token.encode(), body, hashlib.sha256).digest()).decode()


def _rename(run: Running, realm: str, name: str) -> None:
    with run.parts.books[realm].change("by hand") as change:
        change.update("Customer", {**change.get("Customer", "1"), "DisplayName": name})


def test_a_payment_announces_itself_and_its_invoice(run: Running, receiver: Receiver) -> None:
    run.parts.webhooks.set_target(receiver.url)
    invoice = run.open_invoice()
    payment = run.post("payment", run.payment_body(invoice)).json()["Payment"]
    assert run.parts.webhooks.flush()
    events = receiver.events()
    assert {(event["type"], event["intuitentityid"]) for event in events} == {
        ("qbo.payment.created.v1", payment["Id"]),
        ("qbo.invoice.updated.v1", invoice["Id"]),
    }
    for event in events:
        assert event["specversion"] == "1.0"
        assert event["intuitaccountid"] == REALM
        assert len(event["time"].split(".")[1]) == 10
    assert len({event["id"] for event in events}) == len(events)
    assert receiver.signatures == [_expected(body) for body in receiver.bodies]


def test_changes_of_several_companies_travel_in_one_body(receiver: Receiver) -> None:
    with running(webhook_gather_seconds=0.3) as run:
        run.parts.webhooks.set_target(receiver.url)
        _rename(run, REALM, "First")
        _rename(run, OTHER_REALM, "Second")
        assert run.parts.webhooks.flush()
        (body,) = receiver.bodies
        assert [event["intuitaccountid"] for event in json.loads(body)] == [REALM, OTHER_REALM]


def test_the_older_form_groups_by_company(receiver: Receiver) -> None:
    with running(webhook_gather_seconds=0.3, webhook_style="legacy") as run:
        run.parts.webhooks.set_target(receiver.url, "another-token")
        _rename(run, REALM, "First")
        _rename(run, OTHER_REALM, "Second")
        assert run.parts.webhooks.flush()
        (body,) = receiver.bodies
        notifications = json.loads(body)["eventNotifications"]
        assert [note["realmId"] for note in notifications] == [REALM, OTHER_REALM]
        (entity,) = notifications[0]["dataChangeEvent"]["entities"]
        assert (entity["name"], entity["id"], entity["operation"]) == ("Customer", "1", "Update")
        assert receiver.signatures == [_expected(body, "another-token")]


def test_void_delete_and_emailing_have_their_own_words(run: Running, receiver: Receiver) -> None:
    run.parts.webhooks.set_target(receiver.url)
    first, second, third = (run.open_invoice(skip=skip)["Id"] for skip in range(3))
    run.post("invoice", {"Id": first, "SyncToken": "0"}, operation="void")
    run.post("invoice", {"Id": second, "SyncToken": "0"}, operation="delete")
    run.post(f"invoice/{third}/send", {}, sendTo="a@b.example")
    assert run.parts.webhooks.flush()
    verbs = {event["intuitentityid"]: event["type"] for event in receiver.events()}
    assert verbs == {first: "qbo.invoice.voided.v1", second: "qbo.invoice.deleted.v1", third: "qbo.invoice.emailed.v1"}


def test_refused_changes_announce_nothing(run: Running, receiver: Receiver) -> None:
    run.parts.webhooks.set_target(receiver.url)
    run.post("payment", {**run.payment_body(run.open_invoice()), "CustomerRef": {"value": "999"}})
    assert run.parts.webhooks.flush(1)
    assert receiver.bodies == []


def test_what_is_not_accepted_comes_again_on_the_schedule_and_over_a_restart(
    tmp_path: Path, receiver: Receiver
) -> None:
    path, clock = tmp_path / "quickbooks.sqlite", Clock()
    receiver.status = 500
    with running(path, clock) as run:
        run.parts.webhooks.set_target(receiver.url)
        _rename(run, REALM, "Again")
        assert not run.parts.webhooks.flush(0.5)
        assert len(receiver.bodies) == 1
        clock.advance(10.5)
        assert not run.parts.webhooks.flush(0.5)
        assert len(receiver.bodies) == 2
    receiver.status = 200
    with running(path, clock) as run:
        assert run.parts.webhooks.delivery.target == receiver.url
        assert run.parts.webhooks.flush()
        assert len(set(receiver.bodies)) == 1
        assert len(receiver.bodies) == 3
    with running(path, clock) as run:
        assert run.parts.webhooks.flush()
        assert len(receiver.bodies) == 3


def test_duplicates_by_fault_and_the_target_by_control(run: Running, receiver: Receiver) -> None:
    sent = {"url": receiver.url, "secret": "s3", "style": "legacy"}
    answer = requests.post(f"{run.url}/_control/webhooks", json=sent, timeout=5)
    assert answer.json() == {"url": receiver.url, "style": "legacy"}
    bad = requests.post(f"{run.url}/_control/webhooks", json={**sent, "style": "xml"}, timeout=5)
    assert bad.status_code == 400
    run.parts.faults.arm("duplicate_webhooks")
    _rename(run, REALM, "Twice")
    assert run.parts.webhooks.flush()
    assert len(receiver.bodies) == 2
    assert receiver.bodies[0] == receiver.bodies[1]
    assert receiver.signatures[0] == _expected(receiver.bodies[0], "s3")


def test_both_forms_have_the_shape_of_the_vendors_samples(shared_specs: Path) -> None:
    samples = json.loads((shared_specs / "qbo_webhook_samples.json").read_text(encoding="utf-8"))
    event = {"realm": "1", "entity": "Class", "id": "1234", "operation": "Create", "at": 1.5, "event_id": "e"}
    (ours,) = cloud_events([event])
    (theirs,) = samples["cloudevents"]
    assert ours.keys() == theirs.keys()
    assert (ours["type"], len(ours["time"])) == (theirs["type"], len(theirs["time"]))
    old, sample = legacy([event]), samples["legacy"]
    assert old.keys() == sample.keys()
    entity, sample_entity = (
        notes["eventNotifications"][0]["dataChangeEvent"]["entities"][0] for notes in (old, sample)
    )
    assert entity.keys() == sample_entity.keys()
    assert len(entity["lastUpdated"]) == len(sample_entity["lastUpdated"])
