"""What stands around every page of a merchant: who is signed in, the tabs, and what needs attention."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, date
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Flask, abort, flash, g, redirect, render_template, request
from flask.typing import ResponseReturnValue

from connector.contract import Answer
from connector.dashboard import words
from connector.db.installation import SessionRow
from connector.domain.links import link_url
from connector.errors import Conflict, Invalid, TooMany, Unavailable
from connector.reading import onboarding
from connector.web import sessions
from connector.web.context import wiring
from connector.web.errors import wants_json

_TABS = (
    ("home", "Home", "/"),
    ("invoices", "Invoices", "/invoices"),
    ("customers", "Customers", "/customers"),
    ("payments", "Payments", "/payments"),
    ("differences", "Differences", "/differences"),
    ("connections", "Connections", "/connections"),
    ("settings", "Settings", "/settings/brand"),
)


def staff_blueprint(name: str) -> Blueprint:
    """Pages that only the merchant's own people see."""
    blueprint = Blueprint(f"dashboard_{name}", __name__)
    blueprint.before_request(_sign_in_first)
    return blueprint


def _sign_in_first() -> ResponseReturnValue | None:
    if sessions.current("staff") is not None:
        return None
    if wants_json():
        abort(401)
    # A consent's answer is bound to the session it began in and must not travel on in another address.
    returns = request.method == "GET" and not (request.endpoint or "").endswith(".callback")
    back = request.full_path.rstrip("?") if returns else ""
    return redirect(f"/sign-in?next={quote(back)}" if back not in ("", "/") else "/sign-in", 303)


def staff() -> SessionRow:
    """Who is signed in."""
    session = sessions.current("staff")
    if session is None:
        abort(401)
    return session


def merchant_id() -> int:
    """Whose pages these are."""
    return staff().merchant_id


def user_id() -> int:
    """Who acts, for the audit log."""
    return staff().user_id or 0


def session_hash() -> bytes:
    """What a consent begun in this session is bound to."""
    return hashlib.sha256(sessions.session_token("staff").encode()).digest()


def today() -> date:
    """The day it is (UTC)."""
    return wiring().clock().astimezone(UTC).date()


def this_frame() -> onboarding.Frame:
    """The merchant of this request, read once."""
    if "frame" not in g:
        g.frame = onboarding.frame(wiring(), merchant_id())
    frame: onboarding.Frame = g.frame
    return frame


def show(template: str, section: str, **context: Any) -> str:
    """A page in its frame."""
    frame = this_frame()
    return render_template(
        f"dashboard/{template}.html",
        merchant=frame,
        section=section,
        tabs=_TABS,
        say=words,
        systems=wiring().systems,
        today=today(),
        **context,
    )


def act(action: Callable[[], object], *, done: str, back: str) -> ResponseReturnValue:
    """Do what a button asks for and go back to its page, with a sentence on what became of it."""
    try:
        action()
    except (Conflict, Invalid, TooMany, Unavailable) as refusal:
        flash(refusal.message, "bad")
    except Answer as answer:
        flash(answer.why, "bad")
    else:
        flash(done, "good")
    return redirect(back, 303)


def public_link(token: str) -> str:
    """The address of a billing link."""
    return link_url(wiring().settings.public_url, token)


def add_to(app: Flask) -> None:
    """Words the templates use."""
    app.jinja_env.globals.update(public_link=public_link)
