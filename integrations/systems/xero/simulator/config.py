"""What a Xero app is registered with, and the lifetimes and limits it lives under. Tests shorten them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class XeroConfig:
    """The app's registration and the vendor's figures; every time is in seconds.

    `redirect_uris` lists the registered addresses; when empty, any loopback address is taken, as a developer's own app
    would register. `new_app` refuses the broad scopes as Xero does for apps made since 2 March 2026. `partner` stands
    for a signed payment-service partner: only then do the `paymentservices` scope and its endpoints open.
    """

    client_id: str = "duebridge-demo"
    client_secret: str = "demo-secret-xero"  # noqa: S105 - the demo's well-known secret
    app_name: str = "Duebridge"
    redirect_uris: tuple[str, ...] = ()
    new_app: bool = True
    partner: bool = False
    user_email: str = "bookkeeper@northwind.example"
    code_lifetime: int = 300
    access_lifetime: int = 1_800
    refresh_lifetime: int = 60 * 86_400
    refresh_grace: int = 1_800
    minute_limit: int = 60
    day_limit: int = 5_000
    app_minute_limit: int = 10_000
    in_flight_limit: int = 5
    idempotency_lifetime: int = 360
    unpaged_limit: int = 100_000
    webhook_key: str = "demo-webhook-key-xero"
    webhook_url: str = ""
    webhook_retries: tuple[float, ...] = (0.0, *(900.0,) * 96)
    webhook_answer_limit: float = 5.0

    def accepts_redirect(self, uri: str) -> bool:
        """Whether the browser may be sent back to this address."""
        if self.redirect_uris:
            return uri in self.redirect_uris
        parts = urlsplit(uri)
        return parts.scheme in ("http", "https") and parts.hostname in ("127.0.0.1", "localhost", "::1")
