"""HTTP with the sandbox gateway's API: typed requests and answers, refusals as the contract's answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlencode

import msgspec
import requests

from connector.contract import Disconnected, Gone, Limiter, Refused
from connector.manifest import AdapterConfig
from integrations.gateways.sandbox.manifest import MANIFEST
from integrations.gateways.sandbox.wire import WireCheckout, WireCheckouts, WireErrorBody, WireRefund
from integrations.http import Session, current_call
from integrations.outcomes import lost

ALREADY_PAID = "checkout_paid"
Answer = TypeVar("Answer", bound=msgspec.Struct)
# Made here, where there is one thread: msgspec crashes the process when two threads are the first to use a type.
_DECODERS: Mapping[type[msgspec.Struct], msgspec.json.Decoder[Any]] = {
    answer: msgspec.json.Decoder(answer) for answer in (WireCheckout, WireCheckouts, WireRefund)
}
_error = msgspec.json.Decoder(WireErrorBody)


class SandboxClient:
    """One method a call; every one raises only the contract's answers. Safe to share between threads."""

    def __init__(self, config: AdapterConfig, limiter: Limiter) -> None:
        self._session = Session(MANIFEST, config, limiter)
        self._address = config.endpoints["api"].rstrip("/")
        self._key = config.credentials.get("api_key", "")

    def create_checkout(self, key: str, body: Mapping[str, Any]) -> WireCheckout:
        """Open a checkout, once per key."""
        with self._session.call("checkout.create", writes=True):
            return self._ask("POST", "/v1/checkouts", WireCheckout, body=body, key=key)

    def checkout(self, ref: str) -> WireCheckout:
        """One checkout as it stands now. Raises Gone."""
        with self._session.call("checkout.get"):
            return self._ask("GET", f"/v1/checkouts/{quote(ref, safe='')}", WireCheckout)

    def checkouts(self, reference: str) -> tuple[WireCheckout, ...]:
        """Every checkout of a reference, newest first."""
        with self._session.call("checkout.list"):
            return self._ask("GET", f"/v1/checkouts?{urlencode({'reference': reference})}", WireCheckouts).data

    def expire_checkout(self, ref: str) -> WireCheckout:
        """End an unpaid checkout; what had ended before is answered as it is. Raises Refused `checkout_paid`, Gone."""
        with self._session.call("checkout.expire", writes=True):
            return self._ask("POST", f"/v1/checkouts/{quote(ref, safe='')}/expire", WireCheckout)

    def create_refund(self, payment: str, key: str, body: Mapping[str, Any]) -> WireRefund:
        """Give money back, once per key."""
        with self._session.call("refund.create", writes=True):
            path = f"/v1/payments/{quote(payment, safe='')}/refunds"
            return self._ask("POST", path, WireRefund, body=body, key=key)

    def _ask(
        self,
        method: str,
        path: str,
        answer: type[Answer],
        *,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Answer:
        headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        response = self._session.request(method, self._address + path, json=body, headers=headers)
        if response.status_code >= 400:
            raise _refusal(response)
        try:
            return cast(Answer, _DECODERS[answer].decode(response.content))
        except msgspec.DecodeError as error:
            raise lost(MANIFEST.title, current_call(), "gave an answer that cannot be read") from error


def _refusal(response: requests.Response) -> Exception:
    """The contract's answer for a 4xx. A 409 here is a plain no, never a record that changed meanwhile."""
    try:
        error = _error.decode(response.content).error
        code, why = error.code, error.message
    except msgspec.DecodeError:
        code, why = str(response.status_code), f"{MANIFEST.title} refused the request (HTTP {response.status_code})."
    if response.status_code == 401:
        return Disconnected(f"{MANIFEST.title} does not accept the API key. Check DUEBRIDGE_SANDBOX_API_KEY.")
    if response.status_code in (404, 410):
        return Gone(why)
    return Refused(why, code)
