"""Headers every answer carries, and forms nobody else can send."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask, render_template_string

from tests.portal.shop import Shop

STYLES = "/static/web/duebridge.css"
Make = Callable[..., tuple[Flask, Shop]]


@pytest.mark.parametrize(
    "path", ["/fine/x", "/invalid", "/broken", "/nowhere", "/healthz", "/static/web/duebridge.css"]
)
def test_every_answer_is_protected(application: Make, path: str) -> None:
    app, _ = application()
    with app.test_client().get(path) as answer:
        headers = answer.headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'" and policy["style-src"] == policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'" and policy["img-src"] == "'self' data:"
    assert policy["form-action"] == "'self' https://consent.example https://pay.gateway.example"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer" and headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin" and "camera=()" in headers["Permissions-Policy"]
    assert "Strict-Transport-Security" not in headers
    assert re.fullmatch("[0-9a-f]{32}", headers["X-Request-ID"])


def test_addresses_from_the_environment_are_the_ones_allowed(application: Make) -> None:
    app, _ = application(QUICKBOOKS_AUTHORIZE_URL="http://127.0.0.1:9/x", SANDBOX_API_URL="http://127.0.0.1:8/y")
    policy = app.test_client().get("/fine/x").headers["Content-Security-Policy"]
    assert policy.endswith("form-action 'self' http://127.0.0.1:8 http://127.0.0.1:9")


def test_https_is_demanded_where_it_is_public(application: Make) -> None:
    app, _ = application(PUBLIC_URL="https://pay.example")
    assert "max-age=63072000" in app.test_client().get("/fine/x").headers["Strict-Transport-Security"]


def test_pages_are_never_stored_and_files_with_their_version_are(application: Make) -> None:
    app, _ = application()
    client = app.test_client()
    assert client.get("/fine/x").headers["Cache-Control"] == "no-store"
    with client.get(STYLES) as styles:
        assert styles.headers["Cache-Control"] == "public, max-age=300"
    with app.test_request_context():
        address = render_template_string("{{ asset('web/duebridge.css') }}")
    assert re.fullmatch(r"/static/web/duebridge\.css\?v=[0-9a-f]{12}", address)
    with client.get(address) as styles:
        assert "immutable" in styles.headers["Cache-Control"]
    assert client.get("/static/web/../foundation.py").status_code == 404


def test_a_form_without_its_token_is_refused(application: Make) -> None:
    app, _ = application()
    client = app.test_client()
    answer = client.post("/form", data={"word": "x"})
    assert answer.status_code == 400 and "open for too long" in answer.text
    good = client.get("/token").text
    assert client.post("/form", data={"word": "x", "csrf_token": good}).text == "x"
    assert app.test_client().post("/form", data={"word": "x", "csrf_token": good}).status_code == 400


def test_a_page_sets_a_cookie_only_where_its_form_needs_one(application: Make) -> None:
    app, _ = application()
    client = app.test_client()
    plain, form = client.get("/fine/x").headers, client.get("/token").headers
    assert "Set-Cookie" not in plain and "Cookie" not in plain.get("Vary", "")
    assert "HttpOnly" in form["Set-Cookie"] and form["Vary"] == "Cookie"
    again = client.get("/token").headers
    assert "Set-Cookie" not in again and again["Vary"] == "Cookie"


def test_too_large_a_form_is_refused(application: Make) -> None:
    app, _ = application()
    answer = app.test_client().post("/form", data={"word": "x" * 3_000_000})
    assert answer.status_code == 413 and "too large" in answer.text


def test_health_tells_the_truth(application: Make) -> None:
    app, shop = application()
    client = app.test_client()
    assert client.get("/healthz").json == {"ok": True}
    assert client.get("/readyz").json == {"ok": True, "checks": {"database": "ok", "schema": "ok", "keys": "ok"}}
    shop.wiring.database.engine.dispose()
    broken = shop.wiring.settings.database_url.removeprefix("sqlite:///")
    with open(broken, "wb") as file:
        file.write(b"this is no database" * 100)
    for leftover in ("-wal", "-shm"):
        with open(broken + leftover, "wb") as file:
            file.truncate()
    answer = client.get("/readyz")
    assert answer.status_code == 503 and answer.json == {"ok": False, "checks": {"database": "unreachable"}}
    assert client.get("/healthz").status_code == 200


def test_limits_hold_and_keep_no_names(application: Make) -> None:
    app, shop = application()
    limiter = shop.wiring.limiter
    assert app.test_client().get("/limited").text == "in"
    limiter.waits[:] = [200.0]  # type: ignore[attr-defined]
    answer = app.test_client().get("/limited")
    assert answer.status_code == 429 and answer.headers["Retry-After"] == "200" and "4 minutes" in answer.text
    assert "anna" not in str(limiter.reserved)  # type: ignore[attr-defined]
