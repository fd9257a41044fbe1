"""Customers' sessions, kept on the server and revocable."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from connector.db import tables as t
from connector.db.bound import Bound

CUSTOMER_HOURS = 12


class Sessions:
    """Repository of the customers' sessions of one merchant."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def open_customer(self, *, connection_id: int, customer: str, invoice: str, email: str) -> str:
        """A new customer session; its cookie's token (kept only as a hash)."""
        token = secrets.token_urlsafe(32)
        self._bound.insert(
            t.sessions,
            token_hash=hashlib.sha256(token.encode()).digest(),
            realm="customer",
            connection_id=connection_id,
            customer=customer,
            invoice=invoice,
            email=email,
            created_at=self._bound.now,
            expires_at=self._bound.now + timedelta(hours=CUSTOMER_HOURS),
        )
        return token
