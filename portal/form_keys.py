"""The key each payment form carries: proof that we gave the form out to this very visitor, and the name by which
sending it twice stays one payment."""

from __future__ import annotations

import secrets
from functools import lru_cache

from itsdangerous import BadSignature, SignatureExpired, TimestampSigner

from connector.errors import Conflict

_HOURS = 12
_AGAIN = "Check the amounts below and pay again."


class FormKeys:
    """Signs and checks form keys. `visitor` is what opened the door (a link's token, a session's token); it is part of
    what is signed and not of the key."""

    def __init__(self, secret_key: str) -> None:
        self._signer = TimestampSigner(secret_key, salt="portal form")

    def give(self, visitor: str) -> str:
        """A new key for a form shown to this visitor."""
        bound = f"{visitor} "
        return self._signer.sign(bound + secrets.token_urlsafe(16)).decode()[len(bound) :]

    def take(self, visitor: str, key: str) -> str:
        """The form's own name out of its key. Raises Conflict for a key that is not this visitor's or too old."""
        bound = f"{visitor} "
        try:
            return self._signer.unsign(bound + key, max_age=_HOURS * 3600).decode()[len(bound) :]
        except SignatureExpired as fault:
            raise Conflict("This page has been open for too long. Check the amounts below and pay again.") from fault
        except (BadSignature, UnicodeError) as fault:
            raise Conflict(
                "This form was not filled in on this page. Check the amounts below and pay again."
            ) from fault


@lru_cache(maxsize=8)
def form_keys_of(secret_key: str) -> FormKeys:
    """The form keys of an installation."""
    return FormKeys(secret_key)
