"""POST /webhooks/<sender>: raw bytes in, a status out. Nothing is parsed here."""

from __future__ import annotations

import structlog
from flask import Blueprint, Response, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from connector.web.context import wiring
from webhooks import inbox, verify

blueprint = Blueprint("webhooks", __name__)
LARGEST_BODY = 1024 * 1024

_log = structlog.get_logger()


@blueprint.post("/webhooks/<sender>")
def receive(sender: str) -> Response:
    """Verify, store once, answer. The bodies of answers are empty and set no cookie."""
    parts = wiring()
    scheme = verify.scheme_of(parts, sender)
    if scheme is None:
        return Response(status=404)
    # A body sent in chunks does not say its length: the limit holds while it is read, too.
    request.max_content_length = LARGEST_BODY
    raw = request.get_data(cache=False, parse_form_data=False)
    if not verify.genuine(parts, sender, dict(request.headers), raw):
        return Response(status=scheme.rejected)
    try:
        inbox.receive(parts, sender, raw)
    except SQLAlchemyError as failure:
        # Nothing was kept, and the sender is told so: it sends the same again.
        _log.error("webhook_not_stored", sender=sender, fault=type(failure).__name__)
        return Response(status=scheme.overloaded)
    return Response(status=scheme.accepted)


@blueprint.errorhandler(HTTPException)
def refused(error: HTTPException) -> Response:
    """A body too large, or broken off: a status for a machine, no page."""
    return Response(status=error.code)
