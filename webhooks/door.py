"""POST /webhooks/<sender>: raw bytes in, a status out. Nothing is parsed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import structlog
from flask import Blueprint, Flask, Response, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException

from connector.web.context import wiring
from webhooks import verify
from webhooks.inbox import Inbox, NotKept

blueprint = Blueprint("webhooks", __name__)
LARGEST_BODY = 1024 * 1024
_INBOXES = "duebridge-inboxes"

_log = structlog.get_logger()


@blueprint.record_once
def open_inboxes(state: BlueprintSetupState) -> None:
    """An inbox a sender, one for all threads of this process."""
    with cast(Flask, state.app).app_context():
        parts = wiring()
    state.app.extensions[_INBOXES] = {name: Inbox(parts, name) for name in parts.senders}


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
    if not verify.genuine(parts, sender, dict(request.headers.items()), raw):
        return Response(status=scheme.rejected)
    try:
        cast(Mapping[str, Inbox], current_app.extensions[_INBOXES])[sender].keep(raw)
    except NotKept as failure:
        # The sender is told, and sends the same again.
        _log.error("webhook_not_stored", sender=sender, fault=str(failure))
        return Response(status=scheme.overloaded)
    return Response(status=scheme.accepted)


@blueprint.errorhandler(HTTPException)
def refused(error: HTTPException) -> Response:
    """A body too large, or broken off: a status for a machine, no page."""
    return Response(status=error.code)
