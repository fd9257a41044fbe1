"""POST /webhooks/<sender>/<key>: raw bytes in, a status out. Nothing is parsed here."""

from __future__ import annotations

from flask import Blueprint, Response, request

from connector.web.context import wiring
from webhooks import inbox, verify

blueprint = Blueprint("webhooks", __name__)
LARGEST_BODY = 1024 * 1024


@blueprint.post("/webhooks/<sender>")
def receive(sender: str) -> Response:
    """Verify, store once, answer. The bodies of answers are empty and set no cookie."""
    parts = wiring()
    scheme = verify.scheme_of(parts, sender)
    if scheme is None:
        return Response(status=404)
    if (request.content_length or 0) > LARGEST_BODY:
        return Response(status=413)
    raw = request.get_data(cache=False, parse_form_data=False)
    if not verify.genuine(parts, sender, dict(request.headers), raw):
        return Response(status=scheme.rejected)
    inbox.receive(parts, sender, raw)
    return Response(status=scheme.accepted)
