"""Static files under addresses that change with their content, so that browsers may keep them for good."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flask import Flask, Response, request

_FOR_GOOD = "public, max-age=31536000, immutable"
_ROOTS: dict[str, Path] = {}
_KNOWN: dict[str, str] = {}


def serve_static(wing: str, package_file: str) -> None:
    """Make the files in the wing's static/<wing>/ folder known."""
    _ROOTS[wing] = Path(package_file).parent / "static" / wing


def asset(name: str) -> str:
    """The address of a static file, e.g. asset('web/duebridge.css'). Raises FileNotFoundError."""
    found = _KNOWN.get(name)
    if found is None:
        wing, _, rest = name.partition("/")
        digest = hashlib.sha256((_ROOTS[wing] / rest).read_bytes()).hexdigest()[:12]
        found = _KNOWN[name] = f"/static/{name}?v={digest}"
    return found


def keep_static(app: Flask) -> None:
    """Let browsers keep static files that were asked for with their version."""

    @app.after_request
    def cache(response: Response) -> Response:
        if request.path.startswith("/static/") and response.status_code == 200:
            response.headers["Cache-Control"] = _FOR_GOOD if "v" in request.args else "public, max-age=300"
        return response
