"""What an adapter declares about itself as data: shown to merchants, written to manifest.json, obeyed by us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Auth = Literal["oauth_code", "oauth_client_credentials", "api_key", "none"]
Idempotency = Literal["native_key", "unique_field", "natural", "search", "none"]
LinkMethod = Literal["field", "custom_field", "template", "portal_override", "snippet", "none"]
Reversal = Literal["delete", "void", "null_out", "none"]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `limit` calls in any `period` seconds, `in_flight` open at a time (0: any).

    `rest`: a place in flight is taken anew only so many seconds after its call had arrived, so that no more than
    `in_flight` calls arrive within them, however long some are held up on their way.
    `burst` calls may go at once, the others at an even pace; 0: the limit is a budget, spent as fast as it is needed.
    `kept` calls are left to what people wait for: background work stops before (None: a fifth of the limit).
    """

    limit: int
    period: float
    burst: int
    in_flight: int = 0
    rest: float = 0.0
    scope: Literal["connection", "app"] = "connection"
    kept: int | None = None

    @property
    def kept_calls(self) -> int:
        """How many calls background work leaves to others."""
        return self.limit // 5 if self.kept is None else min(self.kept, self.limit - 1)


@dataclass(frozen=True, slots=True)
class LimitInForce:
    """A rate limit as it is counted: `counted_over` is the period in seconds, stretched to stay below the vendor's."""

    limit: RateLimit
    counted_over: float


@dataclass(frozen=True, slots=True)
class WebhookScheme:
    """How the sender's webhooks are answered. `answer_within` in seconds; bodies of answers are always empty.

    `lasts`: after so many seconds each connection's subscription runs out and must be renewed; 0: never.
    """

    signature_header: str
    answer_within: float
    accepted: int = 200
    rejected: int = 401
    overloaded: int = 503
    coalesce: bool = True
    lasts: float = 0.0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a system can do, as the merchant is told and as journeys ask before they act.

    `idempotency_keeps_errors`: a key answers with its first answer even when that was a refusal or a fault, so that
    sending it again is in vain. `lookup_lag`: seconds until a recorded payment can be found by its key.
    `delta_overlap`: a delta reads again what changed in so many seconds before the last reading began, since systems
    stamp a change before they commit it; what comes later still is found by the slow full sweep.
    """

    delta: Literal["datetime", "date", "created_only", "none"] = "datetime"
    deletes: Literal["flag", "void_status", "absent", "unknown"] = "flag"
    payment: Literal["allocating", "mark_paid", "journal", "bank_line", "none"] = "allocating"
    multi_invoice: bool = True
    partial: bool = True
    deposit_account_required: bool = False
    idempotency: Idempotency = "search"
    idempotency_seconds: float = 0.0
    idempotency_keeps_errors: bool = False
    lookup_lag: float = 0.0
    delta_overlap: float = 300.0
    reversal: Reversal = "delete"
    link: LinkMethod = "none"
    link_by_api: bool = False
    link_limit: int = 0
    pdf: bool = False
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """One adapter's declaration. `endpoints` are the vendor's addresses by name; each may be overridden by
    DUEBRIDGE_<NAME>_<ENDPOINT>_URL. Lifetimes in seconds. `setup` are sentences on the vendor's developer portal."""

    name: str
    title: str
    role: Literal["system", "gateway"]
    auth: Auth
    endpoints: Mapping[str, str]
    capabilities: Capabilities = field(default_factory=Capabilities)
    scopes: tuple[str, ...] = ()
    pkce: bool = False
    webhooks: WebhookScheme | None = None
    limits: tuple[RateLimit, ...] = ()
    page_size: int = 1000
    pages_in_flight: int = 1
    call_timeout: tuple[float, float] = (5.0, 30.0)
    access_lifetime: int = 3600
    refresh_lifetime: int = 8_640_000
    sandbox_only: bool = False
    secrets: tuple[str, ...] = ("client_id", "client_secret")
    options: Mapping[str, str] = field(default_factory=dict)
    setup: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """An adapter's settings from the environment: endpoints in force, app credentials, webhook secrets, options."""

    endpoints: Mapping[str, str]
    credentials: Mapping[str, str]
    webhook_secrets: tuple[str, ...]
    options: Mapping[str, str]

    def __repr__(self) -> str:
        return f"AdapterConfig(endpoints={dict(self.endpoints)!r}, credentials=…)"
