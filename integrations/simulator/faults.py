"""Fault switches: what a test or a person arms, and the WSGI middleware that lets it happen."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from werkzeug.wrappers import Response

from integrations.simulator.clock import Clock
from integrations.simulator.journal import Journal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

KINDS = (
    "drop_before_commit",
    "drop_after_commit",
    "error_before_commit",
    "error_after_commit",
    "html_503",
    "truncated_json",
    "slow",
    "throttle",
    "duplicate_webhooks",
    "reorder_webhooks",
    "hold_webhooks",
    "expire_tokens",
    "revoke_tokens",
)

_ERROR_500 = b'{"error":"simulated internal error"}'
_PAGE_503 = b"<!doctype html><html><head><title>503</title></head><body><h1>Service Unavailable</h1></body></html>"


@dataclass
class Rule:
    """One armed fault: fires `times` more times for calls whose operation matches."""

    kind: str
    operation: str
    times: int
    options: dict[str, Any]

    def matches(self, kind: str, operation: str) -> bool:
        """`*` matches everything, `payment.*` every operation of payments."""
        if kind != self.kind:
            return False
        wanted = self.operation
        return wanted in ("*", operation) or (wanted.endswith(".*") and operation.startswith(wanted[:-1]))


class Faults:
    """A thread-safe queue of rules."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule] = []

    def arm(self, kind: str, operation: str = "*", times: int = 1, **options: Any) -> None:
        """Let a fault happen `times` times; ValueError for a kind that does not exist."""
        if kind not in KINDS:
            raise ValueError(f"no fault called {kind!r}; there are {', '.join(KINDS)}")
        if times < 1:
            raise ValueError("times must be at least 1")
        with self._lock:
            self._rules.append(Rule(kind, operation, times, options))

    def take(self, kind: str, operation: str = "*") -> Rule | None:
        """The first matching rule, used up by one; None when nothing is armed."""
        with self._lock:
            for rule in self._rules:
                if rule.matches(kind, operation):
                    rule.times -= 1
                    if rule.times == 0:
                        self._rules.remove(rule)
                    return rule
        return None

    def armed(self, kind: str, operation: str = "*") -> bool:
        """Whether a matching rule stands, without using it up."""
        with self._lock:
            return any(rule.matches(kind, operation) for rule in self._rules)

    def clear(self, kind: str | None = None) -> None:
        """Disarm every rule, or every rule of one kind."""
        with self._lock:
            self._rules = [rule for rule in self._rules if kind is not None and rule.kind != kind]

    def rules(self) -> list[dict[str, Any]]:
        """What is armed, for the control page."""
        with self._lock:
            return [
                {"kind": rule.kind, "operation": rule.operation, "times": rule.times, **rule.options}
                for rule in self._rules
            ]


@dataclass(frozen=True)
class Call:
    """One HTTP request as the middleware sees it; `path` is without the prefix the simulator is mounted under."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Named:
    """What a simulator says a call is: the operation's name, the vendor's idempotency key, the tenant."""

    operation: str
    key: str = ""
    tenant: str = ""


class FaultMiddleware:
    """Applies faults to calls by operation name and journals every call.

    `name` returns None for calls outside the vendor's protocol (pages, controls, static files): these never fail and
    are not journalled. The named operation is handed on as `environ["simulator.operation"]`. `throttle`,
    `expire_tokens` and `revoke_tokens` look different with every vendor: the simulators take those rules themselves.
    """

    def __init__(
        self,
        app: WSGIApplication,
        faults: Faults,
        journal: Journal,
        clock: Clock,
        name: Callable[[Call], Named | None],
    ) -> None:
        self._app = app
        self._faults = faults
        self._journal = journal
        self._clock = clock
        self._name = name

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        named = self._name(_read(environ))
        if named is None:
            return self._app(environ, start_response)
        environ["simulator.operation"] = named.operation
        response = self._answer(environ, named)
        self._journal.request(
            time=self._clock.now().isoformat(),
            operation=named.operation,
            status=None if response is None else response.status_code,
            key=named.key,
            tenant=named.tenant,
        )
        if response is None:
            _hang_up(environ)
        return response(environ, start_response)

    def _answer(self, environ: WSGIEnvironment, named: Named) -> Response | None:
        """The answer to give, or None where the connection is to be dropped."""
        faults, operation = self._faults, named.operation
        if slow := faults.take("slow", operation):
            time.sleep(float(slow.options.get("seconds", 1)))
        if faults.take("drop_before_commit", operation):
            return None
        if faults.take("error_before_commit", operation):
            return Response(_ERROR_500, 500, content_type="application/json")
        if faults.take("html_503", operation):
            return Response(_PAGE_503, 503, content_type="text/html")
        response = Response.from_app(self._app, environ, buffered=True)
        if faults.take("drop_after_commit", operation):
            return None
        if faults.take("error_after_commit", operation):
            return Response(_ERROR_500, 500, content_type="application/json")
        if faults.take("truncated_json", operation):
            body = response.get_data()
            response.set_data(body[: len(body) // 2])
        return response


def _read(environ: WSGIEnvironment) -> Call:
    """Read the request once and leave it readable for the application behind."""
    length = environ.get("CONTENT_LENGTH") or ""
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        body = stream.read()
    else:
        body = stream.read(int(length)) if length.isdigit() else b""
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    return Call(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING", ""), headers, body)


def _hang_up(environ: WSGIEnvironment) -> NoReturn:
    """Close the connection so that the client gets no answer at all; the server then forgets the request."""
    connection = environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError("the simulator was told to drop this answer")
