"""Signatures on incoming webhooks: HMAC-SHA256 over the raw bytes, compared in constant time, never parsed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

TOLERANCE_SECONDS = 300


def header(headers: Mapping[str, str], name: str) -> str:
    """A header's value whatever its capitals; empty when absent or sent more than once in different spellings."""
    wanted = name.lower()
    found = [value for key, value in headers.items() if key.lower() == wanted]
    return found[0] if len(found) == 1 else ""


def signed_base64(signature: str, signed: bytes, secrets: Sequence[str]) -> bool:
    """Whether `signature` is exactly the base64 text of the HMAC of `signed` under one of `secrets`."""
    return _matches(signature, signed, secrets, lambda digest: base64.b64encode(digest).decode())


def signed_hex(signature: str, signed: bytes, secrets: Sequence[str]) -> bool:
    """Whether `signature` is exactly the lower-case hex text of the HMAC of `signed` under one of `secrets`."""
    return _matches(signature, signed, secrets, lambda digest: digest.hex())


def recent(timestamp: str, now: datetime, tolerance: int = TOLERANCE_SECONDS) -> bool:
    """Whether a sender's timestamp (seconds since the epoch, ASCII digits) is within `tolerance` seconds of `now`."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    return abs(now.timestamp() - int(timestamp)) <= tolerance


def _matches(signature: str, signed: bytes, secrets: Sequence[str], spell: Callable[[bytes], str]) -> bool:
    # The texts are compared, not the decoded bytes: one signature has one spelling. Every secret is tried, so that
    # the time taken does not tell which one matched.
    given = signature.encode("utf-8", "surrogateescape")
    found = False
    for secret in secrets:
        if secret:
            expected = spell(hmac.digest(secret.encode(), signed, hashlib.sha256)).encode()
            found |= hmac.compare_digest(expected, given)
    return found
