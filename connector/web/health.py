"""Two addresses for whoever watches over the installation."""

from __future__ import annotations

import sqlalchemy as sa
import structlog
from flask import Blueprint, Response, jsonify

from connector.web.context import wiring

blueprint = Blueprint("health", __name__)
_PROBE = sa.text("SELECT 1")
_log = structlog.get_logger()


@blueprint.get("/healthz")
def alive() -> Response:
    """The process answers."""
    return jsonify(ok=True)


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    """The process can serve: its database answers. 503 otherwise, without saying why to the outside."""
    try:
        with wiring().database.engine.connect().execution_options(read_only=True) as connection:
            connection.execute(_PROBE)
    except sa.exc.SQLAlchemyError as fault:
        _log.error("not_ready", fault=type(fault).__name__)
        return jsonify(ok=False, database=False), 503
    return jsonify(ok=True, database=True), 200
