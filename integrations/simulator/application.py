"""Joins the simulated QuickBooks, Xero and sandbox gateway into one local upstream, with a start page for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask, Response, render_template
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from integrations.gateways.sandbox import simulator as sandbox
from integrations.gateways.sandbox.simulator.application import EXTENSION as SANDBOX_EXTENSION
from integrations.simulator.clock import Clock
from integrations.simulator.journal import Journal
from integrations.simulator.store import Store
from integrations.systems.quickbooks import simulator as quickbooks
from integrations.systems.xero import simulator as xero

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_NAMES = ("quickbooks", "xero", "sandbox")
_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Upstreams:
    """One WSGI application with /quickbooks, /xero and /sandbox; all three live on one clock. End it with `close`."""

    def __init__(self, apps: Mapping[str, Flask], stores: Iterable[Store], clock: Clock) -> None:
        self.apps = dict(apps)
        self.clock = clock
        self._stores = tuple(stores)
        self._application = DispatcherMiddleware(_start_page(), {f"/{name}": app for name, app in apps.items()})

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._application(environ, start_response)

    def close(self) -> None:
        """Stop sending webhooks and let go of the files."""
        quickbooks.upstream(self.apps["quickbooks"]).webhooks.delivery.close()
        self.apps["xero"].extensions["xero"]["webhooks"].delivery.close()
        self.apps["sandbox"].extensions[SANDBOX_EXTENSION].close()
        for store in self._stores:
            store.close()


def make_upstreams(
    directory: Path | None,
    *,
    public_url: str,
    webhook_targets: Mapping[str, str] | None = None,
    quickbooks_settings: quickbooks.QuickBooksSettings | None = None,
    xero_config: xero.XeroConfig | None = None,
    sandbox_settings: sandbox.SandboxSettings | None = None,
    xero_invoices: int = 300,
) -> Upstreams:
    """Everything seeded and ready to be served at `public_url`.

    With a `directory` a later start there goes on where this one ended; without one nothing is kept.
    `webhook_targets` says by name (quickbooks, xero, sandbox) where changes are announced.
    """
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    clock = Clock()
    stores = {name: Store(directory / f"{name}.sqlite" if directory else None) for name in _NAMES}
    journals = {name: Journal(directory / f"{name}.jsonl" if directory else None) for name in _NAMES}
    urls = {name: f"{public_url.rstrip('/')}/{name}" for name in _NAMES}
    apps = {
        "quickbooks": quickbooks.create_simulator(
            stores["quickbooks"],
            clock,
            journals["quickbooks"],
            public_url=urls["quickbooks"],
            settings=quickbooks_settings,
        ),
        "xero": xero.create_simulator(
            stores["xero"],
            clock,
            journals["xero"],
            public_url=urls["xero"],
            config=xero_config,
            invoices=xero_invoices,
        ),
        "sandbox": sandbox.create_simulator(
            stores["sandbox"], clock, journals["sandbox"], public_url=urls["sandbox"], settings=sandbox_settings
        ),
    }
    for name, target in (webhook_targets or {}).items():
        _announce(apps, name, target, (xero_config or xero.XeroConfig()).webhook_key)
    return Upstreams(apps, stores.values(), clock)


def _announce(apps: Mapping[str, Flask], name: str, target: str, xero_key: str) -> None:
    """Set where one of them announces changes; ValueError for a name that is none of them."""
    if name == "quickbooks":
        quickbooks.upstream(apps[name]).webhooks.set_target(target)
    elif name == "xero":
        webhooks = apps[name].extensions["xero"]["webhooks"]
        if webhooks.target != target:
            webhooks.configure(target, xero_key)
    elif name == "sandbox":
        apps[name].extensions[SANDBOX_EXTENSION].delivery.set_target(target)
    else:
        raise ValueError(f"no simulator called {name!r}; there are {', '.join(_NAMES)}")


def _start_page() -> WSGIApplication:
    app = Flask(__name__, static_url_path="/_static")

    @app.get("/")
    def index() -> str:
        return render_template("index.html")

    @app.after_request
    def secure(response: Response) -> Response:
        if response.mimetype == "text/html":
            response.headers["Content-Security-Policy"] = _POLICY
            response.headers["Referrer-Policy"] = "no-referrer"
        return response

    return app
