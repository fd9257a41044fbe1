"""The simulated sandbox gateway for the conformance suite."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from connector.contract import PaymentGateway
from connector.manifest import AdapterConfig
from integrations.gateways.sandbox.adapter import Sandbox
from integrations.gateways.sandbox.simulator.records import Payment
from tests.integrations.gateways.sandbox.simulator.driving import API_KEY, SECRET, Page, Upstream
from tests.integrations.limiters import MemoryLimiter

_OPERATIONS = {
    "start": "checkout.create",
    "find": "checkout.list",
    "fetch": "checkout.get",
    "cancel": "checkout.expire",
    "refund": "refund.create",
}


@dataclass
class SandboxRig:
    """Fulfils GatewayRig."""

    upstream: Upstream
    gateway: PaymentGateway = field(init=False)
    operations: Mapping[str, str] = field(default_factory=lambda: dict(_OPERATIONS))
    secret: str = SECRET

    def __post_init__(self) -> None:
        self.gateway = self.fresh()

    def fresh(self, *, seconds: float | None = None, key: str | None = None) -> PaymentGateway:
        made = Sandbox(AdapterConfig({"api": self.upstream.url}, {"api_key": key or API_KEY}, (), {}), MemoryLimiter())
        if seconds is not None:
            transport = made._client._session.transport
            transport._manifest = replace(transport._manifest, call_timeout=(seconds, seconds))
        return made

    def fault(self, kind: str, operation: str = "*", times: int = 1, **options: Any) -> None:
        self.upstream.faults.arm(kind, operation, times, **options)

    def clear(self) -> None:
        self.upstream.faults.clear()

    def press(self, url: str, button: str) -> None:
        assert Page(url).press(button).status_code == 303

    def advance(self, seconds: float) -> None:
        self.upstream.forward(seconds)

    def checkouts(self, reference: str) -> int:
        return len(self.upstream.call("GET", f"/v1/checkouts?reference={reference}").json()["data"])

    def odd(self, ref: str) -> None:
        book = self.upstream.gateway.book
        found = book.checkout_and_payment(ref)
        assert found is not None
        with book.change("by hand") as change:
            change.save(replace(book.get(Payment, found[1].id), status="held_for_moon_phase"))

    def webhook(self, tenants: Sequence[str]) -> Sequence[bytes]:
        data = {"checkout": "co_1", "payment": "pay_1", "reference": tenants[0]}
        event = {"id": "evt_1", "type": "payment.settled", "created": "2026-11-22T16:29:58Z", "data": data}
        return [json.dumps(event).encode()]

    def sign(self, body: bytes, secret: str, at: datetime) -> Mapping[str, str]:
        stamp = str(int(at.timestamp()))
        digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256)
        return {"Sandbox-Signature": f"t={stamp},v1={digest.hexdigest()}"}


@contextmanager
def sandbox_rig() -> Iterator[SandboxRig]:
    """The gateway on a free port."""
    upstream = Upstream()
    yield SandboxRig(upstream)
    upstream.close()
    upstream.store.close()
