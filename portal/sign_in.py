"""Customers sign in with a code from a mail: no password, and the same pages for strangers."""

from __future__ import annotations

import re

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from connector.errors import Invalid
from connector.journeys import proof
from connector.journeys import sign_in as journey
from connector.reading.portal_doors import brand_of, enter_by_session
from connector.web import limits, sessions
from connector.web.context import wiring

# Cookies and forms of its own: unlike a link's pages, these are protected by the form protection all doors share.
blueprint = Blueprint("portal_sign_in", __name__, url_prefix="/portal/<slug>")
_CODE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_CODE = re.compile(r"[0-9]{6}", re.ASCII)
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")


@blueprint.get("")
def ask(slug: str) -> ResponseReturnValue:
    """The portal's front page: sign in, or go on to the account."""
    address = brand_of(wiring(), slug)
    with enter_by_session(wiring(), sessions.session_token("customer"), slug) as visit:
        signed_in = visit is not None
    if signed_in:
        return redirect(f"/portal/{slug}/account", 303)
    return render_template("portal/sign_in.html", brand=address.brand, email="", error="")


@blueprint.post("")
def send_code(slug: str) -> ResponseReturnValue:
    """Mail a code to an address on file; whoever asks sees the same page."""
    address = brand_of(wiring(), slug)
    email = request.form.get("email", "").strip()
    if len(email) > 254 or not _ADDRESS.fullmatch(email):
        error = "Enter an e-mail address, for example anna@example.com."
        return render_template("portal/sign_in.html", brand=address.brand, email=email[:254], error=error), 400
    limits.hold_caller("portal-sign-in", limit=20, period=600)
    limits.hold("portal-sign-in-for", f"{address.merchant_id}:{email.lower()}", limit=5, period=900)
    code_id = proof.ask_sign_in(wiring(), address.merchant_id, email)
    return redirect(f"/portal/{slug}/code/{code_id}", 303)


@blueprint.get("/code/<code_id>")
def show_code_form(slug: str, code_id: str) -> ResponseReturnValue:
    """Where the code is typed in. The mail's button leads here with the code filled in; looking signs nobody in."""
    given = request.args.get("code", "")
    return _code_form(slug, code_id, given if _CODE.fullmatch(given) else "")


def _code_form(slug: str, code_id: str, code: str, error: str = "") -> str:
    return render_template(
        "portal/code.html",
        brand=brand_of(wiring(), slug).brand,
        path=f"/portal/{slug}/code/{code_id if _CODE_ID.fullmatch(code_id) else '0' * 32}",
        code=code,
        error=error,
        for_invoice=request.args.get("for") == "invoice",
    )


@blueprint.post("/code/<code_id>")
def redeem(slug: str, code_id: str) -> ResponseReturnValue:
    """The right code signs in."""
    address = brand_of(wiring(), slug)
    limits.hold_caller("portal-code", limit=30, period=600)
    code = "".join(request.form.get("code", "").split())
    try:
        token = proof.redeem(wiring(), address.merchant_id, code_id[:32], code)
    except Invalid as fault:
        return _code_form(slug, code_id, "", fault.message), fault.status
    return sessions.sign_in(redirect(f"/portal/{slug}/account", 303), "customer", token)


@blueprint.post("/sign-out")
def sign_out(slug: str) -> ResponseReturnValue:
    """End the session."""
    journey.out(wiring(), sessions.session_token("customer"))
    return sessions.forget(redirect(f"/portal/{slug}", 303), "customer")
