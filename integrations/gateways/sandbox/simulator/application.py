"""Puts the sandbox gateway together as one Flask application."""

from __future__ import annotations

from flask import Flask, Response, jsonify, redirect, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from integrations.gateways.sandbox.simulator.api import api_blueprint, name_call
from integrations.gateways.sandbox.simulator.book import Book
from integrations.gateways.sandbox.simulator.control import control_blueprint
from integrations.gateways.sandbox.simulator.gateway import Gateway
from integrations.gateways.sandbox.simulator.hosted import STRICT_POLICY, hosted_blueprint
from integrations.gateways.sandbox.simulator.outbox import ANSWER_LIMIT_SECONDS, RETRY_DELAYS, Outbox, Signer
from integrations.gateways.sandbox.simulator.settings import SandboxSettings
from integrations.gateways.sandbox.simulator.timetable import Ticker, run_due
from integrations.simulator.clock import Clock
from integrations.simulator.delivery import WebhookDelivery
from integrations.simulator.faults import FaultMiddleware, Faults
from integrations.simulator.journal import Journal
from integrations.simulator.store import Store

EXTENSION = "sandbox_gateway"


def create_simulator(
    store: Store,
    clock: Clock,
    journal: Journal,
    *,
    public_url: str,
    settings: SandboxSettings | None = None,
    faults: Faults | None = None,
) -> Flask:
    """One sandbox gateway. `public_url` is how a browser reaches it, any prefix included.

    Its parts are `app.extensions["sandbox_gateway"]`, a `Gateway`; its `close()` ends the background threads and comes
    before the store is closed.
    """
    settings, faults = settings or SandboxSettings(), faults or Faults()
    signer = Signer(settings.webhook_secret, settings.signing_time)
    delivery = WebhookDelivery(
        clock, faults, delays=RETRY_DELAYS, answer_limit=ANSWER_LIMIT_SECONDS, in_order=False, sign=signer
    )
    outbox = Outbox(store, delivery)
    book = Book(store, clock, journal, outbox)
    outbox.resume()
    if settings.webhook_url:
        delivery.set_target(settings.webhook_url)
    gateway = Gateway(
        book=book,
        clock=clock,
        journal=journal,
        faults=faults,
        delivery=delivery,
        ticker=Ticker(book, outbox, settings.tick_interval),
        signer=signer,
        settings=settings,
        public_url=public_url.rstrip("/"),
    )
    app = Flask(__name__)
    app.extensions[EXTENSION] = gateway
    for blueprint in (api_blueprint(gateway), hosted_blueprint(gateway), control_blueprint(gateway)):
        app.register_blueprint(blueprint)

    @app.get("/")
    def index() -> AnyResponse:
        return redirect(url_for("control.overview"))

    @app.before_request
    def tick() -> None:
        run_due(book)

    @app.errorhandler(HTTPException)
    def explain(error: HTTPException) -> AnyResponse | HTTPException:
        if not request.path.startswith("/v1/"):
            return error
        status, code = error.code or 500, "_".join(error.name.lower().split())
        answer = jsonify(error={"code": code, "message": error.description or error.name})
        answer.status_code = status
        return answer

    @app.after_request
    def harden(answer: Response) -> Response:
        answer.headers.setdefault("Content-Security-Policy", f"{STRICT_POLICY}; form-action 'self'")
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "no-referrer"
        if request.endpoint != "static":
            answer.headers["Cache-Control"] = "no-store"
        return answer

    app.wsgi_app = FaultMiddleware(app.wsgi_app, faults, journal, clock, name_call)  # type: ignore[method-assign]
    return app
