"""What each request is called in faults and in the journal."""

from __future__ import annotations

from urllib.parse import parse_qs

from integrations.simulator.faults import Call, Named
from integrations.systems.xero.simulator.endpoints import find
from integrations.systems.xero.simulator.gate import API_ROOT

_GRANTS = {"authorization_code": "token.exchange", "refresh_token": "token.refresh"}


def name_call(call: Call) -> Named | None:
    """None for pages, controls and static files, which are no part of the vendor's protocol."""
    if call.path.startswith(API_ROOT):
        found = find(call.method, call.path.removeprefix(API_ROOT))
        operation = "unknown" if isinstance(found, int) else found[0].operation
        return Named(operation, call.headers.get("idempotency-key", ""), call.headers.get("xero-tenant-id", ""))
    if call.path == "/connect/token":
        grant = parse_qs(call.body.decode("ascii", "replace")).get("grant_type", [""])[0]
        return Named(_GRANTS.get(grant, "token.unknown"))
    if call.path == "/connect/revocation":
        return Named("token.revoke")
    if call.path.lower().startswith("/connections"):
        return Named("connection.delete" if call.method == "DELETE" else "connection.list")
    return None
