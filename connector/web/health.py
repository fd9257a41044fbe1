"""Two addresses for whoever watches over the installation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import cast

import structlog
from flask import Blueprint, Flask, Response, current_app, jsonify

from connector.db import readiness
from connector.web.context import wiring
from connector.wiring import Wiring

blueprint = Blueprint("health", __name__)
_WORKER = "duebridge-worker"
_LOOK = "duebridge-look"
# Watchers give up after ten seconds and more; a database that has not answered by then is not there for others either.
PATIENCE_SECONDS = 4.0
_log = structlog.get_logger()


class Look:
    """Looks at what may never answer, one look at a time: who asks while one is under way shares what it finds."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._under_way: Future[dict[str, str]] | None = None

    def within(self, seconds: float, look: Callable[[], dict[str, str]]) -> dict[str, str] | None:
        """What was found; None when nothing was in time, and the look goes on. Raises what the look raised."""
        with self._guard:
            found = self._under_way
            if found is None or found.done():
                found = self._under_way = Future()
                # A daemon, so that a process can end while its database is silent.
                threading.Thread(target=_find, args=(found, look), name="readiness", daemon=True).start()
        try:
            return found.result(seconds)
        except TimeoutError:
            return None


def _find(found: Future[dict[str, str]], look: Callable[[], dict[str, str]]) -> None:
    try:
        found.set_result(look())
    except BaseException as failure:
        found.set_exception(failure)


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
    parts, extensions = wiring(), current_app.extensions
    worker = cast(Callable[[], str] | None, extensions.get(_WORKER))
    look = cast(Look, extensions.setdefault(_LOOK, Look()))
    checks = look.within(PATIENCE_SECONDS, lambda: _checks(parts, worker)) or {"database": "silent"}
    good = all(word == "ok" for word in checks.values())
    if not good:
        _log.error("not_ready", **checks)
    return jsonify(ok=good, checks=checks), 200 if good else 503


def _checks(parts: Wiring, worker: Callable[[], str] | None) -> dict[str, str]:
    checks = readiness.checks(parts.database)
    if worker is not None and checks["database"] == "ok":
        checks["worker"] = worker() or "ok"
    return checks
