"""What customers see of the merchant, and how they pay."""

from __future__ import annotations

from flask import Response, flash, redirect, request
from flask.typing import ResponseReturnValue

from connector.dashboard.frame import merchant_id, show, staff_blueprint, this_frame, user_id
from connector.errors import Invalid
from connector.journeys import settings as journey
from connector.web import brand as colours
from connector.web.context import wiring

blueprint = staff_blueprint("settings")


@blueprint.get("/settings/brand")
def brand() -> ResponseReturnValue:
    """Name, colour, logo and help contact."""
    frame = this_frame()
    values = {
        "name": frame.name,
        "colour": frame.colour,
        "help_email": frame.help_email,
        "help_phone": frame.help_phone,
    }
    return show("settings_brand", "settings", values=values, error=None, preview=False)


@blueprint.post("/settings/brand")
def save_brand() -> ResponseReturnValue:
    """Store them, or (do=preview) only show how they would look."""
    values = {name: request.form.get(name, "")[:300].strip() for name in ("name", "colour", "help_email", "help_phone")}
    upload = request.files.get("logo")
    try:
        values["colour"] = colours.read_colour(values["colour"])
        if request.form.get("do") == "preview":
            return show("settings_brand", "settings", values=values, error=None, preview=True)
        logo = upload.stream.read(journey.LARGEST_LOGO + 1) if upload and upload.filename else b""
        journey.brand(wiring(), merchant_id(), **values, logo=logo or None, user_id=user_id())
    except Invalid as error:
        return show("settings_brand", "settings", values=values, error=error, preview=False), error.status
    flash("Your brand is saved. Customers see it from now on.", "good")
    return redirect("/settings/brand", 303)


@blueprint.get("/settings/brand/preview.css")
def preview_stylesheet() -> ResponseReturnValue:
    """The colours of a brand, for the preview alone. Only computed colours reach it."""
    sheet = colours.stylesheet(colours.read_colour(request.args.get("colour", ""))).replace(":root", ".preview")
    return Response(sheet, mimetype="text/css")


@blueprint.get("/settings/payments")
def payments() -> ResponseReturnValue:
    """Who takes the money, and whether a part may be paid."""
    frame = this_frame()
    return _payments_page(frame.gateway, frame.allow_partial)


@blueprint.post("/settings/payments")
def save_payments() -> ResponseReturnValue:
    """Store them."""
    gateway, partial = request.form.get("gateway", ""), request.form.get("allow_partial", "") not in ("", "0", "no")
    if gateway not in wiring().gateways:
        error = Invalid("Choose one of the listed payment providers.", field="gateway")
        return _payments_page(gateway, partial, error), error.status
    journey.payment_rules(wiring(), merchant_id(), gateway=gateway, allow_partial=partial, user_id=user_id())
    flash("Your payment settings are saved.", "good")
    return redirect("/settings/payments", 303)


def _payments_page(gateway: str, allow_partial: bool, error: Invalid | None = None) -> str:
    known = wiring()
    return show(
        "settings_payments",
        "settings",
        gateways=[(name, adapter.manifest) for name, adapter in known.gateways.items()],
        missing=[manifest for manifest in known.not_configured if manifest.role == "gateway"],
        gateway=gateway,
        allow_partial=allow_partial,
        error=error,
    )
