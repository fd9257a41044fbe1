"""Intent to receive, signed bodies of several organisations, the retry schedule and its end."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integrations.systems.xero.simulator.conftest import Start
from tests.integrations.systems.xero.simulator.driving import App, Running

KEY = "webhook-key-of-the-test"


@dataclass
class Receiver:
    """A well-behaved door: 200 for a right signature, 401 for a wrong one, nothing else."""

    url: str = ""
    accept: bool = True
    check: bool = True
    cookie: bool = False
    body: bytes = b""
    seen: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def events(self) -> list[dict[str, Any]]:
        with self.lock:
            return [event for body in self.seen for event in body["events"]]

    def bodies(self) -> list[dict[str, Any]]:
        with self.lock:
            return [body for body in self.seen if body["events"]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A running receiver."""
    told = Receiver()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            expected = base64.b64encode(hmac.new(KEY.encode(), raw, hashlib.sha256).digest()).decode()
            genuine = hmac.compare_digest(self.headers["x-xero-signature"], expected)
            with told.lock:
                if told.check and not genuine:
                    status = 401
                    told.refused += 1
                elif json.loads(raw)["events"] and not told.accept:
                    status = 500
                else:
                    status = 200
                    told.seen.append(json.loads(raw))
            self.send_response(status)
            if told.cookie:
                self.send_header("Set-Cookie", "session=1")
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            self.wfile.write(told.body)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}/webhooks/xero"
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


def _wait(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def _subscribe(xero: Running, receiver: Receiver) -> dict[str, Any]:
    xero.control("webhooks", {"url": receiver.url, "secret": KEY})
    return xero.control("webhooks/intent-to-receive", {})


def test_intent_to_receive_mixes_right_and_wrong_signatures(xero: Running, receiver: Receiver) -> None:
    answer = _subscribe(xero, receiver)
    assert answer["status"] == "ok"
    assert [attempt["status"] for attempt in answer["attempts"]] == [200, 401, 200, 401]
    assert receiver.refused == 2
    assert all(body["events"] == [] and body["entropy"] for body in receiver.seen)


@pytest.mark.parametrize(
    "fault", [{"check": False}, {"cookie": True}, {"body": b"ok"}], ids=["accepts forged", "cookie", "body"]
)
def test_intent_to_receive_fails(xero: Running, receiver: Receiver, fault: dict[str, Any]) -> None:
    for name, value in fault.items():
        setattr(receiver, name, value)
    answer = _subscribe(xero, receiver)
    assert answer["status"] == "intent to receive required"
    assert any(attempt["problem"] for attempt in answer["attempts"])


def test_a_payment_is_told_as_a_change_of_the_invoice(app: App, receiver: Receiver) -> None:
    _subscribe(app.xero, receiver)
    invoice = app.open_invoice()
    app.write("PUT", "Payments", {"Payments": [app.payment(invoice, "1.00")]})
    assert app.xero.webhooks.delivery.flush()
    events = receiver.events()
    assert [(event["eventCategory"], event["eventType"]) for event in events] == [("INVOICE", "UPDATE")]
    event = events[0]
    assert event["resourceId"] == invoice["InvoiceID"]
    assert event["resourceUrl"].endswith(f"/api.xro/2.0/Invoices/{invoice['InvoiceID']}")
    assert (event["tenantId"], event["tenantType"]) == (app.tenant, "ORGANISATION")


def test_creation_contacts_and_credit_notes(app: App, receiver: Receiver) -> None:
    _subscribe(app.xero, receiver)
    line = {"Description": "Back", "UnitAmount": 5}
    note = {"Type": "ACCRECCREDIT", "Contact": {"Name": "Somebody New"}, "LineItems": [line], "Status": "AUTHORISED"}
    app.write("PUT", "CreditNotes", {"CreditNotes": [note]})
    assert app.xero.webhooks.delivery.flush()
    events = {event["eventCategory"]: event for event in receiver.events()}
    assert set(events) == {"CONTACT", "CREDITNOTE"}
    assert events["CREDITNOTE"]["eventType"] == "CREATE"
    assert events["CREDITNOTE"]["data"] == {"Type": "ACCRECCREDIT", "Status": "AUTHORISED"}
    assert "data" not in events["CONTACT"]


def test_one_body_mixes_organisations_and_counts_on(xero: Running, receiver: Receiver) -> None:
    _subscribe(xero, receiver)
    app = xero.connect(xero.tenants())
    xero.control("faults", {"kind": "hold_webhooks"})
    for tenant in (*xero.tenants(), xero.tenants()[0]):
        app.tenant = tenant
        app.write("POST", f"Invoices/{app.open_invoice()['InvoiceID']}", {"Invoices": [{"Reference": "changed"}]})
    assert receiver.events() == []
    xero.control("faults/clear", {})
    _wait(lambda: len(receiver.events()) == 3)
    body = receiver.bodies()[0]
    assert [event["tenantId"] for event in body["events"]] == [*xero.tenants(), xero.tenants()[0]]
    assert body["lastEventSequence"] - body["firstEventSequence"] == 2
    app.write("POST", f"Invoices/{app.open_invoice()['InvoiceID']}", {"Invoices": [{"Reference": "again"}]})
    _wait(lambda: len(receiver.bodies()) == 2)
    assert receiver.bodies()[1]["firstEventSequence"] == body["lastEventSequence"] + 1


def test_nothing_is_told_of_what_was_refused(app: App, receiver: Receiver) -> None:
    _subscribe(app.xero, receiver)
    good, bad = app.open_invoice(), app.open_invoice(number=1)
    body = {"Payments": [app.payment(good, "1.00"), app.payment(bad, "9999999.00")]}
    assert app.call("PUT", "Payments", body).status_code == 400
    assert app.xero.webhooks.delivery.flush()
    assert receiver.events() == []


def test_again_at_once_then_every_quarter_of_an_hour_then_disabled(app: App, receiver: Receiver) -> None:
    webhooks = app.xero.webhooks
    _subscribe(app.xero, receiver)
    receiver.accept = False
    app.write("PUT", "Payments", {"Payments": [app.payment(app.open_invoice(), "1.00")]})
    _wait(lambda: len(webhooks.delivery.attempts()) == 2)
    app.xero.clock.advance(890)
    time.sleep(0.1)
    assert len(webhooks.delivery.attempts()) == 2
    app.xero.clock.advance(15)
    _wait(lambda: len(webhooks.delivery.attempts()) == 3)
    for done in range(4, 99):
        app.xero.clock.advance(901)
        _wait(lambda count=done: len(webhooks.delivery.attempts()) >= count)  # type: ignore[misc]
    _wait(lambda: webhooks.status == "disabled")
    assert len(webhooks.delivery.attempts()) == 98
    assert webhooks.waiting() == 1
    receiver.accept = True
    assert app.xero.control("webhooks/intent-to-receive", {})["status"] == "ok"
    _wait(lambda: len(receiver.events()) == 1)
    _wait(lambda: webhooks.waiting() == 0)


def test_events_wait_for_a_target_and_survive_a_restart(start: Start, tmp_path: Path, receiver: Receiver) -> None:
    app = start(path=tmp_path / "xero.sqlite").connect()
    app.write("PUT", "Payments", {"Payments": [app.payment(app.open_invoice(), "1.00")]})
    assert app.xero.webhooks.waiting() == 1
    again = start(path=tmp_path / "xero.sqlite")
    assert _subscribe(again, receiver)["status"] == "ok"
    _wait(lambda: len(receiver.events()) == 1)
    _wait(lambda: again.webhooks.waiting() == 0)


def test_twice_on_request(app: App, receiver: Receiver) -> None:
    _subscribe(app.xero, receiver)
    app.xero.control("faults", {"kind": "duplicate_webhooks"})
    app.write("PUT", "Payments", {"Payments": [app.payment(app.open_invoice(), "1.00")]})
    _wait(lambda: len(receiver.bodies()) == 2)
    assert receiver.bodies()[0] == receiver.bodies()[1]


def test_the_first_event_sends_intent_to_receive_by_itself(app: App, receiver: Receiver) -> None:
    app.xero.control("webhooks", {"url": receiver.url, "secret": KEY})
    app.write("PUT", "Payments", {"Payments": [app.payment(app.open_invoice(), "1.00")]})
    _wait(lambda: len(receiver.events()) == 1)
    page = requests.get(f"{app.xero.url}/_control/", timeout=10).text
    assert "Wrong signature: 401" in page
