"""How a merchant's people come in and go out."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from connector.errors import Conflict, Invalid
from connector.journeys import sign_in as signing_in
from connector.journeys import sign_up as signing_up
from connector.web import limits, sessions
from connector.web.context import wiring

blueprint = Blueprint(
    "dashboard", __name__, template_folder="templates", static_folder="static/dashboard",
    static_url_path="/static/dashboard",
)  # fmt: skip
_LONGEST_PATH = 500


@blueprint.get("/sign-up")
def sign_up() -> ResponseReturnValue:
    """A new company."""
    if sessions.current("staff"):
        return redirect("/", 303)
    return render_template("dashboard/sign_up.html", merchant=None, values={}, error=None)


@blueprint.post("/sign-up")
def create() -> ResponseReturnValue:
    """The company is made, and its owner signed in."""
    limits.hold_caller("sign-up", limit=20, period=3600)
    values = {name: request.form.get(name, "")[:300] for name in ("company", "name", "email")}
    try:
        token = signing_up.run(wiring(), **values, password=request.form.get("password", ""))
    except (Invalid, Conflict) as error:
        page = render_template("dashboard/sign_up.html", merchant=None, values=values, error=error)
        return page, error.status
    return sessions.sign_in(redirect("/", 303), "staff", token)


@blueprint.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Ask for address and password."""
    after = _local(request.args.get("next", ""))
    if sessions.current("staff"):
        return redirect(after, 303)
    return render_template("dashboard/sign_in.html", merchant=None, email="", after=after, error=None)


@blueprint.post("/sign-in")
def enter() -> ResponseReturnValue:
    """Address and password belong together: a new session."""
    email, after = request.form.get("email", "")[:300], _local(request.form.get("next", ""))
    limits.hold_caller("staff-sign-in", limit=30, period=600)
    # Strict for one caller, lenient for all together, so that a stranger cannot easily lock somebody out.
    address = email.strip().lower()
    limits.hold("staff-sign-in-for", f"{request.remote_addr}:{address}", limit=10, period=900)
    limits.hold("staff-sign-in-of", address, limit=100, period=900)
    try:
        token = signing_in.run(wiring(), email=email, password=request.form.get("password", "")[:300])
    except Invalid as error:
        page = render_template("dashboard/sign_in.html", merchant=None, email=email, after=after, error=error)
        return page, error.status
    return sessions.sign_in(redirect(after, 303), "staff", token)


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End the session on the server and forget its cookie."""
    signing_in.out(wiring(), sessions.session_token("staff"))
    return sessions.forget(redirect("/sign-in", 303), "staff")


def _local(path: str) -> str:
    """Where to go on: a path of ours, never another site."""
    fits = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if fits and len(path) <= _LONGEST_PATH else "/"
