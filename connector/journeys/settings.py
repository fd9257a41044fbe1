"""What a merchant sets: brand, help contact, how customers pay."""

from __future__ import annotations

import re

from connector.errors import Invalid
from connector.wiring import Wiring

LARGEST_LOGO = 200_000
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_IMAGES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


def brand(
    wiring: Wiring,
    merchant_id: int,
    *,
    name: str,
    colour: str,
    help_email: str,
    help_phone: str,
    logo: bytes | None,
    user_id: int,
) -> None:
    """Store what customers see. `logo`: PNG, JPEG or WebP up to 200 kB. Raises Invalid at the field."""
    if not name.strip() or len(name) > 120:
        raise Invalid("Enter the name customers know you by.", field="name")
    if not _COLOUR.fullmatch(colour):
        raise Invalid("Choose a colour in the form #0b5cad.", field="colour")
    if "@" not in help_email or len(help_email) > 254:
        raise Invalid("Enter the address customers may write to.", field="help_email")
    image_type = _image_type(logo) if logo else ""
    with wiring.database.unit_of_work(merchant_id) as uow:
        uow.merchants.brand(
            name=name.strip(), colour=colour.lower(), help_email=help_email.strip(), help_phone=help_phone.strip()[:40]
        )
        if logo:
            uow.merchants.set_logo(logo, image_type)
        uow.merchants.audit("settings.brand", user_id=user_id)


def payment_rules(wiring: Wiring, merchant_id: int, *, gateway: str, allow_partial: bool, user_id: int) -> None:
    """Store how customers pay. Raises NotFound for a gateway this installation does not have."""
    wiring.gateway(gateway)
    with wiring.database.unit_of_work(merchant_id) as uow:
        uow.merchants.set_payment_rules(gateway=gateway, allow_partial=allow_partial)
        uow.merchants.audit("settings.payments", target=gateway, user_id=user_id)


def _image_type(logo: bytes) -> str:
    if len(logo) > LARGEST_LOGO:
        raise Invalid("The logo is larger than 200 kB. Save it smaller and upload it again.", field="logo")
    for beginning, image_type in _IMAGES.items():
        if logo.startswith(beginning):
            return image_type
    raise Invalid("The logo must be a PNG, JPEG or WebP picture.", field="logo")
