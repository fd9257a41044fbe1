"""The key each payment form carries: proof that we gave the form out to this very visitor, and the name by which
sending it twice stays one payment."""

from __future__ import annotations

import secrets

from itsdangerous import BadSignature, SignatureExpired, TimestampSigner

from connector.errors import Conflict

_HOURS = 12


class FormKeys:
    """Signs and checks form keys. `visitor` is what opened the door (a link's token, a session's token)."""

    def __init__(self, secret_key: str) -> None:
        self._secret_key = secret_key

    def give(self, visitor: str) -> str:
        """A new key for a form shown to this visitor."""
        return self._signer(visitor).sign(secrets.token_urlsafe(16)).decode()

    def take(self, visitor: str, key: str) -> str:
        """The form's own name out of its key. Raises Conflict for a key that is not this visitor's or too old."""
        try:
            return self._signer(visitor).unsign(key, max_age=_HOURS * 3600).decode()
        except SignatureExpired as fault:
            raise Conflict("This page has been open for too long. Check the amounts below and pay again.") from fault
        except (BadSignature, UnicodeError) as fault:
            raise Conflict(
                "This form was not filled in on this page. Check the amounts below and pay again."
            ) from fault

    def _signer(self, visitor: str) -> TimestampSigner:
        return TimestampSigner(self._secret_key, salt=f"portal form {visitor}")
