"""Everything about the simulated QuickBooks that a test or a person may want otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal
from urllib.parse import urlsplit

WebhookStyle = Literal["cloudevents", "legacy"]

ACCOUNTING_SCOPE = "com.intuit.quickbooks.accounting"
SCOPES = frozenset({ACCOUNTING_SCOPE, "openid", "profile", "email", "phone", "address"})


@dataclass(frozen=True)
class CompanyFile:
    """One company a person can choose on the consent page; `zone` gives its timestamps their offset."""

    realm: str
    name: str
    invoices: int
    zone: str = "America/Los_Angeles"


@dataclass(frozen=True)
class QuickBooksSettings:
    """Defaults are the vendor's published figures; lifetimes, limits and delays are in seconds of the clock.

    `refresh_rotates_after`: age at which a refresh answers with a new token and the old one dies (0: every time).
    `reuse_revokes`: a refresh token used after its death takes the whole connection with it.
    `replay_faults`: a repeated requestid replays refusals too, as the vendor's wording says, not only successes.
    `redirect_uris`: the registered addresses; none means any loopback address, as a developer's own app registers.
    `own_payments`: the company takes payments through Intuit, so its invoices have an InvoiceLink when asked for it.
    `closing_date`: books up to this day are closed to the API.
    """

    client_id: str = "duebridge-demo"
    client_secret: str = "demo-secret-quickbooks"  # noqa: S105 - the simulator's published demo value
    redirect_uris: tuple[str, ...] = ()
    verifier_token: str = "demo-verifier-quickbooks"  # noqa: S105 - the simulator's published demo value
    companies: tuple[CompanyFile, ...] = field(
        default=(
            CompanyFile("9341453000000101", "Northwind IT & Design", 300),
            CompanyFile("9341453000000202", "Lakeside Studio", 40, "America/Denver"),
        )
    )
    code_seconds: int = 300
    access_seconds: int = 3600
    refresh_seconds: int = 8_640_000
    refresh_hard_seconds: int = 157_680_000
    refresh_rotates_after: int = 86_400
    reuse_revokes: bool = False
    calls_per_second: int = 10
    calls_per_minute: int = 500
    batches_per_minute: int = 40
    replay_seconds: int = 86_400
    replay_faults: bool = True
    closing_date: date | None = None
    custom_transaction_numbers: bool = False
    own_payments: bool = False
    webhook_style: WebhookStyle = "cloudevents"
    webhook_gather_seconds: float = 0.05
    webhook_answer_limit: float = 3.0

    def takes_redirect(self, uri: str) -> bool:
        """Whether an answer may be sent back to an address."""
        if self.redirect_uris:
            return uri in self.redirect_uris
        parts = urlsplit(uri)
        return parts.scheme in ("http", "https") and parts.hostname in ("127.0.0.1", "localhost", "::1")
