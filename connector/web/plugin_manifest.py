"""manifest.json: what the plug-in offers the marketplaces, made from the adapters' own manifests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, jsonify

from connector import __version__
from connector.manifest import Manifest


def document(manifests: Sequence[Manifest]) -> dict[str, Any]:
    """The whole document. Addresses are paths below the installation's public address."""
    by_role: dict[str, list[dict[str, Any]]] = {"system": [], "gateway": []}
    for manifest in sorted(manifests, key=lambda each: each.name):
        by_role[manifest.role].append(_adapter(manifest))
    return {
        "schema_version": 1,
        "name": "duebridge",
        "title": "Duebridge",
        "version": __version__,
        "description": "Billing links on the invoices your software already sends, and payments written back.",
        "launch_path": "/",
        "manifest_path": "/manifest.json",
        "systems": by_role["system"],
        "gateways": by_role["gateway"],
    }


def serve(manifests: Sequence[Manifest]) -> Blueprint:
    """The document at /manifest.json."""
    blueprint = Blueprint("plugin_manifest", __name__)

    @blueprint.get("/manifest.json")
    def plugin_manifest() -> Response:
        return jsonify(document(manifests))

    return blueprint


def _adapter(manifest: Manifest) -> dict[str, Any]:
    capabilities = manifest.capabilities
    found: dict[str, Any] = {
        "name": manifest.name,
        "title": manifest.title,
        "auth": manifest.auth,
        "pkce": manifest.pkce,
        "scopes": list(manifest.scopes),
        "settings": [f"DUEBRIDGE_{manifest.name}_{secret}".upper() for secret in manifest.secrets],
        "webhook_path": f"/webhooks/{manifest.name}" if manifest.webhooks else None,
    }
    if manifest.role == "system":
        found |= {
            "redirect_path": f"/connections/{manifest.name}/callback",
            "connect_path": "/connections",
            "disconnect_path": f"/connections/{manifest.name}/ended",
            "capabilities": {
                "reads": list(capabilities.reads),
                "link": capabilities.link,
                "link_by_api": capabilities.link_by_api,
                "payment": capabilities.payment,
                "partial_payment": capabilities.partial,
                "one_payment_for_many_invoices": capabilities.multi_invoice,
                "reversal": capabilities.reversal,
                "idempotency": capabilities.idempotency,
                "pdf": capabilities.pdf,
            },
        }
    return found
