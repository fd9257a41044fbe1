"""One-time codes mailed to customers: six digits, ten minutes, five attempts."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta

from connector.db import tables as t
from connector.db.bound import Bound

LIFETIME_MINUTES = 10
ATTEMPTS = 5
_INSTANT = timedelta(microseconds=1)
_LONGEST = timedelta(minutes=LIFETIME_MINUTES, seconds=5)


@dataclass(frozen=True, slots=True)
class CodeFor:
    """What a code opens. `invoice` is a remote id, empty for the whole customer."""

    purpose: str
    connection_id: int
    customer: str
    invoice: str
    email: str


def _hash(code_id: str, code: str) -> bytes:
    return hashlib.sha256(f"{code_id}:{code}".encode()).digest()


class Codes:
    """Repository of one merchant's codes."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def issue(self, what: CodeFor) -> tuple[str, str]:
        """A new code as (id, six digits)."""
        code_id, code = uuid.uuid4().hex, f"{secrets.randbelow(1_000_000):06d}"
        self._bound.insert(
            t.codes,
            id=code_id,
            purpose=what.purpose,
            connection_id=what.connection_id,
            customer=what.customer,
            invoice=what.invoice,
            email=what.email,
            code_hash=_hash(code_id, code),
            created_at=self._bound.now,
            expires_at=self._bound.now + timedelta(minutes=LIFETIME_MINUTES),
        )
        return code_id, code

    def attempt(self, code_id: str, code: str) -> CodeFor | None:
        """Count an attempt; what the code opens when it is right, unused, in time and not guessed at too often."""
        c = t.codes.c
        counted = self._bound.update(
            t.codes,
            c.id == code_id,
            c.used_at.is_(None),
            c.attempts < ATTEMPTS,
            # What ends later than any code may was issued before the clock was set back.
            c.expires_at.between(self._bound.now + _INSTANT, self._bound.now + _LONGEST),
            attempts=c.attempts + 1,
        )
        if not counted:
            return None
        row = self._bound.one(self._bound.select(t.codes).where(c.id == code_id), "This code does not exist.")
        if not hmac.compare_digest(row.code_hash, _hash(code_id, code)):
            return None
        self._bound.update(t.codes, c.id == code_id, used_at=self._bound.now)
        return CodeFor(row.purpose, row.connection_id, row.customer, row.invoice, row.email)
