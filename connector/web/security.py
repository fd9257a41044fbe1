"""Headers that every answer carries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Flask

from connector.wiring import Wiring

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Chromium applies form-action to where a form's POST is redirected as well, so the hosts we send people to are named.
_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
)
_ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Robots-Tag", "noindex, nofollow"),
)
_TWO_YEARS = "max-age=63072000; includeSubDomains"


def destinations(wiring: Wiring) -> list[str]:
    """The origins a form may lead to: the systems' consent screens and the gateways' payment pages."""
    return sorted({origin for address in _addresses(wiring) if (origin := _origin(address))})


def _addresses(wiring: Wiring) -> Iterator[str]:
    for system in wiring.systems.values():
        for name, address in system.manifest.endpoints.items():
            if name == "authorize":
                yield _in_force(wiring, system.manifest.name, name, address)
    for gateway in wiring.gateways.values():
        for name, address in gateway.manifest.endpoints.items():
            yield _in_force(wiring, gateway.manifest.name, name, address)


def _in_force(wiring: Wiring, adapter: str, endpoint: str, declared: str) -> str:
    return wiring.settings.values.get(f"{adapter.upper()}_{endpoint.upper()}_URL", declared)


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") and parts.netloc else ""


class _Protected:
    """The application, with the headers put on whatever it answers."""

    def __init__(self, application: WSGIApplication, headers: list[tuple[str, str]]) -> None:
        self._application = application
        self._headers = [(name.lower(), (name, value)) for name, value in headers]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *failure: Any) -> Any:
            present = {name.lower() for name, _ in headers}
            headers.extend(header for name, header in self._headers if name not in present)
            return start_response(status, headers, *failure)

        return self._application(environ, start)


def protect(app: Flask, wiring: Wiring) -> None:
    """Put the headers on every answer. Pages are never stored by anybody unless their view says otherwise."""
    policy = "; ".join((*_POLICY, f"form-action 'self' {' '.join(destinations(wiring))}".rstrip()))
    headers = [("Content-Security-Policy", policy), *_ALWAYS, ("Cache-Control", "no-store")]
    if wiring.settings.secure_cookies:
        headers.append(("Strict-Transport-Security", _TWO_YEARS))
    app.wsgi_app = _Protected(app.wsgi_app, headers)  # type: ignore[method-assign]
