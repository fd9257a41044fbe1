"""Webhooks: intent to receive first, then signed bodies that may mix changes of several organisations.

Xero tells of invoices, contacts and credit notes created or updated, never of payments. It sends again at once and then
every 15 minutes for 24 hours, after which the subscription is disabled until intent to receive is passed anew; what
happened meanwhile is kept and sent in order.
Source: developer.xero.com/documentation/guides/webhooks/overview.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

import requests

from integrations.simulator.delivery import Delivery, WebhookDelivery
from integrations.simulator.faults import Faults
from integrations.simulator.store import Document, to_json
from integrations.systems.xero.simulator.books import CONTACT, CREDIT_NOTE, INVOICE, Books
from integrations.systems.xero.simulator.listing import moment

_EVENT = "webhook_event"
_SETTINGS = "webhook_settings"
_CATEGORIES = {
    INVOICE: ("INVOICE", "Invoices"),
    CONTACT: ("CONTACT", "Contacts"),
    CREDIT_NOTE: ("CREDITNOTE", "CreditNotes"),
}
_EVENTS_PER_BODY = 100
_INTENT_RETRY_SECONDS = 2.0
REQUIRED, OK, DISABLED, NONE = "intent to receive required", "ok", "disabled", "no target"


def sign(body: bytes, key: str) -> str:
    """The `x-xero-signature` of a raw body."""
    return base64.b64encode(hmac.digest(key.encode(), body, "sha256")).decode()


@dataclass(frozen=True)
class IntentAttempt:
    """One request of the intent-to-receive check and why it failed, empty when it did not."""

    signed_rightly: bool
    status: int | None
    problem: str


class Webhooks:
    """Collects changes as events, checks the target, and hands signed bodies to the delivery thread."""

    def __init__(self, books: Books, faults: Faults, api_url: str) -> None:
        self._books = books
        self._store = books.store
        self._api_url = api_url
        self._lock = threading.RLock()
        self._sent: dict[str, list[str]] = {}
        self._intent_tried = 0.0
        self.intent_attempts: list[IntentAttempt] = []
        config = books.config
        self.delivery = WebhookDelivery(
            books.clock,
            faults,
            delays=config.webhook_retries,
            answer_limit=config.webhook_answer_limit,
            gather=self._gather,
        )
        saved = self._store.get(_SETTINGS, "target") or {}
        self._url = str(saved.get("url", config.webhook_url))
        self._key = str(saved.get("key", config.webhook_key))
        self._status = REQUIRED if self._url else NONE
        books.listen(self._on_change)
        self.delivery.set_target(self._url)

    @property
    def status(self) -> str:
        """Whether events flow: ok, intent to receive required, disabled, no target."""
        return self._status

    @property
    def target(self) -> str:
        """Where bodies go."""
        return self._url

    def configure(self, url: str, key: str) -> None:
        """Set the target and key; events flow once intent to receive is passed."""
        with self._lock:
            self._url, self._key = url, key or self._key
            self._store.put(_SETTINGS, "target", {"url": self._url, "key": self._key})
            self._status = REQUIRED if url else NONE
            self._intent_tried = 0.0
        self.delivery.set_target(url)

    def intent_to_receive(self) -> bool:
        """Send empty bodies with right and wrong signatures mixed; passed when exactly the wrong ones get 401."""
        attempts = [self._intent(rightly) for rightly in (True, False, True, False)]
        with self._lock:
            self.intent_attempts = attempts
            passed = bool(self._url) and not any(attempt.problem for attempt in attempts)
            self._status = OK if passed else (REQUIRED if self._url else NONE)
            self._intent_tried = time.monotonic()
        return passed

    def waiting(self) -> int:
        """How many events are not accepted yet."""
        return self._store.count(_EVENT)

    def _intent(self, rightly: bool) -> IntentAttempt:
        content = {
            "events": [],
            "lastEventSequence": 0,
            "firstEventSequence": 0,
            "entropy": _entropy(),
        }
        body = to_json(content)
        signature = sign(body, self._key) if rightly else sign(body, secrets.token_hex(16))
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.post(
                    self._url,
                    data=body,
                    headers={"Content-Type": "application/json", "x-xero-signature": signature},
                    timeout=self._books.config.webhook_answer_limit,
                    allow_redirects=False,
                )
            except requests.RequestException as failure:
                return IntentAttempt(rightly, None, type(failure).__name__)
        return IntentAttempt(rightly, answer.status_code, _intent_problem(rightly, answer))

    def _on_change(self, tenant: str, kind: str, doc: Document, created: bool) -> None:
        """Note an event in the same transaction as the change itself; the store's lock guards the sequence.

        Taking another lock here could wait for `_gather`, which waits for the store.
        """
        if kind not in _CATEGORIES:
            return
        category, path = _CATEGORIES[kind]
        sequence = int((self._store.get(_SETTINGS, "sequence") or {"last": 0})["last"]) + 1
        self._store.put(_SETTINGS, "sequence", {"last": sequence})
        event: dict[str, Any] = {
            "resourceUrl": f"{self._api_url}{path}/{doc['id']}",
            "resourceId": doc["id"],
            "tenantId": tenant,
            "tenantType": "ORGANISATION",
            "eventCategory": category,
            "eventType": "CREATE" if created else "UPDATE",
            "eventDateUtc": moment(doc["updated"]).isoformat(timespec="milliseconds"),
        }
        if kind == CREDIT_NOTE:
            event["data"] = {"Type": doc["type"], "Status": doc["status"]}
        self._store.put(_EVENT, str(sequence), {"sequence": sequence, "event": event})

    def _gather(self) -> list[Delivery]:
        """New bodies to send: everything that happened since the last one, whichever organisation it is about."""
        with self._lock:
            self._forget_accepted()
            if not self._events_flow():
                return []
            on_the_way = {id for ids in self._sent.values() for id in ids}
            new = [doc for doc in self._store.all(_EVENT) if str(doc["sequence"]) not in on_the_way]
            if not new:
                return []
            batch = new[:_EVENTS_PER_BODY]
            body = to_json(
                {
                    "events": [doc["event"] for doc in batch],
                    "firstEventSequence": batch[0]["sequence"],
                    "lastEventSequence": batch[-1]["sequence"],
                    "entropy": _entropy(),
                }
            )
            delivery = Delivery(body, {"x-xero-signature": sign(body, self._key)})
            self._sent[delivery.id] = [str(doc["sequence"]) for doc in batch]
            return [delivery]

    def _events_flow(self) -> bool:
        """Whether bodies may go out; tries intent to receive by itself when a first event waits for it."""
        if self._status == OK:
            return True
        due = time.monotonic() - self._intent_tried >= _INTENT_RETRY_SECONDS
        if self._status == REQUIRED and due and self._store.count(_EVENT):
            return self.intent_to_receive()
        return False

    def _forget_accepted(self) -> None:
        """Drop events whose body was accepted; when one was given up, the subscription is disabled."""
        if not self._sent:
            return
        waiting = {delivery.id for delivery in self.delivery.waiting()}
        given_up = {delivery.id for delivery in self.delivery.given_up()}
        for delivery_id in [id for id in self._sent if id not in waiting]:
            sequences = self._sent.pop(delivery_id)
            if delivery_id in given_up:
                self._status = DISABLED
                continue
            for sequence in sequences:
                self._store.delete(_EVENT, sequence)


def _intent_problem(rightly: bool, answer: requests.Response) -> str:
    wanted = 200 if rightly else 401
    if answer.status_code != wanted:
        return f"answered {answer.status_code} instead of {wanted}"
    if answer.content:
        return "the answer has a body"
    if answer.cookies or "Set-Cookie" in answer.headers:
        return "the answer sets a cookie"
    return ""


def _entropy() -> str:
    return secrets.token_hex(10).upper()
