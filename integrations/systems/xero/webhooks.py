"""Xero's webhooks: signed references only, several organisations in one body, no event for payments.

"Intent to receive" is the same delivery with an empty list, right and wrong signatures mixed: the signature alone
decides (2xx or 401). Source: developer.xero.com/documentation/guides/webhooks/configuring-your-server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from connector.contract import Refused
from connector.domain.records import Event, Kind
from integrations.signing import header, signed_base64
from integrations.systems.xero.vocabulary import Unmappable, instant

SIGNATURE_HEADER = "x-xero-signature"
_KINDS = {"INVOICE": Kind.INVOICE, "CONTACT": Kind.CUSTOMER, "CREDITNOTE": Kind.CREDIT_NOTE}


def verify(headers: Mapping[str, str], raw: bytes, secrets: Sequence[str]) -> bool:
    """Whether the raw bytes carry the signature of one of the webhook keys."""
    return signed_base64(header(headers, SIGNATURE_HEADER), raw, secrets)


def parse(raw: bytes) -> list[Event]:
    """The events of a verified body; an empty list is an answer too. Raises Refused for a body of another shape."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refused("The webhook's body is not JSON.", "body") from None
    events = body.get("events") if isinstance(body, dict) else None
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise Refused("The webhook's body has no list of events.", "body")
    return [_event(event) for event in events]


def _event(event: Mapping[str, Any]) -> Event:
    tenant, category, record, kind, at = (
        str(event.get(name) or "") for name in ("tenantId", "eventCategory", "resourceId", "eventType", "eventDateUtc")
    )
    if not tenant or not category:
        raise Refused("An event of the webhook names no organisation or no category.", "body")
    return Event(
        tenant=tenant,
        kind=str(_KINDS.get(category, category.lower())),
        remote_id=record,
        # Xero gives events no id: what it says of one is its identity, and a redelivery says the same.
        event_id=":".join((tenant, category, kind, record, at)),
        happened_at=_happened(at),
    )


def _happened(text: str) -> datetime | None:
    try:
        return instant(text) if text else None
    except Unmappable:
        return None
