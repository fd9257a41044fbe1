"""One JSON object a line on standard error. No token, code, password, card number or address of a link gets through."""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import time
from collections.abc import Mapping, MutableMapping
from typing import Any

import msgspec
import structlog
from flask import Flask, Response, g, request
from flask.globals import request_ctx

# Addresses that open something for whoever has them: links, receipts, install keys, sign-in challenges.
_SECRET_PATH = re.compile(r"(/(?:i|x|r|portal/sign-in)/)[A-Za-z0-9_-]{6,}")
_SECRET_PAIR = re.compile(
    r"(?i)\b(code|token|access_token|refresh_token|id_token|password|secret|client_secret|code_verifier|state|form_key)"
    r"(\"?\s*[=:]\s*\"?)([^\s&\",}]+)"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_LONG_NUMBER = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")
_SECRET_KEYS = frozenset(
    {
        "authorization", "cookie", "set_cookie", "password", "code", "token", "tokens", "access_token",
        "refresh_token", "secret", "client_secret", "key", "form_key", "body", "sealed", "verifier",
    }
)  # fmt: skip
# Made by ourselves a moment before, of nothing that came from outside; a route is a template, not an address.
_OURS = frozenset({"timestamp", "level", "correlation", "method", "route", "status", "ms"})
_SHORTEST_SECRET = 9
# As long as work rows keep. A UUID with its dashes is longer, and is written without them.
_CORRELATION = re.compile(r"[A-Za-z0-9-]{8,32}")
_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger()


def mask(text: str) -> str:
    """Text without what would open something."""
    text = _SECRET_PATH.sub(r"\1…", text)
    text = _SECRET_PAIR.sub(r"\1\2…", text)
    text = _BEARER.sub(r"\1 …", text)
    return _LONG_NUMBER.sub(_mask_card, text)


def _mask_card(found: re.Match[str]) -> str:
    digits = [int(letter) for letter in found[0] if letter.isdigit()]
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2]]
    return "…" if (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 else found[0]


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) < _SHORTEST_SECRET else mask(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping):
        return {str(key): "…" if str(key).lower() in _SECRET_KEYS else _masked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | float) else mask(repr(value))


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leaves plain values only, none of which opens something."""
    for key, value in event.items():
        if key not in _OURS:
            event[key] = "…" if key in _SECRET_KEYS and value else _masked(value)
    return event


def render(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    """The last processor: what `redact` left, as a line of ASCII."""
    try:
        line = _encode(event)
        if line.isascii():
            return line.decode("ascii")
    except (ValueError, OverflowError):
        # Half of a surrogate pair, or a whole number of more than 64 bits.
        pass
    return json.dumps(event)


def configure(level: str = "info") -> None:
    """Send structlog's and the standard library's lines through the same redaction. Call once a process."""
    number = getattr(logging, level.upper(), logging.INFO)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, redact, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact,
                render,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    # It writes whole request lines, links included; ours replaces it.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)


def log_requests(app: Flask) -> None:
    """One line a request: method, route (never the address itself), status, milliseconds, correlation id."""

    @app.before_request
    def begin() -> None:
        given = request.headers.get("X-Request-ID", "")
        given = given.replace("-", "") if len(given) == 36 else given
        g.correlation = correlation = given if _CORRELATION.fullmatch(given) else secrets.token_hex(16)
        g.began = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(correlation=correlation)

    @app.after_request
    def end(response: Response) -> Response:
        began, asked = g.get("began"), request_ctx.request
        if began is not None and asked.endpoint != "health.alive":
            _log.info(
                "request",
                method=asked.method,
                route=asked.url_rule.rule if asked.url_rule else "",
                status=response.status_code,
                ms=round((time.perf_counter() - began) * 1000, 1),
            )
        response.headers["X-Request-ID"] = g.get("correlation", "")
        return response
