"""The door of the accounting API: token, tenant, limits, scope, idempotency, then the call in one transaction."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from integrations.simulator.faults import Faults
from integrations.systems.xero.simulator.books import Books, Organisation
from integrations.systems.xero.simulator.call import Call
from integrations.systems.xero.simulator.endpoints import Endpoint, find
from integrations.systems.xero.simulator.gate import API_ROOT, request_url
from integrations.systems.xero.simulator.idempotency import IdempotencyCache, fingerprint
from integrations.systems.xero.simulator.limits import Limits
from integrations.systems.xero.simulator.problems import (
    ApiError,
    Refused,
    forbidden,
    gateway_problem,
    too_many,
    unauthorized,
    validation,
)
from integrations.systems.xero.simulator.tokens import Tokens, allows
from integrations.systems.xero.simulator.wire import envelope, respond

METHODS = ["GET", "POST", "PUT", "DELETE"]


class Api:
    """Answers everything below /api.xro/2.0/."""

    def __init__(
        self,
        books: Books,
        tokens: Tokens,
        limits: Limits,
        cache: IdempotencyCache,
        faults: Faults,
        public_url: str,
    ) -> None:
        self._books = books
        self._tokens = tokens
        self._limits = limits
        self._cache = cache
        self._faults = faults
        self._public_url = public_url

    def blueprint(self) -> Blueprint:
        """The one route."""
        pages = Blueprint("api", __name__)
        pages.add_url_rule(f"{API_ROOT}<path:path>", "call", self.handle, methods=METHODS)
        return pages

    def handle(self, path: str) -> Response:
        """Answer one request; every answer carries what is left of the limits."""
        tenant = request.headers.get("xero-tenant-id", "")
        try:
            response = self._admitted(path, tenant)
        except ApiError as problem:
            response = respond(problem.body, _accept(), problem.status)
            response.headers.update(problem.headers)
        response.headers.update(self._limits.headers(tenant))
        return response

    def _admitted(self, path: str, tenant: str) -> Response:
        operation = str(request.environ.get("simulator.operation", "unknown"))
        access = self._tokens.check(request.headers.get("Authorization", ""))
        if self._faults.take("expire_tokens", operation):
            self._tokens.expire(access)
            access = self._tokens.check(request.headers.get("Authorization", ""))
        if self._faults.take("revoke_tokens", operation):
            self._tokens.revoke_grant(access.grant)
            access = self._tokens.check(request.headers.get("Authorization", ""))
        if not tenant or not self._tokens.may_use(access, tenant):
            raise forbidden()
        if storm := self._faults.take("throttle", operation):
            raise too_many(str(storm.options.get("problem", "minute")), int(storm.options.get("seconds", 1)))
        self._limits.admit(tenant)
        found = find(request.method, path)
        if isinstance(found, int):
            raise ApiError(
                found, gateway_problem(found, "Not Found", "The resource you're looking for cannot be found")
            )
        endpoint, ids = found
        if endpoint.partner_only and not self._books.config.partner:
            raise unauthorized("AuthorizationUnsuccessful")
        if not allows(access.scopes, endpoint.scope, request.method):
            raise unauthorized("AuthorizationUnsuccessful")
        key = request.headers.get("Idempotency-Key", "")
        if not key or request.method not in ("POST", "PUT"):
            return self._run(endpoint, ids, tenant, key)
        same = fingerprint(request.method, request_url(request.environ), request.get_data())
        return self._cache.answer(key, same, lambda: self._run(endpoint, ids, tenant, key))

    def _run(self, endpoint: Endpoint, ids: dict[str, str], tenant: str, key: str) -> Response:
        """Run the handler; a refusal leaves nothing behind and becomes an answer here, so that it is remembered."""
        org = Organisation(self._books, tenant.lower(), endpoint.operation, key)
        call = Call(org, self._books.config, request.args, request.headers, request.get_data(), self._public_url)
        try:
            if request.method == "GET":
                answer = endpoint.handler(call, **ids)
            else:
                with self._books.transaction():
                    answer = endpoint.handler(call, **ids)
        except Refused as refusal:
            problem = validation([{"ValidationErrors": [{"Message": text} for text in refusal.messages]}])
            return respond(problem.body, _accept(), problem.status)
        except ApiError as problem:
            return respond(problem.body, _accept(), problem.status)
        if isinstance(answer, Response):
            return answer
        content: dict[str, Any] = answer
        if not endpoint.bare:
            config = self._books.config
            content = envelope(config.app_name, int(self._books.clock.time() * 1000), content)
        return respond(content, _accept())


def _accept() -> str:
    return request.headers.get("Accept", "")
