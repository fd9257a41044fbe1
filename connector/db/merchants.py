"""The merchant, its staff and its audit log."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.bound import Bound
from connector.db.rows import MerchantRow


class Merchants:
    """Repository of the one merchant it is bound to."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def get(self) -> MerchantRow:
        """The merchant with its branding."""
        m = t.merchants.c
        row = self._bound.one(
            sa.select(
                m.id, m.slug, m.name, m.colour, m.help_email, m.help_phone, m.country, m.allow_partial, m.gateway,
                (m.logo_type != "").label("has_logo"), m.branded_at,
            ).where(m.id == self._bound.merchant_id),
            "This company does not exist.",
        )  # fmt: skip
        return MerchantRow(**row._mapping)

    def brand(self, *, name: str, colour: str, help_email: str, help_phone: str) -> None:
        """Store what customers see."""
        self._set(name=name, colour=colour, help_email=help_email, help_phone=help_phone, branded_at=self._bound.now)

    def set_logo(self, image: bytes, image_type: str) -> None:
        """Store the logo; `image_type` is its media type."""
        self._set(logo=image, logo_type=image_type)

    def set_payment_rules(self, *, gateway: str, allow_partial: bool) -> None:
        """Store how customers pay."""
        self._set(gateway=gateway, allow_partial=allow_partial)

    def audit(self, action: str, *, target: str = "", user_id: int | None = None, address: str = "") -> None:
        """Keep who did what, when, from where."""
        self._bound.insert(
            t.audit_log, action=action, target=target, user_id=user_id, address=address, at=self._bound.now
        )

    def _set(self, **values: str | bool | bytes | datetime) -> None:
        self._bound.connection.execute(
            sa.update(t.merchants).where(t.merchants.c.id == self._bound.merchant_id).values(**values)
        )
