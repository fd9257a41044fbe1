"""Staff sign in and out."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from connector.errors import Invalid
from connector.wiring import Wiring

# Verified against when the address is unknown, so that the answer takes as long as for a known one.
_NOBODY = PasswordHasher().hash("nobody has this password")


def run(wiring: Wiring, *, email: str, password: str) -> str:
    """The session cookie's token. Raises Invalid with the same words whatever was wrong."""
    with wiring.database.lookup() as all_merchants:
        found = all_merchants.staff(email.strip().lower())
    try:
        PasswordHasher().verify(found[2] if found else _NOBODY, password)
    except (VerificationError, InvalidHashError):
        found = None
    if found is None:
        raise Invalid("This e-mail address and password do not belong together.", field="email")
    user_id, merchant_id, _ = found
    with wiring.database.installation() as all_merchants:
        return all_merchants.open_staff_session(merchant_id=merchant_id, user_id=user_id, email=email.strip().lower())


def out(wiring: Wiring, token: str) -> None:
    """End a session (staff's or customer's) on the server."""
    with wiring.database.installation() as all_merchants:
        all_merchants.end_session(token)
