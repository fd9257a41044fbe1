"""Every address has an owner; strangers get past no door; every answer carries the headers; a GET changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.routing import Rule

from connector.app import create_app, wire
from connector.config import read_settings
from connector.db import tables as t

OWNERS = ("portal.", "connector.dashboard.", "webhooks.", "connector.web.")
# Pages of the merchant's side a stranger may see; everything else asks for a sign-in.
OPEN_TO_STRANGERS = {"/", "/sign-in", "/sign-up"}
# Doors outside the cookie-bound form protection: deliveries prove themselves by signature, the customers' payment
# forms by a key bound to the link or session they were shown under (tests/portal).
OTHERWISE_PROVEN = {"webhooks", "portal"}
# Guesses are counted, wherever they come from.
COUNTERS = {"limits"}
SAFE = {"GET", "HEAD", "OPTIONS"}
MADE_UP = {"default": "AAAAAAAAAAAAAAAAAAAAAA", "int": "999999", "row": "999999"}


@pytest.fixture
def app(sqlite_schema_url: str) -> Iterator[Flask]:
    """The whole application with every adapter configured, on an empty database."""
    settings = read_settings(
        {
            "DUEBRIDGE_DATABASE_URL": sqlite_schema_url,
            "DUEBRIDGE_PUBLIC_URL": "http://localhost",
            **{
                f"DUEBRIDGE_{name}_{key}": "made-up"
                for name in ("QUICKBOOKS", "XERO", "SANDBOX")
                for key in ("CLIENT_ID", "CLIENT_SECRET", "WEBHOOK_SECRET", "API_KEY")
            },
        }
    )
    wiring = wire(settings, dispatch=lambda *_: None)
    yield create_app(wiring)
    wiring.database.engine.dispose()


def rules(app: Flask, unsafe: bool) -> list[Rule]:
    """The addresses that change something, or those that do not."""
    return [rule for rule in app.url_map.iter_rules() if bool((rule.methods or set()) - SAFE) == unsafe]


def address(rule: Rule) -> str:
    """A rule's path with made-up parts in place of its variables."""
    return re.sub(
        r"<(?:(\w+)[^:>]*:)?\w+>", lambda part: MADE_UP.get(part.group(1) or "default", MADE_UP["default"]), rule.rule
    )


def is_dashboard(app: Flask, rule: Rule) -> bool:
    return str(app.view_functions[rule.endpoint].__module__).startswith("connector.dashboard")


def is_static(rule: Rule) -> bool:
    return str(rule.endpoint).endswith(".static")


def row_counts(engine: sa.Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in t.metadata.sorted_tables
            if table.name not in COUNTERS
        }


def test_every_address_belongs_to_a_wing(app: Flask) -> None:
    strays = [
        f"{rule.rule} -> {app.view_functions[rule.endpoint].__module__}"
        for rule in app.url_map.iter_rules()
        if not is_static(rule) and not f"{app.view_functions[rule.endpoint].__module__}.".startswith(OWNERS)
    ]
    assert not strays


def test_an_address_either_shows_or_changes(app: Flask) -> None:
    both = [rule.rule for rule in rules(app, unsafe=True) if (rule.methods or set()) & {"GET"}]
    assert not both, "a page and its form have a route each, so that what a GET does can be read off the route"


def test_strangers_are_sent_to_sign_in(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    passed = {}
    guarded = [rule for rule in app.url_map.iter_rules() if is_dashboard(app, rule) and not is_static(rule)]
    assert guarded
    for rule in guarded:
        if rule.rule in OPEN_TO_STRANGERS:
            continue
        method = "POST" if (rule.methods or set()) - SAFE else "GET"
        answer = client.open(address(rule), method=method)
        if not (answer.status_code in (302, 303) and "/sign-in" in answer.headers["Location"]):
            passed[f"{method} {rule.rule}"] = answer.status_code
    assert not passed


def test_made_up_links_show_nothing(app: Flask) -> None:
    client = app.test_client()
    shown = {}
    for rule in rules(app, unsafe=False):
        if app.view_functions[rule.endpoint].__module__.startswith("portal") and not is_static(rule):
            answer = client.get(address(rule))
            if answer.status_code not in (302, 303, 404, 410):
                shown[rule.rule] = answer.status_code
    assert not shown


def test_forms_are_refused_without_their_token(app: Flask) -> None:
    client = app.test_client()
    taken = {}
    asked = 0
    for rule in rules(app, unsafe=True):
        if rule.endpoint.split(".", 1)[0] not in OTHERWISE_PROVEN:
            asked += 1
            answer = client.post(address(rule))
            if answer.status_code != 400:
                taken[rule.rule] = answer.status_code
    assert asked
    assert not taken


def test_deliveries_are_refused_without_their_signature(app: Flask) -> None:
    client = app.test_client()
    before = row_counts(app_engine(app))
    for sender in ("quickbooks", "xero", "sandbox", "nobody"):
        answer = client.post(f"/webhooks/{sender}", data=b'{"events":[]}', content_type="application/json")
        assert answer.status_code in (400, 401, 403, 404), sender
    assert row_counts(app_engine(app)) == before


def test_every_answer_carries_the_headers(app: Flask) -> None:
    client = app.test_client()
    lacking = {}
    for rule in rules(app, unsafe=False):
        headers = client.get(address(rule)).headers
        policy = headers.get("Content-Security-Policy", "")
        complaints = [
            complaint
            for complaint, wrong in {
                "policy does not begin with nothing": "default-src 'none'" not in policy,
                "policy lets inline in": "unsafe-inline" in policy or "unsafe-eval" in policy,
                "may be framed": "frame-ancestors 'none'" not in policy,
                "tells where people came from": headers.get("Referrer-Policy") != "no-referrer",
                "kind may be guessed": headers.get("X-Content-Type-Options") != "nosniff",
                "private page may be kept": not is_static(rule)
                and headers.get("Content-Type", "").startswith("text/html")
                and "no-store" not in headers.get("Cache-Control", ""),
            }.items()
            if wrong
        ]
        if complaints:
            lacking[rule.rule] = complaints
    assert not lacking


def test_a_get_by_a_stranger_changes_nothing_and_never_breaks(app: Flask) -> None:
    client = app.test_client()
    before = row_counts(app_engine(app))
    broken = {
        rule.rule: status
        for rule in rules(app, unsafe=False)
        if (status := client.get(address(rule)).status_code) >= 500
    }
    assert not broken
    assert row_counts(app_engine(app)) == before


def app_engine(app: Flask) -> sa.Engine:
    """The engine under an application."""
    from connector.web.context import wiring

    with app.app_context():
        return wiring().database.engine
