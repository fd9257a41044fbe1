"""Cookies of signed-in people: an opaque token each; what it stands for is kept on the server and can be ended there.

Two realms that know nothing of each other: 'staff' (the merchant's people) and 'customer' (who pays).
"""

from __future__ import annotations

from typing import Literal, cast

from flask import g, request
from werkzeug.wrappers import Response

from connector.db.installation import SessionRow
from connector.web.context import wiring

Realm = Literal["staff", "customer"]
_LONGEST = 100


def cookie_name(realm: Realm) -> str:
    """`__Host-` pins the cookie to this very host and to https wherever the public address is https."""
    return f"{'__Host-' if wiring().settings.secure_cookies else ''}duebridge-{realm}"


def session_token(realm: Realm) -> str:
    """The token the browser showed, or ''."""
    token = request.cookies.get(cookie_name(realm), "")
    return token if len(token) <= _LONGEST and token.isascii() else ""


def current(realm: Realm) -> SessionRow | None:
    """Who is signed in, looked up once a request."""
    known = cast("dict[Realm, SessionRow | None]", g.setdefault("sessions", {}))
    if realm not in known:
        token = session_token(realm)
        known[realm] = _find(token, realm) if token else None
    return known[realm]


def _find(token: str, realm: Realm) -> SessionRow | None:
    with wiring().database.lookup() as installation:
        return installation.session(token, realm)


def sign_in(response: Response, realm: Realm, token: str) -> Response:
    """Hand the browser its cookie; it lives until the browser closes or the server ends the session."""
    response.set_cookie(
        cookie_name(realm),
        token,
        secure=wiring().settings.secure_cookies,
        httponly=True,
        samesite="Lax",
        path="/",
    )
    return response


def forget(response: Response, realm: Realm) -> Response:
    """Take the cookie away; the sign-out journey ends the session itself."""
    g.pop("sessions", None)
    response.delete_cookie(
        cookie_name(realm), path="/", secure=wiring().settings.secure_cookies, httponly=True, samesite="Lax"
    )
    return response
