"""Getting events to the merchant's software: signed, repeated, and not lost by a restart."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable

from integrations.gateways.sandbox.simulator.records import Event
from integrations.simulator.delivery import WebhookDelivery
from integrations.simulator.store import Store, to_json

SIGNATURE_HEADER = "Sandbox-Signature"
ANSWER_LIMIT_SECONDS = 5.0
# Seconds of the virtual clock after the first, second, ... failure: about three days in all, then given up.
RETRY_DELAYS = (5, 30, 120, 600, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 24 * 3600)
_UNSENT = "unsent_event"


class Signer:
    """Signs a webhook body afresh for every attempt; the secret may be exchanged while running."""

    def __init__(self, secret: str, time: Callable[[], float]) -> None:
        self.secret = secret
        self._time = time

    def __call__(self, body: bytes) -> dict[str, str]:
        """The signature header: HMAC-SHA256 over the time of sending, a full stop and the raw body."""
        stamp = str(int(self._time()))
        digest = hmac.new(self.secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        return {SIGNATURE_HEADER: f"t={stamp},v1={digest}"}


class Outbox:
    """Hands events to the delivery and remembers in the store which are not through yet."""

    def __init__(self, store: Store, delivery: WebhookDelivery) -> None:
        self._store = store
        self._delivery = delivery
        self._lock = threading.Lock()
        self._handed_over: dict[str, str] = {}

    def record(self, event: Event) -> None:
        """Note in the event's own transaction that it is to be sent."""
        self._store.put(_UNSENT, event.id, {"id": event.id})

    def send(self, event: Event) -> None:
        """Queue a committed event."""
        with self._lock:
            self._handed_over[self._delivery.enqueue(to_json(event.document()), {})] = event.id

    def resume(self) -> None:
        """Queue again what an earlier run did not get through."""
        for note in self._store.all(_UNSENT):
            document = self._store.get(Event.kind, note["id"])
            if document is not None:
                self.send(Event.of(document))

    def tidy(self) -> None:
        """Forget what has been accepted or given up by now."""
        with self._lock:
            waiting = {delivery.id for delivery in self._delivery.waiting()}
            for delivery_id in [each for each in self._handed_over if each not in waiting]:
                self._store.delete(_UNSENT, self._handed_over.pop(delivery_id))
