"""Whether a webhook is genuine: the sender's own check on the raw bytes, with the secrets in force. Fails closed."""

from __future__ import annotations

from collections.abc import Mapping

from connector.manifest import WebhookScheme
from connector.wiring import Wiring


def scheme_of(wiring: Wiring, sender: str) -> WebhookScheme | None:
    """How this sender's webhooks are answered; None for one we do not know."""
    known = wiring.senders.get(sender)
    return None if known is None else known.manifest.webhooks


def genuine(wiring: Wiring, sender: str, headers: Mapping[str, str], raw: bytes) -> bool:
    """Without a configured secret nothing is genuine."""
    secrets = wiring.webhook_secrets.get(sender, ())
    return bool(secrets) and wiring.senders[sender].verify(headers, raw, secrets, wiring.clock())
