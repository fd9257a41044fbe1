"""Puts the simulator together."""

from __future__ import annotations

from flask import Flask, Response

from integrations.simulator.clock import Clock
from integrations.simulator.faults import FaultMiddleware, Faults
from integrations.simulator.journal import Journal
from integrations.simulator.store import Store
from integrations.systems.xero.simulator.api import Api
from integrations.systems.xero.simulator.books import Books
from integrations.systems.xero.simulator.config import XeroConfig
from integrations.systems.xero.simulator.control import control_blueprint
from integrations.systems.xero.simulator.gate import API_ROOT, Gate
from integrations.systems.xero.simulator.idempotency import IdempotencyCache
from integrations.systems.xero.simulator.limits import Limits
from integrations.systems.xero.simulator.naming import name_call
from integrations.systems.xero.simulator.oauth import oauth_blueprint
from integrations.systems.xero.simulator.pages import pages_blueprint
from integrations.systems.xero.simulator.seed import seed
from integrations.systems.xero.simulator.tokens import Tokens
from integrations.systems.xero.simulator.webhooks import Webhooks

_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
_LARGEST_BODY = 10 * 1024 * 1024


def create_simulator(
    store: Store,
    clock: Clock,
    journal: Journal,
    *,
    public_url: str,
    config: XeroConfig | None = None,
    faults: Faults | None = None,
    invoices: int = 300,
) -> Flask:
    """A little Xero as one Flask app, seeded when the store is empty.

    `public_url` is how a browser reaches it, with any prefix and without a trailing slash. The parts a test looks into
    stand in `app.extensions["xero"]`: faults, books, webhooks.
    """
    config = config or XeroConfig()
    faults = faults or Faults()
    public_url = public_url.rstrip("/")
    books = Books(store, clock, journal, config)
    seed(books, invoices=invoices)
    webhooks = Webhooks(books, faults, f"{public_url}{API_ROOT}")
    tokens, limits = Tokens(books), Limits(clock, config)
    cache = IdempotencyCache(store, clock, config)

    app = Flask(__name__, static_url_path="/static")
    app.config["MAX_CONTENT_LENGTH"] = _LARGEST_BODY
    app.register_blueprint(Api(books, tokens, limits, cache, faults, public_url).blueprint())
    app.register_blueprint(oauth_blueprint(books, tokens, faults))
    app.register_blueprint(pages_blueprint(books, tokens, public_url))
    app.register_blueprint(control_blueprint(books, faults, webhooks))
    app.extensions["xero"] = {"faults": faults, "books": books, "webhooks": webhooks}

    @app.after_request
    def harden(response: Response) -> Response:
        if response.mimetype == "text/html":
            response.headers["Content-Security-Policy"] = _POLICY
            response.headers["Referrer-Policy"] = "no-referrer"
        return response

    protected = FaultMiddleware(app.wsgi_app, faults, journal, clock, name_call)
    app.wsgi_app = Gate(protected, books, limits, cache, name_call)  # type: ignore[method-assign]
    return app
