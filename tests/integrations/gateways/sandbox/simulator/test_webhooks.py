"""Webhooks: the signature, retries, the faults of delivery, and what a restart must not lose."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import requests

from integrations.gateways.sandbox.simulator.outbox import RETRY_DELAYS
from integrations.simulator.delivery import WebhookDelivery
from integrations.simulator.store import Store
from tests.integrations.gateways.sandbox.simulator.driving import DAY, SECRET, Page, Receiver, Upstream


def test_a_webhook_is_signed_and_says_what_to_read_again(upstream: Upstream, receiver: Receiver) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("approve")
    assert upstream.gateway.delivery.flush()
    (received,) = receiver.received
    assert received.signed_with(SECRET) and not received.signed_with("another")
    assert abs(received.stamp - time.time()) < 5
    event = received.event
    assert set(event) == {"id", "type", "created", "data"}
    assert event["type"] == "payment.settled"
    assert event["data"] == {
        "checkout": checkout["id"],
        "payment": checkout["payment"]["id"],
        "reference": "pay-1",
    }
    assert upstream.call("GET", f"/v1/events/{event['id']}").json() == event


def test_a_changed_body_breaks_the_signature(upstream: Upstream, receiver: Receiver) -> None:
    Page(upstream.checkout()["url"]).press("approve")
    upstream.gateway.delivery.flush()
    (received,) = receiver.received
    received.raw = received.raw.replace(b"settled", b"Settled")
    assert not received.signed_with(SECRET)


def test_a_refused_webhook_is_repeated_with_a_fresh_stamp(upstream: Upstream, receiver: Receiver) -> None:
    receiver.statuses[:] = [500, 404]
    Page(upstream.checkout()["url"]).press("approve")
    delivery = upstream.gateway.delivery
    _until_failed(delivery, 1)
    time.sleep(1.1)
    assert len(receiver.received) == 1
    upstream.forward(5)
    _until_failed(delivery, 2)
    upstream.forward(30)
    assert delivery.flush()
    assert [attempt.status for attempt in delivery.attempts()] == [500, 404, 200]
    assert len({received.raw for received in receiver.received}) == 1
    assert all(received.signed_with(SECRET) for received in receiver.received)
    assert receiver.received[-1].stamp > receiver.received[0].stamp


def test_the_stamp_is_the_real_time_although_the_virtual_clock_is_ahead(upstream: Upstream, receiver: Receiver) -> None:
    Page(upstream.checkout()["url"]).press("bank_settles")
    upstream.forward(3 * DAY)
    assert upstream.gateway.delivery.flush()
    assert receiver.types() == ["payment.processing", "payment.settled"]
    assert all(abs(received.stamp - time.time()) < 10 for received in receiver.received)


def test_one_failing_webhook_does_not_hold_up_the_others(upstream: Upstream, receiver: Receiver) -> None:
    receiver.statuses[:] = [500]
    Page(upstream.checkout(reference="first")["url"]).press("approve")
    _until(lambda: len(receiver.received) == 1)
    Page(upstream.checkout(reference="second")["url"]).press("approve")
    _until(lambda: len(receiver.received) == 2)
    assert [received.event["data"]["reference"] for received in receiver.received] == ["first", "second"]


def test_a_webhook_is_given_up_in_the_end_but_stays_in_the_list(upstream: Upstream, receiver: Receiver) -> None:
    receiver.statuses[:] = [500] * 50
    Page(upstream.checkout()["url"]).press("approve")
    delivery = upstream.gateway.delivery
    for failures in range(1, len(RETRY_DELAYS) + 1):
        _until_failed(delivery, failures)
        upstream.forward(DAY)
    _until(lambda: len(delivery.given_up()) == 1)
    assert len(receiver.received) == len(RETRY_DELAYS) + 1 and not delivery.waiting()
    assert upstream.event_types() == ["payment.settled"]


def test_the_duplicate_fault_sends_the_same_event_twice(upstream: Upstream, receiver: Receiver) -> None:
    upstream.faults.arm("duplicate_webhooks")
    Page(upstream.checkout()["url"]).press("approve")
    assert upstream.gateway.delivery.flush()
    _until(lambda: len(receiver.received) == 2)
    first, second = receiver.received
    assert first.raw == second.raw and first.event["id"] == second.event["id"]
    assert len(upstream.events()) == 1


def test_the_hold_and_reorder_faults(upstream: Upstream, receiver: Receiver) -> None:
    upstream.faults.arm("hold_webhooks")
    checkout = upstream.checkout()
    Page(checkout["url"]).press("authenticate")
    Page(checkout["url"]).press("confirm")
    time.sleep(0.3)
    assert receiver.received == []
    upstream.faults.arm("reorder_webhooks")
    upstream.faults.clear("hold_webhooks")
    assert upstream.gateway.delivery.flush()
    assert receiver.types() == ["payment.settled", "payment.requires_authentication"]


def test_target_and_secret_can_be_set_while_running(upstream: Upstream) -> None:
    Page(upstream.checkout()["url"]).press("approve")
    receiver = Receiver()
    answer = requests.post(
        f"{upstream.url}/_control/webhooks", json={"url": receiver.url, "secret": "rotated"}, timeout=10
    )
    assert answer.json() == {"url": receiver.url}
    assert upstream.gateway.delivery.flush()
    (received,) = receiver.received
    assert received.signed_with("rotated") and not received.signed_with(SECRET)
    receiver.server.close()


def test_a_restart_forgets_neither_payments_nor_unsent_webhooks(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.sqlite"
    first = Upstream(Store(path))
    checkout = first.checkout(key="k1")
    Page(checkout["url"]).press("bank_settles")
    first.close()
    first.store.close()

    second, receiver = Upstream(Store(path)), Receiver()
    second.gateway.delivery.set_target(receiver.url)
    assert second.gateway.delivery.flush()
    assert receiver.types() == ["payment.processing"]
    assert second.checkout(key="k1")["id"] == checkout["id"]
    second.forward(3 * DAY)
    assert second.gateway.delivery.flush()
    assert second.payment(checkout)["status"] == "settled"
    second.close()
    second.store.close()

    third = Upstream(Store(path))
    third.gateway.delivery.set_target(receiver.url)
    assert third.gateway.delivery.flush()
    assert receiver.types() == ["payment.processing", "payment.settled"]
    third.close()
    third.store.close()
    receiver.server.close()


def _until_failed(delivery: WebhookDelivery, times: int) -> None:
    """Wait until the one waiting delivery has failed so often and its next try is scheduled."""
    _until(lambda: [each.tries for each in delivery.waiting()] == [times])


def _until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
