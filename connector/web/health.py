"""Two addresses for whoever watches over the installation."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import structlog
from flask import Blueprint, Flask, Response, current_app, jsonify

from connector.db import readiness
from connector.web.context import wiring

blueprint = Blueprint("health", __name__)
_WORKER = "duebridge-worker"
_log = structlog.get_logger()


def watch_worker(app: Flask, trouble: Callable[[], str]) -> None:
    """This process is a worker, too: it is ready only while `trouble` names none."""
    app.extensions[_WORKER] = trouble


@blueprint.get("/healthz")
def alive() -> Response:
    """The process answers."""
    return jsonify(ok=True)


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    """The process can do its work; 503 otherwise. Each check is 'ok' or one word why not, without secrets."""
    checks = readiness.checks(wiring().database)
    if _WORKER in current_app.extensions and checks["database"] == "ok":
        checks["worker"] = cast(Callable[[], str], current_app.extensions[_WORKER])() or "ok"
    good = all(word == "ok" for word in checks.values())
    if not good:
        _log.error("not_ready", **checks)
    return jsonify(ok=good, checks=checks), 200 if good else 503
