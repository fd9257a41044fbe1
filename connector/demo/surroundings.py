"""Where the parts of a demonstration live: addresses, secrets and files."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CREDENTIALS: Mapping[str, str] = {
    "DUEBRIDGE_QUICKBOOKS_CLIENT_ID": "duebridge-demo",
    "DUEBRIDGE_QUICKBOOKS_CLIENT_SECRET": "demo-secret-quickbooks",
    "DUEBRIDGE_QUICKBOOKS_WEBHOOK_SECRET": "demo-verifier-quickbooks",
    "DUEBRIDGE_XERO_CLIENT_ID": "duebridge-demo",
    "DUEBRIDGE_XERO_CLIENT_SECRET": "demo-secret-xero",
    "DUEBRIDGE_XERO_WEBHOOK_SECRET": "demo-webhook-key-xero",
    "DUEBRIDGE_SANDBOX_API_KEY": "demo-key-sandbox",
    "DUEBRIDGE_SANDBOX_WEBHOOK_SECRET": "demo-webhook-sandbox",
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """One demonstration: the product's port, the upstreams' and the mailbox's, and the folder that keeps everything."""

    directory: Path
    port: int
    upstream_port: int
    mail_port: int

    @property
    def public_url(self) -> str:
        """Where a browser finds the product."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def upstream_url(self) -> str:
        """Where a browser finds the little upstreams."""
        return f"http://127.0.0.1:{self.upstream_port}"

    def environment(self) -> dict[str, str]:
        """The environment of the product's processes; its keys are made once and kept beside the database."""
        upstream = self.upstream_url
        return {
            **os.environ,
            **CREDENTIALS,
            "DUEBRIDGE_ENV": "development",
            "DUEBRIDGE_PUBLIC_URL": self.public_url,
            "DUEBRIDGE_DATABASE_URL": f"sqlite:///{self.directory / 'duebridge.db'}",
            "DUEBRIDGE_SECRET_KEY": self._kept("secret-key", secrets.token_urlsafe(48)),
            "DUEBRIDGE_ENCRYPTION_KEYS": self._kept(
                "encryption-keys", f"first:{base64.b64encode(secrets.token_bytes(32)).decode()}"
            ),
            "DUEBRIDGE_SMTP_HOST": "127.0.0.1",
            "DUEBRIDGE_SMTP_PORT": str(self.mail_port),
            "DUEBRIDGE_MAIL_FROM": "billing@duebridge.example",
            "DUEBRIDGE_QUICKBOOKS_AUTHORIZE_URL": f"{upstream}/quickbooks/connect/oauth2",
            "DUEBRIDGE_QUICKBOOKS_TOKEN_URL": f"{upstream}/quickbooks/oauth2/v1/tokens/bearer",
            "DUEBRIDGE_QUICKBOOKS_REVOKE_URL": f"{upstream}/quickbooks/v2/oauth2/tokens/revoke",
            "DUEBRIDGE_QUICKBOOKS_API_URL": f"{upstream}/quickbooks",
            "DUEBRIDGE_XERO_AUTHORIZE_URL": f"{upstream}/xero/identity/connect/authorize",
            "DUEBRIDGE_XERO_TOKEN_URL": f"{upstream}/xero/connect/token",
            "DUEBRIDGE_XERO_REVOKE_URL": f"{upstream}/xero/connect/revocation",
            "DUEBRIDGE_XERO_CONNECTIONS_URL": f"{upstream}/xero/connections",
            "DUEBRIDGE_XERO_API_URL": f"{upstream}/xero/api.xro/2.0",
            "DUEBRIDGE_SANDBOX_API_URL": f"{upstream}/sandbox",
            # The tokens of the little upstreams travel over loopback without TLS.
            "OAUTHLIB_INSECURE_TRANSPORT": "1",
        }

    def webhook_targets(self) -> dict[str, str]:
        """Where each little upstream posts its webhooks."""
        return {name: f"{self.public_url}/webhooks/{name}" for name in ("quickbooks", "xero", "sandbox")}

    def _kept(self, name: str, fresh: str) -> str:
        path = self.directory / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(fresh)
        return path.read_text().strip()
