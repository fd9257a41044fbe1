"""A Xero adapter connected to the simulator over real HTTP, and what tests need to look at both ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import requests

from connector.contract import Access, Grant, TokenSet
from connector.manifest import AdapterConfig
from integrations.simulator.clock import Clock
from integrations.simulator.journal import Journal
from integrations.simulator.server import serve_at
from integrations.simulator.store import Store
from integrations.systems.xero.adapter import Xero
from integrations.systems.xero.simulator import XeroConfig, create_simulator
from tests.integrations.limiters import MemoryLimiter

REDIRECT = "http://127.0.0.1:8000/connections/xero/callback"
VERIFIER = "v" * 64


def config_for(url: str, **options: str) -> AdapterConfig:
    """The adapter's settings for a simulator at `url`."""
    endpoints = {
        "authorize": f"{url}/identity/connect/authorize",
        "token": f"{url}/connect/token",
        "revoke": f"{url}/connect/revocation",
        "connections": f"{url}/connections",
        "api": f"{url}/api.xro/2.0",
    }
    secrets = {"client_id": "duebridge-demo", "client_secret": "demo-secret-xero"}
    return AdapterConfig(endpoints, secrets, ("demo-webhook-key-xero",), options)


@dataclass
class Connected:
    """The adapter, the simulator's address and the tokens in force."""

    url: str
    xero: Xero
    limiter: MemoryLimiter
    clock: Clock
    tokens: TokenSet | None = None
    grant: Grant | None = None
    refreshed: int = 0
    asked: list[str | None] = field(default_factory=list)

    def consent(self, tenants: int = 1, xero: Xero | None = None) -> dict[str, str]:
        """What the merchant's browser brings back after allowing the first `tenants` organisations."""
        url = (xero or self.xero).authorize_url(redirect_uri=REDIRECT, state="st4te", code_verifier=VERIFIER)
        assert requests.get(url, timeout=10).status_code == 200
        chosen = [one["tenant"] for one in self.state()["organisations"]][:tenants]
        form = [*parse_qsl(urlsplit(url).query), ("decision", "allow"), *(("tenant", ref) for ref in chosen)]
        answer = requests.post(url.split("?", 1)[0], data=form, allow_redirects=False, timeout=10)
        assert answer.status_code == 302, answer.text
        return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}

    def connect(self, tenants: int = 1) -> Grant:
        """Consent and exchange."""
        answer = self.consent(tenants)
        assert answer["state"] == "st4te"
        self.grant = self.xero.exchange(redirect_uri=REDIRECT, answer=answer, code_verifier=VERIFIER)
        self.tokens = self.grant.tokens
        return self.grant

    def access(self, place: int = 0) -> Access:
        """Access to one of the connected organisations, its token refreshed when Xero refuses it."""
        assert self.grant is not None
        tenant = self.grant.tenants[place]

        def token(refused: str | None) -> str:
            assert self.tokens is not None
            self.asked.append(refused)
            if refused == self.tokens.access:
                self.tokens = self.xero.refresh(self.tokens)
                self.refreshed += 1
            return self.tokens.access

        return Access(f"c{place}", tenant.ref, token, tenant.extra or {})

    def state(self) -> dict[str, Any]:
        """The simulator's counts."""
        found: dict[str, Any] = requests.get(f"{self.url}/_control/state", timeout=10).json()
        return found

    def control(self, path: str, **body: Any) -> dict[str, Any]:
        """Turn one of the simulator's switches."""
        answer = requests.post(f"{self.url}/_control/{path}", json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def requests_to(self, operation: str) -> int:
        """How many requests of an operation the simulator has seen."""
        return int(self.state()["requests"].get(operation, 0))


@contextmanager
def simulated(
    build: Callable[..., Xero] = Xero, *, invoices: int = 300, options: dict[str, str] | None = None, **config: Any
) -> Iterator[Connected]:
    """A simulator on a free port with an adapter in front of it, not connected yet."""
    clock, limiter = Clock(), MemoryLimiter()
    store, journal = Store(None), Journal(None)
    registration = XeroConfig(**{"minute_limit": 100_000, **config})

    def app(url: str) -> Any:
        return create_simulator(store, clock, journal, public_url=url, config=registration, invoices=invoices)

    with serve_at(app) as server:
        xero = build(config_for(server.url, **(options or {})), limiter)
        yield Connected(server.url, xero, limiter, clock)
