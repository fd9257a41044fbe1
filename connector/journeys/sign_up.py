"""A new merchant with its owner."""

from __future__ import annotations

import re

from argon2 import PasswordHasher

from connector.errors import Invalid
from connector.wiring import Wiring

_ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s.]{2,}")
SHORTEST_PASSWORD = 12


def run(wiring: Wiring, *, company: str, name: str, email: str, password: str) -> str:
    """Create the merchant and sign its owner in; the session cookie's token. Raises Invalid at the field, Conflict."""
    company, name, email = company.strip(), name.strip(), email.strip().lower()
    if not company or len(company) > 120:
        raise Invalid("Enter your company's name (at most 120 characters).", field="company")
    if not name or len(name) > 120:
        raise Invalid("Enter your name (at most 120 characters).", field="name")
    if len(email) > 254 or not _ADDRESS.fullmatch(email):
        raise Invalid("Enter a full e-mail address, such as anna@example.com.", field="email")
    if not SHORTEST_PASSWORD <= len(password) <= 256:
        raise Invalid(f"Choose a password of at least {SHORTEST_PASSWORD} characters.", field="password")
    password_hash = PasswordHasher().hash(password)
    with wiring.database.installation() as all_merchants:
        merchant_id, user_id = all_merchants.add_merchant(
            company=company, name=name, email=email, password_hash=password_hash
        )
        return all_merchants.open_staff_session(merchant_id=merchant_id, user_id=user_id, email=email)
