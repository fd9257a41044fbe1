"""The outermost layer: places in flight are counted here, and the vendor's own 500s enter the idempotency cache."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from integrations.simulator.faults import Call as WireCall
from integrations.simulator.faults import Named
from integrations.simulator.journal import Journal
from integrations.simulator.store import to_json
from integrations.systems.xero.simulator.books import Books
from integrations.systems.xero.simulator.idempotency import IdempotencyCache, fingerprint
from integrations.systems.xero.simulator.limits import Limits
from integrations.systems.xero.simulator.problems import too_many

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

API_ROOT = "/api.xro/2.0/"


class Gate:
    """WSGI layer around the fault middleware."""

    def __init__(
        self,
        app: WSGIApplication,
        books: Books,
        limits: Limits,
        cache: IdempotencyCache,
        name: Callable[[WireCall], Named | None],
    ) -> None:
        self._app = app
        self._books = books
        self._journal: Journal = books.journal
        self._limits = limits
        self._cache = cache
        self._name = name

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        tenant = environ.get("HTTP_XERO_TENANT_ID", "")
        if not environ["PATH_INFO"].startswith(API_ROOT) or not tenant:
            return self._app(environ, start_response)
        if not self._limits.enter(tenant):
            return self._too_many_at_once(environ, tenant)(environ, start_response)
        try:
            body = _body(environ)
            response = Response.from_app(self._app, environ, buffered=True)
        finally:
            self._limits.leave(tenant)
        key = environ.get("HTTP_IDEMPOTENCY_KEY", "")
        if key and response.status_code == 500 and environ["REQUEST_METHOD"] in ("POST", "PUT"):
            request = fingerprint(environ["REQUEST_METHOD"], request_url(environ), body)
            self._cache.replace(key, request, 500, response.get_data(), response.content_type or "application/json")
        return response(environ, start_response)

    def _too_many_at_once(self, environ: WSGIEnvironment, tenant: str) -> Response:
        problem = too_many("concurrent", None)
        named = self._name(WireCall(environ["REQUEST_METHOD"], environ["PATH_INFO"], "", {}, b""))
        self._journal.request(
            time=self._books.clock.now().isoformat(),
            operation=named.operation if named else "unknown",
            status=429,
            tenant=tenant,
        )
        headers = {**problem.headers, **self._limits.headers(tenant)}
        return Response(to_json(problem.body), 429, headers=headers, content_type="application/json")


def request_url(environ: WSGIEnvironment) -> str:
    """Path and query of a request, without the prefix the simulator is mounted under."""
    return f"{environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')}"


def _body(environ: WSGIEnvironment) -> bytes:
    """Read the body and leave it readable for the layers behind."""
    length = environ.get("CONTENT_LENGTH") or ""
    stream = environ["wsgi.input"]
    body: bytes = stream.read() if environ.get("wsgi.input_terminated") else stream.read(int(length or "0"))
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    return body
