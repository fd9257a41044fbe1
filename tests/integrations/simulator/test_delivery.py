"""Deliveries reach a real receiver, are repeated on the schedule, and fail as told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from flask import Flask, request

from integrations.simulator.clock import Clock
from integrations.simulator.delivery import Delivery, WebhookDelivery
from integrations.simulator.faults import Faults
from integrations.simulator.server import serve


@dataclass
class Receiver:
    """Answers with `statuses` one after another, then 200; remembers every body."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    delay: float = 0.0

    def wait_for(self, count: int) -> None:
        """Until so many bodies came; fails after five seconds."""
        end = time.monotonic() + 5
        while len(self.bodies) < count:
            assert time.monotonic() < end, f"only {len(self.bodies)} of {count} came"
            time.sleep(0.01)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    app = Flask(__name__)
    lock = threading.Lock()

    @app.post("/hook")
    def hook() -> tuple[str, int]:
        with lock:
            receiver.bodies.append(request.get_data())
            receiver.headers.append(dict(request.headers))
            status = receiver.statuses.pop(0) if receiver.statuses else 200
        time.sleep(receiver.delay)
        return "", status

    with serve(app) as server:
        receiver.url = f"{server.url}/hook"
        yield receiver


def _delivery(clock: Clock, faults: Faults, **options: object) -> WebhookDelivery:
    settings: dict[str, object] = {"delays": (10, 20), "answer_limit": 0.5, **options}
    return WebhookDelivery(clock, faults, **settings)  # type: ignore[arg-type]


def test_a_body_arrives_byte_for_byte_with_its_headers(receiver: Receiver) -> None:
    delivery = _delivery(Clock(), Faults())
    delivery.enqueue(b'{ "a" : 1}\n', {"x-signature": "abc"})
    assert not receiver.bodies
    delivery.set_target(receiver.url)
    assert delivery.flush()
    delivery.close()
    assert receiver.bodies == [b'{ "a" : 1}\n']
    assert receiver.headers[0]["X-Signature"] == "abc"
    (attempt,) = delivery.attempts()
    assert attempt.status == 200
    assert attempt.milliseconds >= 0


def test_failures_are_repeated_on_the_schedule_and_hold_back_what_follows(receiver: Receiver) -> None:
    clock, accepted = Clock(), list[str]()
    delivery = _delivery(clock, Faults(), accepted=lambda done: accepted.append(done.id))
    receiver.statuses = [500, 401]
    first = delivery.enqueue(b"1", {})
    second = delivery.enqueue(b"2", {})
    delivery.set_target(receiver.url)
    receiver.wait_for(1)
    assert not delivery.flush(0.2)
    assert receiver.bodies == [b"1"]
    clock.advance(10.5)
    receiver.wait_for(2)
    # The next try is planned from when the answer is known, which may be a moment after it was given.
    assert not delivery.flush(0.5)
    clock.advance(10)
    assert not delivery.flush(0.2)
    clock.advance(10.5)
    assert delivery.flush()
    delivery.close()
    assert receiver.bodies == [b"1", b"1", b"1", b"2"]
    assert [attempt.status for attempt in delivery.attempts()] == [500, 401, 200, 200]
    assert accepted == [first, second]


def test_without_order_a_failing_one_holds_nobody_back_and_is_given_up(receiver: Receiver) -> None:
    clock = Clock()
    delivery = _delivery(clock, Faults(), in_order=False, delays=(10,))
    receiver.statuses = [500]
    delivery.enqueue(b"1", {})
    delivery.enqueue(b"2", {})
    delivery.set_target(receiver.url)
    receiver.wait_for(2)
    assert receiver.bodies == [b"1", b"2"]
    receiver.statuses = [500]
    clock.advance(11)
    assert delivery.flush()
    delivery.close()
    assert [lost.body for lost in delivery.given_up()] == [b"1"]


def test_an_answer_after_the_limit_is_no_answer(receiver: Receiver) -> None:
    delivery = _delivery(Clock(), Faults(), answer_limit=0.1, delays=())
    receiver.delay = 0.4
    delivery.enqueue(b"1", {})
    delivery.set_target(receiver.url)
    assert delivery.flush()
    delivery.close()
    (attempt,) = delivery.attempts()
    assert attempt.status is None
    assert attempt.error == "ReadTimeout"


def test_duplicates_reordering_and_holding(receiver: Receiver) -> None:
    faults = Faults()
    faults.arm("hold_webhooks")
    faults.arm("reorder_webhooks")
    faults.arm("duplicate_webhooks")
    delivery = _delivery(Clock(), faults)
    delivery.set_target(receiver.url)
    for body in (b"1", b"2", b"3"):
        delivery.enqueue(body, {})
    assert not delivery.flush(0.2)
    assert receiver.bodies == []
    faults.clear("hold_webhooks")
    assert delivery.flush()
    delivery.close()
    assert receiver.bodies == [b"2", b"2", b"1", b"3"]


def test_gathered_deliveries_and_fresh_signatures(receiver: Receiver) -> None:
    gathered = [Delivery(b"gathered", {})]
    signed: list[bytes] = []

    def sign(body: bytes) -> dict[str, str]:
        signed.append(body)
        return {"x-signature": str(len(signed))}

    delivery = _delivery(
        clock := Clock(), Faults(), gather=lambda: [gathered.pop()] if gathered else [], sign=sign, repeat_last=True
    )
    receiver.statuses = [500]
    delivery.set_target(receiver.url)
    receiver.wait_for(1)
    clock.advance(11)
    assert delivery.flush()
    delivery.close()
    assert [headers["X-Signature"] for headers in receiver.headers] == ["1", "2"]
