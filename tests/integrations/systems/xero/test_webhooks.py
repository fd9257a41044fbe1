"""Signatures on raw bytes, intent to receive, several organisations in one body, the vendor's own example."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from connector.contract import Refused
from integrations.systems.xero.adapter import Xero
from integrations.systems.xero.simulator.webhooks import sign
from tests.integrations.limiters import MemoryLimiter
from tests.integrations.systems.xero.connected import Connected, config_for

NOW = datetime(2026, 11, 22, tzinfo=UTC)
KEYS = ("current-key", "previous-key")
TENANT, OTHER = "aef86862-2015-4b6b-88bc-d89032cecc50", "0c2af8ae-7f6f-5802-9585-3c6fe17f03d2"


@pytest.fixture
def xero() -> Xero:
    return Xero(config_for("https://xero.example"), MemoryLimiter())


def signature(raw: bytes, key: str = KEYS[0]) -> str:
    return base64.b64encode(hmac.digest(key.encode(), raw, hashlib.sha256)).decode()


def event(category: str = "INVOICE", tenant: str = TENANT, **more: Any) -> dict[str, Any]:
    return {
        "resourceUrl": "https://api.xero.com/api.xro/2.0/Invoices/55d84274-a3da-4829-a7c0-0cab601b95cc",
        "resourceId": "55d84274-a3da-4829-a7c0-0cab601b95cc",
        "tenantId": tenant,
        "tenantType": "ORGANISATION",
        "eventCategory": category,
        "eventType": "UPDATE",
        "eventDateUtc": "2025-12-02T00:44:09.923",
        **more,
    }


def body(*events: dict[str, Any]) -> bytes:
    return json.dumps(
        {"events": list(events), "firstEventSequence": 76, "lastEventSequence": 76, "entropy": "FXNG"}
    ).encode()


@pytest.mark.parametrize("key", KEYS)
def test_the_current_and_the_previous_key_sign(xero: Xero, key: str) -> None:
    raw = body(event())
    assert xero.verify({"X-Xero-Signature": signature(raw, key)}, raw, KEYS, NOW)
    assert xero.verify({"x-xero-signature": signature(raw, key)}, raw, KEYS, NOW)


def test_forged_changed_and_missing_signatures_are_refused(xero: Xero) -> None:
    raw = body(event())
    good = signature(raw)
    for wrong in ("", "x", good[:-1], good.rstrip("="), signature(raw, "other"), good.lower(), f" {good}"):
        assert not xero.verify({"x-xero-signature": wrong}, raw, KEYS, NOW)
    respelt = json.dumps(json.loads(raw), separators=(",", ":")).encode()
    assert not xero.verify({"x-xero-signature": good}, respelt, KEYS, NOW)
    assert not xero.verify({}, raw, KEYS, NOW)
    assert not xero.verify({"x-xero-signature": signature(raw, "")}, raw, ("",), NOW)
    assert not xero.verify({"x-xero-signature": good}, raw, (), NOW)


def test_intent_to_receive_is_answered_by_signature_alone(xero: Xero) -> None:
    raw = b'{"events":[],"firstEventSequence": 0,"lastEventSequence": 0, "entropy": "S0m3r4Nd0mt3xt"}'
    assert xero.verify({"x-xero-signature": signature(raw)}, raw, KEYS, NOW)
    assert not xero.verify({"x-xero-signature": signature(raw, "wrong")}, raw, KEYS, NOW)
    assert xero.parse(raw) == []


def test_events_of_several_organisations_point_at_records_to_read_again(xero: Xero) -> None:
    found = xero.parse(body(event(), event("CONTACT", OTHER), event("CREDITNOTE"), event("SUBSCRIPTION")))
    assert [(one.tenant, one.kind) for one in found] == [
        (TENANT, "invoice"),
        (OTHER, "customer"),
        (TENANT, "credit_note"),
        (TENANT, "subscription"),
    ]
    assert found[0].remote_id == "55d84274-a3da-4829-a7c0-0cab601b95cc"
    assert found[0].happened_at == datetime(2025, 12, 2, 0, 44, 9, 923000, UTC)


def test_a_redelivery_has_the_same_identity_and_a_later_change_another(xero: Xero) -> None:
    first, again = xero.parse(body(event())), xero.parse(body(event()))
    later = xero.parse(body(event(eventDateUtc="2025-12-02T00:45:09.923")))
    assert first[0].event_id == again[0].event_id != later[0].event_id


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b'{"events": {}}', b'{"events": ["x"]}', b'{"events": [{}]}', b"\xff"]
)
def test_a_body_of_another_shape_is_refused(xero: Xero, raw: bytes) -> None:
    with pytest.raises(Refused):
        xero.parse(raw)


def test_a_date_that_cannot_be_read_costs_nothing(xero: Xero) -> None:
    (found,) = xero.parse(body(event(eventDateUtc="soon")))
    assert found.happened_at is None


def test_the_vendors_own_example_is_read(xero: Xero, shared_specs: Path) -> None:
    spec = yaml.safe_load((shared_specs / "xero_webhooks.yaml").read_text())
    content = spec["webhooks"]["creditNotes"]["post"]["requestBody"]["content"]["application/json"]
    example = content["examples"]["creditNoteCreate"]["value"]
    (found,) = xero.parse(json.dumps(example, default=lambda at: at.isoformat()).encode())
    assert (found.tenant, found.kind) == (TENANT, "credit_note")


def test_what_the_simulator_signs_is_believed(upstream: Connected) -> None:
    """The simulator's own delivery code signs; ours verifies."""
    raw = body(event())
    assert upstream.xero.verify(
        {"x-xero-signature": sign(raw, "demo-webhook-key-xero")}, raw, ("demo-webhook-key-xero",), NOW
    )
