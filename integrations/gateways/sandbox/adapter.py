"""The sandbox gateway behind the payment gateway contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from connector.contract import Checkout, CheckoutRequest, Limiter, Refused, TryAgain, Unclear
from connector.domain.records import Event, GatewayPayment
from connector.manifest import AdapterConfig, Manifest
from integrations.gateways.sandbox import webhooks
from integrations.gateways.sandbox.client import ALREADY_PAID, SandboxClient
from integrations.gateways.sandbox.manifest import MANIFEST
from integrations.gateways.sandbox.wire import WireCheckout, gateway_payment

# The API's own bounds: seconds of a checkout's life, characters of texts, lines of a description.
SHORTEST_LIFE, LONGEST_LIFE = 60, 7 * 24 * 60 * 60
LONGEST_NAME, LONGEST_LINE, MOST_LINES = 100, 500, 1000


class Sandbox:
    """Fulfils PaymentGateway and Sender."""

    manifest: Manifest = MANIFEST

    def __init__(self, config: AdapterConfig, limiter: Limiter) -> None:
        self._client = SandboxClient(config, limiter)

    def start_checkout(self, request: CheckoutRequest) -> Checkout:
        """Open the hosted page; the key makes a repetition the same checkout."""
        return _checkout(self._client.create_checkout(request.key, _order(request)))

    def find_checkout(self, reference: str) -> Checkout | None:
        """The checkout of our payment id; of several the one that was paid, else one that can be, else the newest."""
        found = self._client.checkouts(reference)
        if not found:
            return None
        ranks = {"complete": 0, "open": 1}
        return _checkout(min(found, key=lambda checkout: ranks.get(checkout.status, 2)))

    def fetch(self, ref: str) -> GatewayPayment:
        """The sandbox's own word on a checkout, now."""
        return gateway_payment(self._client.checkout(ref))

    def cancel(self, ref: str) -> GatewayPayment:
        """End an unpaid checkout. One that was paid first is no failure: its payment is the answer."""
        try:
            return gateway_payment(self._client.expire_checkout(ref))
        except Refused as refused:
            if refused.code != ALREADY_PAID:
                raise
        return self.fetch(ref)

    def refund(self, ref: str, *, key: str, amount: int, reason: str) -> GatewayPayment:
        """Give money back. The key is also the refund's reference, so that it is found when the key has aged out."""
        payment = self._client.checkout(ref).payment
        if all(refund.reference != key for refund in payment.refunds):
            body = {"amount_minor": amount, "reference": key, "reason": reason[:LONGEST_LINE]}
            self._client.create_refund(payment.id, key, body)
        try:
            return self.fetch(ref)
        except TryAgain as answer:
            # TryAgain would say that nothing happened, but the refund stands.
            raise Unclear(answer.why) from answer

    def verify(self, headers: Mapping[str, str], raw: bytes, secrets: Sequence[str], now: datetime) -> bool:
        """Whether the raw bytes were signed with one of the secrets within five minutes of `now`."""
        return webhooks.verify(headers, raw, secrets, now)

    def parse(self, raw: bytes) -> Sequence[Event]:
        """What a verified body points at. Raises Refused."""
        return webhooks.parse(raw)


def _order(request: CheckoutRequest) -> dict[str, Any]:
    # The life is sent as a span: the sandbox's clock may be days ahead of ours, and an instant would be in its past.
    life = int((request.expires_at - datetime.now(UTC)).total_seconds())
    return {
        "amount_minor": request.amount,
        "currency": request.currency,
        "reference": request.reference,
        "merchant_name": request.merchant[:LONGEST_NAME] or None,
        "lines": [{"description": line[:LONGEST_LINE]} for line in request.description[:MOST_LINES] if line],
        "success_url": request.success_url,
        "cancel_url": request.cancel_url,
        "expires_in": min(max(life, SHORTEST_LIFE), LONGEST_LIFE),
    }


def _checkout(checkout: WireCheckout) -> Checkout:
    return Checkout(ref=checkout.id, url=checkout.url)
