"""Lays the foundation under an application: everything all doors share, in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from flask import Blueprint, Flask, Request, Response
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from connector.web import assets, health, metrics, present
from connector.web.context import attach
from connector.web.errors import answer_errors
from connector.web.logging import log_requests
from connector.web.security import protect
from connector.wiring import Wiring

_LARGEST_BODY = 2 * 1024 * 1024
_FORM_HOURS = 12
_EXTENSION = "duebridge-csrf"


class Application(Flask):
    """The application. Its views and hooks are plain functions: none is asked before each call whether it is async."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The function itself; an async one is never awaited, which Flask refuses as no answer."""
        return func


class _FormSessions(SecureCookieSessionInterface):
    """Flask's own session, which costs nothing where no cookie came: most pages behind a link have none."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if session.accessed or session.modified:
            super().save_session(app, session, response)


def install(app: Flask, wiring: Wiring) -> None:
    """Give the application its wiring, headers, error pages, logs, form protection, health checks and templates."""
    attach(app, wiring)
    secure = wiring.settings.secure_cookies
    app.config.update(
        SECRET_KEY=wiring.settings.secret_key,
        MAX_CONTENT_LENGTH=_LARGEST_BODY,
        MAX_FORM_MEMORY_SIZE=512 * 1024,
        MAX_FORM_PARTS=2000,
        # Flask's own session carries nothing but the form protection's secret.
        SESSION_COOKIE_NAME=f"{'__Host-' if secure else ''}duebridge-form",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        WTF_CSRF_TIME_LIMIT=_FORM_HOURS * 3600,
        # Our pages send no Referer (Referrer-Policy), so it cannot be asked for; the token alone decides.
        WTF_CSRF_SSL_STRICT=False,
    )
    if wiring.settings.trusted_proxies:
        hops = wiring.settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    app.session_interface = _FormSessions()
    log_requests(app)
    protect(app, wiring)
    assets.keep_static(app)
    app.extensions[_EXTENSION] = CSRFProtect(app)
    answer_errors(app)
    app.register_blueprint(_web())
    app.register_blueprint(health.blueprint)
    app.register_blueprint(metrics.blueprint)
    app.jinja_env.globals.update(
        asset=assets.asset,
        invoice_words=present.invoice_words,
        payment_words=present.payment_words,
        initial=present.initial,
    )
    app.jinja_env.filters.update(
        money=present.money, plain=present.plain_amount, day=present.day, moment=present.moment, shorten=present.shorten
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


def exempt(app: Flask, blueprint: Blueprint) -> None:
    """Take a blueprint out of the cookie-based form protection: it proves its callers in another way."""
    cast(CSRFProtect, app.extensions[_EXTENSION]).exempt(blueprint)


def _web() -> Blueprint:
    assets.serve_static("web", __file__)
    return Blueprint(
        "web", __name__, template_folder="templates", static_folder="static/web", static_url_path="/static/web"
    )
