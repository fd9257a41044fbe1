"""Webhooks in both forms: signed, of several companies, wrapped; and everything that is none."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from connector.contract import Refused
from connector.domain.records import Event
from tests.conftest import SPECIFICATIONS
from tests.integrations.systems.quickbooks.canned import system

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def _cloud(**changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "e-1",
        "source": "intuit.x",
        "type": "qbo.invoice.updated.v1",
        "time": "2026-11-21T19:59:07.034359333Z",
        "intuitentityid": "1234",
        "intuitaccountid": "310687",
        "data": {},
        **changes,
    }


def _parse(body: Any) -> list[Event]:
    return list(system().parse(json.dumps(body).encode()))


def test_a_list_of_cloud_events_of_several_companies() -> None:
    types = ("qbo.invoice.updated.v1", "qbo.payment.created.v1", "qbo.creditmemo.deleted.v1", "qbo.vendor.merged.v1")
    events = _parse([_cloud(type=name, intuitaccountid=str(n), id=f"e{n}") for n, name in enumerate(types, 1)])
    assert [(event.tenant, event.kind, event.event_id) for event in events] == [
        ("1", "invoice", "e1"),
        ("2", "payment", "e2"),
        ("3", "credit_note", "e3"),
        ("4", "vendor", "e4"),
    ]
    assert events[0].remote_id == "1234"
    assert events[0].happened_at == datetime(2026, 11, 21, 19, 59, 7, 34359, tzinfo=UTC)


def test_the_older_form_gives_the_same_event_the_same_id() -> None:
    body = {
        "eventNotifications": [
            {
                "realmId": "310687",
                "dataChangeEvent": {
                    "entities": [
                        {
                            "name": "Invoice",
                            "id": "5",
                            "operation": "Update",
                            "lastUpdated": "2026-11-21T10:00:00.000Z",
                        },
                        {"name": "Payment", "id": "6", "operation": "Create", "lastUpdated": "nonsense"},
                    ]
                },
            },
            {"realmId": "42", "dataChangeEvent": {"entities": [{"name": "Customer", "id": "5"}]}},
        ]
    }
    events = _parse(body)
    assert [event[:3] for event in events] == [
        ("310687", "invoice", "5"),
        ("310687", "payment", "6"),
        ("42", "customer", "5"),
    ]
    assert events == _parse(body) and len({event.event_id for event in events}) == 3
    assert events[1].happened_at is None


def test_the_vendors_samples(recorded: object) -> None:
    samples = json.loads((SPECIFICATIONS / "qbo_webhook_samples.json").read_text())
    assert [event.kind for event in _parse(samples["cloudevents"])] == ["class"]
    assert [event.kind for event in _parse(samples["legacy"])] == ["vendor", "customer"]


def test_a_wrapped_body_is_unwrapped() -> None:
    wrapped = {"data": json.dumps([_cloud()])}
    assert _parse(wrapped) == _parse([_cloud()])
    assert _parse(_cloud()) == _parse([_cloud()])


def test_nothing_is_fine() -> None:
    assert _parse([]) == [] and _parse({"eventNotifications": []}) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"5",
        b"null",
        b"\xff",
        b"[5]",
        b"[" * 100_000,
        b'{"data": "{"}',
        b'{"eventNotifications": 5}',
        b'{"eventNotifications": [{"realmId": true}]}',
        b'{"eventNotifications": [{"realmId": "1", "dataChangeEvent": {"entities": [[]]}}]}',
        json.dumps([_cloud(type="xero.invoice.updated.v1")]).encode(),
        json.dumps([_cloud(intuitaccountid="")]).encode(),
        json.dumps({"data": json.dumps({"data": json.dumps({"data": json.dumps([_cloud()])})})}).encode(),
    ],
)
def test_what_is_no_webhook_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        system().parse(body)


def test_only_the_raw_body_signed_with_one_of_the_tokens_passes() -> None:
    raw = json.dumps([_cloud()]).encode()
    signature = base64.b64encode(hmac.new(b"verifier", raw, hashlib.sha256).digest()).decode()
    verify = system().verify
    assert verify({"Intuit-Signature": signature}, raw, ["verifier"], NOW)
    assert verify({"intuit-signature": signature}, raw, ["newer", "verifier"], NOW)
    assert not verify({"intuit-signature": signature}, raw, ["other"], NOW)
    assert not verify({"intuit-signature": signature}, raw, [], NOW)
    assert not verify({}, raw, ["verifier"], NOW)
    reencoded = json.dumps(json.loads(raw), separators=(",", ":")).encode()
    assert not verify({"intuit-signature": signature}, reencoded, ["verifier"], NOW)
    bare = signature.rstrip("=")
    assert not verify({"intuit-signature": bare}, raw, ["verifier"], NOW)
