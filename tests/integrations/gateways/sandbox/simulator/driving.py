"""A running sandbox gateway over real HTTP: driven as the merchant's software, as a customer, as a webhook door."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
import uuid
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import requests
from flask import Flask, Response, request

from integrations.gateways.sandbox.simulator.application import EXTENSION, create_simulator
from integrations.gateways.sandbox.simulator.gateway import Gateway
from integrations.gateways.sandbox.simulator.settings import SandboxSettings
from integrations.simulator.clock import Clock
from integrations.simulator.faults import Faults
from integrations.simulator.journal import Journal
from integrations.simulator.server import RunningServer, serve, serve_at
from integrations.simulator.store import Store

API_KEY = "test-key"
SECRET = "test-webhook-secret"
SUCCESS = "http://shop.example:8080/paid"
CANCEL = "http://shop.example:8080/back"
DAY = 24 * 60 * 60
TIMEOUT = 10


class Upstream:
    """The gateway on a free port, with its clock, faults and journal at hand."""

    def __init__(self, store: Store | None = None, settings: SandboxSettings | None = None) -> None:
        self.clock, self.journal, self.faults = Clock(), Journal(None), Faults()
        self.store = store or Store(None)
        settings = settings or SandboxSettings(api_key=API_KEY, webhook_secret=SECRET, tick_interval=0.05)
        gateways: list[Gateway] = []

        def build(url: str) -> Flask:
            app = create_simulator(
                self.store, self.clock, self.journal, public_url=url, settings=settings, faults=self.faults
            )
            gateways.append(app.extensions[EXTENSION])
            return app

        self._server = serve_at(build)
        self.url = self._server.url
        self.gateway = gateways[0]

    def call(
        self, method: str, path: str, *, body: Any = None, key: str | None = None, bearer: str | None = API_KEY
    ) -> requests.Response:
        """One call of the API."""
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        return requests.request(method, self.url + path, json=body, headers=headers, timeout=TIMEOUT)

    def checkout(self, key: str | None = None, **changes: Any) -> dict[str, Any]:
        """Open a checkout that must succeed."""
        answer = self.call("POST", "/v1/checkouts", body=order(**changes), key=key or uuid.uuid4().hex)
        assert answer.status_code == 201, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def payment(self, checkout: dict[str, Any]) -> dict[str, Any]:
        """The payment of a checkout as the gateway states it now."""
        answer = self.call("GET", f"/v1/payments/{checkout['payment']['id']}")
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def refund(self, checkout: dict[str, Any], amount: int, key: str | None = None) -> requests.Response:
        """Ask for a refund."""
        path = f"/v1/payments/{checkout['payment']['id']}/refunds"
        return self.call("POST", path, body={"amount_minor": amount, "reference": "r-1"}, key=key or uuid.uuid4().hex)

    def events(self) -> list[dict[str, Any]]:
        """Every event so far."""
        answer = self.call("GET", "/v1/events")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]  # type: ignore[no-any-return]

    def event_types(self) -> list[str]:
        """What every event so far is called, oldest first."""
        return [event["type"] for event in self.events()]

    def forward(self, seconds: float) -> None:
        """Move the virtual clock the way a person or the demo would."""
        answer = requests.post(f"{self.url}/_control/clock", json={"advance_seconds": seconds}, timeout=TIMEOUT)
        assert answer.status_code == 200, answer.text

    def close(self) -> None:
        """Stop the server and the background threads; the store stays open."""
        self._server.close()
        self.gateway.close()


def order(**changes: Any) -> dict[str, Any]:
    """The body of a checkout that can be opened."""
    body = {
        "amount_minor": 12_345,
        "currency": "USD",
        "reference": "pay-1",
        "lines": [
            {"description": "Invoice 1001", "amount_minor": 12_000},
            {"description": "Invoice 1002", "amount_minor": 345},
        ],
        "success_url": SUCCESS,
        "cancel_url": CANCEL,
    }
    return {**body, **changes}


class Page:
    """A page of the gateway as a customer's browser holds it: it may be an old one."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.answer = requests.get(address, timeout=TIMEOUT)
        self.html = unescape(self.answer.text)

    @property
    def buttons(self) -> list[str]:
        """The buttons on the page, by what they send."""
        return re.findall(r'name="action" value="([a-z_]+)"', self.html)

    @property
    def form_token(self) -> str:
        """The one-time token in the page's form."""
        found = re.search(r'name="form_token" value="([^"]+)"', self.html)
        assert found, "the page has no form"
        return found[1]

    def press(self, button: str, form_token: str | None = None) -> requests.Response:
        """Press a button of this very page; redirects are not followed."""
        form = {"action": button, "form_token": self.form_token if form_token is None else form_token}
        return requests.post(self.address, data=form, timeout=TIMEOUT, allow_redirects=False)


@dataclass
class Received:
    """One webhook as it arrived."""

    raw: bytes
    signature: str

    @property
    def event(self) -> dict[str, Any]:
        """The body, parsed."""
        return json.loads(self.raw)  # type: ignore[no-any-return]

    def signed_with(self, secret: str) -> bool:
        """Check the signature as the documentation says, independently of the gateway's own code."""
        found = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", self.signature)
        assert found, self.signature
        expected = hmac.new(secret.encode(), found[1].encode() + b"." + self.raw, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected, found[2])

    @property
    def stamp(self) -> int:
        """The time of sending in the signature."""
        return int(self.signature.split(",")[0].removeprefix("t="))


@dataclass
class Receiver:
    """The merchant's webhook door: answers what it is told to and keeps everything it got."""

    statuses: list[int] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    server: RunningServer = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        app = Flask("receiver")

        @app.post("/hook")
        def hook() -> Response:
            with self._lock:
                self.received.append(Received(request.get_data(), request.headers["Sandbox-Signature"]))
                return Response(status=self.statuses.pop(0) if self.statuses else 200)

        self.server = serve(app)

    @property
    def url(self) -> str:
        """Where webhooks are to be sent."""
        return f"{self.server.url}/hook"

    def types(self) -> list[str]:
        """The types received so far, in order of arrival."""
        with self._lock:
            return [received.event["type"] for received in self.received]
