"""Webhooks as the adapter checks and reads them, against those the gateway really sends and against forgeries."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest

from connector.contract import Refused
from integrations.gateways.sandbox.webhooks import parse, verify
from tests.integrations.gateways.sandbox.simulator.driving import SECRET, Page, Receiver, Upstream

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STAMP = int(NOW.timestamp())
BODY = json.dumps(
    {
        "id": "evt_1",
        "type": "payment.settled",
        "created": "2026-03-01T11:59:58Z",
        "data": {"checkout": "cs_1", "payment": "pay_1", "reference": "7", "refund": "re_1"},
        "added": "later",
    }
).encode()


def signed(body: bytes = BODY, stamp: int | str = STAMP, secret: str = SECRET) -> str:
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def test_what_the_gateway_sends_is_accepted_and_read(upstream: Upstream, receiver: Receiver) -> None:
    checkout = upstream.checkout()
    Page(checkout["url"]).press("approve")
    assert upstream.gateway.delivery.flush()
    (received,) = receiver.received
    headers = {"sandbox-signature": received.signature}
    assert verify(headers, received.raw, (SECRET,), datetime.now(UTC))
    (event,) = parse(received.raw)
    assert (event.tenant, event.kind, event.remote_id) == ("pay-1", "payment.settled", checkout["id"])
    assert event.event_id == received.event["id"]
    assert event.happened_at is not None and event.happened_at.tzinfo is not None


def test_the_current_and_the_previous_secret_are_accepted() -> None:
    headers = {"Sandbox-Signature": signed(secret="previous")}
    assert verify(headers, BODY, ("current", "previous"), NOW)
    assert not verify(headers, BODY, ("current",), NOW)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_recent_stamp_is_accepted(seconds: int) -> None:
    assert verify({"Sandbox-Signature": signed()}, BODY, (SECRET,), NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_a_stale_or_future_stamp_is_refused(seconds: int) -> None:
    assert not verify({"Sandbox-Signature": signed()}, BODY, (SECRET,), NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "t=,v1=",
        signed().upper(),
        signed()[:-1],
        signed() + ",v1=" + "0" * 64,
        signed().replace("v1", "v0"),
        signed().replace("t=", "t= "),
        signed(stamp=f"{STAMP}.0"),
        signed(stamp=f"+{STAMP}"),
        signed().replace(f"t={STAMP}", f"t={STAMP + 1}"),
        signed(secret=""),
        signed(secret="guess"),
        signed() + "\n",
    ],
)
def test_a_forged_or_altered_signature_is_refused(signature: str) -> None:
    assert not verify({"Sandbox-Signature": signature}, BODY, (SECRET,), NOW)


@pytest.mark.parametrize(
    "body", [BODY + b" ", BODY.replace(b"pay_1", b"pay_2"), json.dumps(json.loads(BODY), indent=1).encode(), b""]
)
def test_a_changed_or_re_encoded_body_is_refused(body: bytes) -> None:
    assert not verify({"Sandbox-Signature": signed()}, body, (SECRET,), NOW)


def test_without_header_or_secret_nothing_is_accepted() -> None:
    assert not verify({}, BODY, (SECRET,), NOW)
    assert not verify({"Sandbox-Signature": signed(secret="")}, BODY, ("",), NOW)
    assert not verify({"Sandbox-Signature": signed()}, BODY, (), NOW)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html></html>",
        b"[]",
        b'{"id": "evt_1"}',
        BODY.replace(b'"cs_1"', b"17"),
        BODY.replace(b"2026-03-01T11:59:58Z", b"yesterday"),
        b"\xff",
    ],
)
def test_a_body_of_another_form_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused):
        parse(raw)
