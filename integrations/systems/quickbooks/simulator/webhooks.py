"""Webhooks as Intuit sends them: changes of every company gathered into one body, signed, retried on the schedule.

Sources: developer.intuit.com/app/developer/qbo/docs/develop/webhooks (signature, three seconds, retry delays) and
blogs.intuit.com/2025/11/12/upcoming-change-to-webhooks-payload-structure (CloudEvents).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from datetime import UTC, datetime
from typing import Any

from integrations.simulator.clock import Clock
from integrations.simulator.delivery import Delivery, WebhookDelivery
from integrations.simulator.faults import Faults
from integrations.simulator.store import Store, to_json
from integrations.systems.quickbooks.simulator.books import EVENT_KIND
from integrations.systems.quickbooks.simulator.settings import QuickBooksSettings, WebhookStyle

_DELIVERY_KIND = "webhook-delivery"
_TARGET = ("control", "webhook-target")
RETRY_DELAYS = (10.0, 20.0, 30.0, 300.0, 1200.0, 7200.0, 14400.0, 21600.0)

_VERBS = {
    "Create": "created",
    "Update": "updated",
    "Delete": "deleted",
    "Void": "voided",
    "Emailed": "emailed",
    "Merge": "merged",
}
_ANNOUNCED = frozenset(
    {"Account", "CreditMemo", "Customer", "Deposit", "Estimate", "Invoice", "Payment", "Preferences", "RefundReceipt"}
)


def signature(body: bytes, verifier_token: str) -> str:
    """The `intuit-signature` header of a body."""
    return base64.b64encode(hmac.new(verifier_token.encode(), body, hashlib.sha256).digest()).decode()


class Webhooks:
    """Turns noted changes into signed deliveries; target, secret and body form survive a restart."""

    def __init__(self, store: Store, clock: Clock, faults: Faults, settings: QuickBooksSettings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self.delivery = WebhookDelivery(
            clock,
            faults,
            delays=RETRY_DELAYS,
            answer_limit=settings.webhook_answer_limit,
            repeat_last=True,
            gather=self._gather,
            accepted=lambda delivery: store.delete(_DELIVERY_KIND, delivery.id),
        )
        for doc in store.all(_DELIVERY_KIND):
            self.delivery.enqueue(doc["body"].encode(), doc["headers"])
            store.delete(_DELIVERY_KIND, doc["id"])
        self.delivery.set_target(self._kept()["url"])

    @property
    def style(self) -> WebhookStyle:
        """The form bodies have at present."""
        style: WebhookStyle = self._kept()["style"]
        return style

    def set_target(self, url: str, secret: str = "", style: str = "") -> None:
        """Where to send from now on; secret and form stay as they are unless given. ValueError for an unknown form."""
        if style not in ("", "cloudevents", "legacy"):
            raise ValueError("style is cloudevents or legacy")
        kept = self._kept()
        self._store.put(*_TARGET, {"url": url, "secret": secret or kept["secret"], "style": style or kept["style"]})
        self.delivery.set_target(url)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until every change noted so far was accepted by the target; False when time runs out."""
        end = time.monotonic() + timeout
        while self._store.count(EVENT_KIND) and time.monotonic() < end:
            self.delivery.wake()
            time.sleep(0.01)
        return not self._store.count(EVENT_KIND) and self.delivery.flush(max(0.05, end - time.monotonic()))

    def _kept(self) -> dict[str, Any]:
        default = {"url": "", "secret": self._settings.verifier_token, "style": self._settings.webhook_style}
        return self._store.get(*_TARGET) or default

    def _gather(self) -> list[Delivery]:
        """One delivery with everything noted so far, of all companies, once the oldest has waited long enough."""
        with self._store.transaction():
            noted = [(id, self._store.get(EVENT_KIND, id)) for id, _ in self._store.bodies(EVENT_KIND)]
            events = [event for _, event in noted if event is not None]
            if not events or self._clock.time() - float(events[0]["at"]) < self._settings.webhook_gather_seconds:
                return []
            for id, _ in noted:
                self._store.delete(EVENT_KIND, id)
            announced = [event for event in events if event["entity"] in _ANNOUNCED]
            if not announced:
                return []
            kept = self._kept()
            body = to_json(cloud_events(announced) if kept["style"] == "cloudevents" else legacy(announced))
            delivery = Delivery(body, {"intuit-signature": signature(body, kept["secret"])})
            doc = {"id": delivery.id, "body": body.decode(), "headers": delivery.headers}
            self._store.put(_DELIVERY_KIND, delivery.id, doc)
        return [delivery]


def cloud_events(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The body in the present form: an array, companies told apart by `intuitaccountid`."""
    return [
        {
            "specversion": "1.0",
            "id": event["event_id"],
            "source": "intuit.c2ltdWxhdG9yLXF1aWNrYm9va3Mtb25saW5lLWRlbW8=",
            "type": f"qbo.{event['entity'].lower()}.{_VERBS[event['operation']]}.v1",
            "time": _utc(event).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z",
            "intuitentityid": event["id"],
            "intuitaccountid": event["realm"],
            "data": {},
        }
        for event in events
    ]


def legacy(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The body in the older form: an object, changes grouped by company."""
    by_realm: dict[str, list[dict[str, str]]] = {}
    for event in events:
        by_realm.setdefault(event["realm"], []).append(
            {
                "name": event["entity"],
                "id": event["id"],
                "operation": event["operation"],
                "lastUpdated": _utc(event).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            }
        )
    return {
        "eventNotifications": [
            {"realmId": realm, "dataChangeEvent": {"entities": entities}} for realm, entities in by_realm.items()
        ]
    }


def _utc(event: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(float(event["at"]), UTC)
