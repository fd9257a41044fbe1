"""Webhooks of QuickBooks: signature over the raw body, and what a body points at.

Two forms are in use: CloudEvents, a JSON list, and the older object with eventNotifications. One body may speak of
several organisations. Source: developer.intuit.com, Webhooks; blogs.intuit.com 2025/11/12 (CloudEvents).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from connector.contract import Refused
from connector.domain.records import Event, Kind
from integrations.signing import header, signed_base64
from integrations.systems.quickbooks.manifest import SIGNATURE_HEADER
from integrations.systems.quickbooks.values import ENTITY, Unmappable, instant

_KIND = {entity.lower(): kind for kind, entity in ENTITY.items()}
_MOST_WRAPPERS = 2


def verify(headers: Mapping[str, str], raw: bytes, secrets: Sequence[str]) -> bool:
    """Whether `intuit-signature` is the base64 HMAC-SHA256 of the body under one of the verifier tokens."""
    return signed_base64(header(headers, SIGNATURE_HEADER), raw, secrets)


def parse(raw: bytes) -> Sequence[Event]:
    """The records a body points at, in its order. Raises Refused for what is no webhook of QuickBooks."""
    return tuple(_events(_loaded(raw), _MOST_WRAPPERS))


def _loaded(raw: bytes | str) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Refused("The webhook's body is not JSON.", "not_json") from error


def _events(body: Any, wrappers: int) -> Iterator[Event]:
    if isinstance(body, list):
        for item in body:
            yield _cloud_event(_object(item))
    elif isinstance(body, dict) and "eventNotifications" in body:
        for notification in _list(body["eventNotifications"]):
            yield from _legacy_events(_object(notification))
    elif isinstance(body, dict) and "specversion" in body:
        yield _cloud_event(body)
    elif isinstance(body, dict) and isinstance(body.get("data"), str) and wrappers:
        yield from _events(_loaded(body["data"]), wrappers - 1)
    else:
        raise Refused("The webhook's body is neither a list of events nor a list of notifications.", "unknown_form")


def _cloud_event(event: Mapping[str, Any]) -> Event:
    # 'qbo.invoice.updated.v1'
    parts = _text(event, "type").split(".")
    if len(parts) < 3 or parts[0] != "qbo":
        raise Refused("The webhook holds an event that is not of QuickBooks.", "unknown_type")
    return Event(
        tenant=_text(event, "intuitaccountid"),
        kind=_kind(parts[1]),
        remote_id=_text(event, "intuitentityid", required=False),
        event_id=_text(event, "id"),
        happened_at=_moment(event.get("time")),
    )


def _legacy_events(notification: Mapping[str, Any]) -> Iterator[Event]:
    realm = _text(notification, "realmId")
    for item in _list(_object(notification.get("dataChangeEvent") or {}).get("entities") or []):
        entity = _object(item)
        name, remote_id = _text(entity, "name"), _text(entity, "id", required=False)
        # These carry no id of their own: the same change is the same event.
        told = "\0".join((realm, name, remote_id, str(entity.get("operation")), str(entity.get("lastUpdated"))))
        yield Event(
            tenant=realm,
            kind=_kind(name),
            remote_id=remote_id,
            event_id=hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:32],
            happened_at=_moment(entity.get("lastUpdated")),
        )


def _kind(entity: str) -> str:
    """Our word for what we read; their own, in lower case, for all else."""
    known = _KIND.get(entity.lower())
    return known.value if isinstance(known, Kind) else entity.lower()[:40]


def _moment(value: Any) -> datetime | None:
    try:
        return instant(value) if isinstance(value, str) else None
    except Unmappable:
        return None


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Refused("The webhook's body has something else where an event should be.", "unknown_form")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Refused("The webhook's body has something else where a list should be.", "unknown_form")
    return value


def _text(source: Mapping[str, Any], name: str, *, required: bool = True) -> str:
    value = source.get(name)
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if required and not text:
        raise Refused(f"The webhook holds an event without {name}.", "incomplete")
    return text[:200]
