"""Headers that every answer carries."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from flask import Flask, Response

from connector.wiring import Wiring

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
    ("X-Frame-Options", "DENY"),
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


def protect(app: Flask, wiring: Wiring) -> None:
    """Put the headers on every answer. Pages are never stored by anybody unless their view says otherwise."""
    policy = "; ".join((*_POLICY, f"form-action 'self' {' '.join(destinations(wiring))}".rstrip()))
    headers = [("Content-Security-Policy", policy), *_ALWAYS]
    if wiring.settings.secure_cookies:
        headers.append(("Strict-Transport-Security", _TWO_YEARS))

    @app.after_request
    def add_headers(response: Response) -> Response:
        present = response.headers
        for name, value in headers:
            if name not in present:
                present.add(name, value)
        if "Cache-Control" not in present:
            present.add("Cache-Control", "no-store")
        return response
