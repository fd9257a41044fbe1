"""Puts the simulated QuickBooks together as one Flask app."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import msgspec
from flask import Flask, Response

from integrations.simulator.clock import Clock
from integrations.simulator.faults import Call, FaultMiddleware, Faults, Named
from integrations.simulator.journal import Journal
from integrations.simulator.store import Store, from_json
from integrations.systems.quickbooks.simulator import api, control, oauth, operations, pages
from integrations.systems.quickbooks.simulator.books import Books
from integrations.systems.quickbooks.simulator.query import entity_of
from integrations.systems.quickbooks.simulator.seed import seed
from integrations.systems.quickbooks.simulator.settings import QuickBooksSettings
from integrations.systems.quickbooks.simulator.throttle import Throttle
from integrations.systems.quickbooks.simulator.tokens import Tokens
from integrations.systems.quickbooks.simulator.upstream import EXTENSION, Upstream
from integrations.systems.quickbooks.simulator.webhooks import Webhooks

_API = re.compile(r"/v3/company/(?P<realm>[^/]+)/(?P<name>[^/]+)(?:/(?P<id>[^/]+))?(?:/(?P<action>pdf|send))?")

# No form-action: the consent form ends in a redirect to the application, which browsers count as its target.
_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"


def create_simulator(
    store: Store,
    clock: Clock,
    journal: Journal,
    *,
    public_url: str,
    settings: QuickBooksSettings | None = None,
    faults: Faults | None = None,
) -> Flask:
    """A QuickBooks Online with its companies seeded, ready to be served.

    `public_url` is how a browser reaches this app, prefix included. The parts are reached by `upstream(app)`.
    """
    settings = settings or QuickBooksSettings()
    faults = faults or Faults()
    books = {file.realm: Books(store, clock, journal, file, settings) for file in settings.companies}
    for company in books.values():
        seed(company)
    app = Flask("integrations.systems.quickbooks.simulator", static_url_path="/_static")
    app.extensions[EXTENSION] = Upstream(
        store=store,
        clock=clock,
        journal=journal,
        faults=faults,
        settings=settings,
        books=books,
        tokens=Tokens(store, clock, settings),
        throttle=Throttle(clock, settings),
        webhooks=Webhooks(store, clock, faults, settings),
        public_url=public_url.rstrip("/"),
    )
    for part in (oauth, api, pages, control):
        app.register_blueprint(part.blueprint)
    app.after_request(_secure)
    app.wsgi_app = FaultMiddleware(app.wsgi_app, faults, journal, clock, name_call)  # type: ignore[method-assign]
    return app


def name_call(call: Call) -> Named | None:
    """What a call is: `invoice.query`, `payment.create`, `token.refresh`, `cdc`, `batch`; None for pages and
    controls."""
    if call.path == "/oauth2/v1/tokens/bearer":
        form = parse_qs(call.body.decode("utf-8", "replace"))
        return Named("token.refresh" if form.get("grant_type") == ["refresh_token"] else "token.exchange")
    if call.path == "/v2/oauth2/tokens/revoke":
        return Named("token.revoke")
    found = _API.fullmatch(call.path)
    if found is None:
        return None
    arguments = {name: values[0] for name, values in parse_qs(call.query).items()}
    return Named(_operation(call, found, arguments), arguments.get("requestid", ""), found["realm"])


def _operation(call: Call, found: re.Match[str], arguments: dict[str, str]) -> str:
    name = found["name"].lower()
    if name == "query":
        text = arguments.get("query", "") if call.method == "GET" else call.body.decode("utf-8", "replace")
        return f"{entity_of(text).lower() or 'unknown'}.query"
    if name in ("cdc", "batch", "exchangerate"):
        return name
    if found["action"]:
        return f"{name}.{found['action']}"
    if call.method == "GET":
        return f"{name}.read"
    try:
        body = from_json(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = {}
    return f"{name}.{operations.name_of(body if isinstance(body, dict) else {}, arguments)}"


def _secure(response: Response) -> Response:
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
    return response
