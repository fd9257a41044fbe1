"""Everything a journey needs, in one frozen object: built by the roof, and by tests with a frozen clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime

from connector.config import Settings
from connector.contract import Access, BillingSystem, Limiter, PaymentGateway, Sender, TokenStore
from connector.db.rows import ConnectionRow
from connector.db.unit_of_work import Database
from connector.domain.payments import CHECKOUT_SECONDS
from connector.errors import NotFound
from connector.mail import Mailer
from connector.manifest import LimitInForce, Manifest

# Gives the token supplier of one connection: (system, connection) -> token(refused) -> access token.
TokenSupply = Callable[[BillingSystem, str], Callable[[str | None], str]]


_background: ContextVar[bool] = ContextVar("background", default=False)


@dataclass(frozen=True, slots=True)
class Timing:
    """How long is waited, in seconds; only tests that kill real processes shorten it.

    `in_flight`: a call sent by an attempt that died may still be on its way, so this is longer than any call may take.
    `checkout`: what a customer has to finish at the gateway. `between_pages`: of the slow full sweep, which is not to
    be in anybody's way; a hundred pages are 100,000 invoices in about an hour.
    """

    in_flight: float = 35.0
    checkout: float = float(CHECKOUT_SECONDS)
    between_pages: float = 30.0


@dataclass(frozen=True)
class Wiring:
    """The product's parts. `token_supply` reads and rotates tokens under a lease; `clock` gives aware UTC datetimes;
    `not_configured` are the adapters whose app credentials this installation lacks. `limits` are the rate limits each
    adapter obeys; `engine_rows` counts the job engine's own rows by their state.
    """

    settings: Settings
    database: Database
    systems: Mapping[str, BillingSystem]
    gateways: Mapping[str, PaymentGateway]
    senders: Mapping[str, Sender]
    webhook_secrets: Mapping[str, tuple[str, ...]]
    mail: Mailer
    limiter: Limiter
    token_store: TokenStore
    token_supply: TokenSupply
    clock: Callable[[], datetime]
    not_configured: tuple[Manifest, ...] = ()
    timing: Timing = Timing()
    limits: Mapping[str, Sequence[LimitInForce]] = field(default_factory=dict)
    engine_rows: Callable[[], Mapping[str, int]] = dict

    def system(self, name: str) -> BillingSystem:
        """A billing system by name. Raises NotFound for one this installation does not know."""
        if name not in self.systems:
            raise NotFound(f"This installation does not know a system called {name[:30]!r}.")
        return self.systems[name]

    def gateway(self, name: str) -> PaymentGateway:
        """A payment gateway by name. Raises NotFound."""
        if name not in self.gateways:
            raise NotFound("Payments are not set up on this installation.")
        return self.gateways[name]

    def access(self, connection: ConnectionRow) -> Access:
        """How calls speak for a connection."""
        key = str(connection.id)
        return Access(
            connection=key,
            tenant=connection.tenant,
            token=self.token_supply(self.system(connection.system), key),
            extra=connection.extra,
            background=_background.get(),
        )


@contextmanager
def nobody_waits(background: bool = True) -> Iterator[None]:
    """Accesses handed out inside leave part of every limit to calls that somebody waits for."""
    token = _background.set(background)
    try:
        yield
    finally:
        _background.reset(token)
