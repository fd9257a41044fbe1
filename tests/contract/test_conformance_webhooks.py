"""Webhooks of every sender in the registry: proved on the raw bytes, read as references, never trusted further."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import cast
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.contract import Refused, Sender
from connector.domain.records import Event
from integrations.registry import GATEWAYS, senders
from tests.contract.rigs import GATEWAY_RIGS, SYSTEM_RIGS, GatewayRig, SystemRig

NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
SECRETS = ("the secret in force", "the secret before")


@pytest.fixture(scope="module", params=sorted(senders()))
def posting(request: pytest.FixtureRequest) -> Iterator[SystemRig | GatewayRig]:
    """Every adapter whose manifest declares webhooks."""
    rigs = GATEWAY_RIGS if request.param in GATEWAYS else SYSTEM_RIGS
    with patch.dict(os.environ, OAUTHLIB_INSECURE_TRANSPORT="1"), rigs[request.param]() as opened:
        yield opened


def sender_of(posting: SystemRig | GatewayRig) -> Sender:
    return cast(Sender, posting.system if hasattr(posting, "system") else posting.gateway)


def genuine(posting: SystemRig | GatewayRig, headers: object, raw: bytes, *secrets: str, at: datetime = NOW) -> bool:
    return sender_of(posting).verify(headers, raw, secrets or SECRETS, at)  # type: ignore[arg-type]


def test_what_was_signed_with_either_secret_is_genuine(posting: SystemRig | GatewayRig) -> None:
    for body in (*posting.webhook(["t-1"]), b"", b"\x00\xff", b"{}"):
        for secret in SECRETS:
            headers = posting.sign(body, secret, NOW)
            assert genuine(posting, headers, body)
            assert genuine(posting, {name.upper(): value for name, value in headers.items()}, body)
            assert not genuine(posting, headers, body, "another")


def test_without_secrets_nothing_is_genuine(posting: SystemRig | GatewayRig) -> None:
    (body, *_) = posting.webhook(["t-1"])
    for secret in ("", SECRETS[0]):
        headers = posting.sign(body, secret, NOW)
        assert not sender_of(posting).verify(headers, body, (), NOW)
        assert not sender_of(posting).verify(headers, body, ("",), NOW)
        assert not sender_of(posting).verify(headers, body, ("", ""), NOW)


def test_one_bit_more_or_less_is_a_forgery(posting: SystemRig | GatewayRig) -> None:
    (body, *_) = posting.webhook(["t-1"])
    headers = posting.sign(body, SECRETS[0], NOW)
    ((name, value),) = headers.items()
    for raw in (body + b" ", body[:-1], body.replace(b'"', b"'", 1), json.dumps(json.loads(body), indent=2).encode()):
        assert raw != body and not genuine(posting, headers, raw)
    for wrong in ("", " ", value + " ", value[:-1], value.swapcase(), "ü", "=", value + value, f"{value}\n"):
        assert not genuine(posting, {name: wrong}, body)
    for none in ({}, {"authorization": value}, {name: value, name.upper(): "another"}):
        assert not genuine(posting, none, body)


def test_an_old_stamp_is_a_replay_where_stamps_are_signed(posting: SystemRig | GatewayRig) -> None:
    (body, *_) = posting.webhook(["t-1"])
    headers = posting.sign(body, SECRETS[0], NOW)
    week = timedelta(days=7)
    if posting.sign(body, SECRETS[0], NOW - week) == headers:
        assert genuine(posting, headers, body, at=NOW + week), "no time is signed: the bytes alone decide"
        pytest.skip(f"{sender_of(posting).manifest.title} signs no time; the same bytes again are one delivery.")
    for away in (-week, week, timedelta(minutes=-6), timedelta(minutes=6)):
        assert not genuine(posting, headers, body, at=NOW + away)
    assert genuine(posting, headers, body, at=NOW + timedelta(minutes=4))


def test_bodies_point_at_records_of_each_organisation(posting: SystemRig | GatewayRig) -> None:
    tenants = ["t-1"] if hasattr(posting, "gateway") else ["t-1", "t-2", "t-1"]
    for body in posting.webhook(tenants):
        events = sender_of(posting).parse(body)
        assert [event.tenant for event in events] == tenants
        assert all(isinstance(event, Event) and event.remote_id and event.event_id for event in events)
        assert all(event.happened_at is None or event.happened_at.tzinfo for event in events)
        again = sender_of(posting).parse(body)
        assert [event.event_id for event in again] == [event.event_id for event in events], "a redelivery is the same"


RUBBISH = [
    b"", b"null", b"true", b"0", b"[]]", b"{", b'"text"', b"\xff\xfe\x00", b"\xef\xbb\xbf{}", b"NaN", b"[1,2]", b"[[]]",
    b'[null]', b"{}", b'{"events":null}', b'{"events":[1]}', b'{"events":[{"tenantId":{}}]}', b'{"data":"["}',
    b'{"eventNotifications":7}', b'{"eventNotifications":[{"realmId":{}}]}', b'{"specversion":"1.0"}',
    b'[{"type":7,"id":[],"intuitaccountid":{}}]', b'{"id":"1","type":"x","created":"never","data":{}}', b"[" * 100_000,
    b'{"a":' * 50_000, b'{"data":"{\\"data\\":\\"{\\\\\\"data\\\\\\":1}\\"}"}', b"9" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("body", RUBBISH, ids=range(len(RUBBISH)))
def test_rubbish_is_refused_in_words_and_never_breaks(posting: SystemRig | GatewayRig, body: bytes) -> None:
    try:
        events = sender_of(posting).parse(body)
    except Refused as told:
        assert told.why.endswith(".")
    else:
        assert all(isinstance(event, Event) for event in events)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["events", "eventNotifications", "data", "specversion", "type", "id", "tenantId", "realmId", "created"]
            )
            | st.text(max_size=8),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(value=json_values, cut=st.integers(0, 400))
def test_no_body_whatever_raises_anything_but_a_refusal(
    posting: SystemRig | GatewayRig, value: object, cut: int
) -> None:
    for raw in (json.dumps(value).encode(), json.dumps(value).encode()[:cut], posting.webhook(["t-1"])[0][:cut]):
        try:
            sender_of(posting).parse(raw)
        except Refused as told:
            assert told.why


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(header=st.text(max_size=120), raw=st.binary(max_size=60))
def test_no_header_whatever_is_genuine(posting: SystemRig | GatewayRig, header: str, raw: bytes) -> None:
    scheme = sender_of(posting).manifest.webhooks
    assert scheme is not None
    assert not genuine(posting, {scheme.signature_header: header}, raw)
