"""Webhook signatures: what passes, and what must not."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest

from integrations.signing import header, recent, signed_base64, signed_hex

RAW = '{"name":"Ødegård"}'.encode()
DIGEST = hmac.new(b"current", RAW, hashlib.sha256).digest()
B64 = base64.b64encode(DIGEST).decode()


def test_signed_by_any_of_the_secrets() -> None:
    assert signed_base64(B64, RAW, ["current", "previous"])
    assert signed_base64(B64, RAW, ["next", "current"])
    assert signed_hex(DIGEST.hex(), RAW, ["current"])


@pytest.mark.parametrize(
    "signature",
    ["", "=", B64[:-1], B64 + " ", B64.rstrip("="), B64.lower(), B64[:-2] + "é=", "\udcff", DIGEST.hex(), "A" * 44],
)
def test_anything_else_is_refused(signature: str) -> None:
    assert not signed_base64(signature, RAW, ["current"])


def test_another_body_secret_or_no_secret_is_refused() -> None:
    assert not signed_base64(B64, RAW + b" ", ["current"])
    assert not signed_base64(B64, RAW, ["other"])
    assert not signed_base64(B64, RAW, [])
    empty = base64.b64encode(hmac.new(b"", RAW, hashlib.sha256).digest()).decode()
    assert not signed_base64(empty, RAW, [""])
    assert not signed_hex(DIGEST.hex().upper(), RAW, ["current"])


def test_timestamps_have_a_tolerance_both_ways() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    at = int(now.timestamp())
    assert recent(str(at), now) and recent(str(at - 300), now) and recent(str(at + 300), now)
    for wrong in (str(at - 301), str(at + 301), "", "-1", "1e9", "١٧٦٣٧٦٣٧٦٣", "9" * 400, f"{at}.0"):
        assert not recent(wrong, now)


def test_headers_are_found_whatever_their_capitals() -> None:
    assert header({"Intuit-Signature": "x"}, "intuit-signature") == "x"
    assert header({"intuit-signature": "a", "Intuit-Signature": "b"}, "intuit-signature") == ""
    assert header({}, "intuit-signature") == ""
