"""A simulated QuickBooks on a real port, and our adapter connected to one of its companies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from connector.contract import Access, Disconnected, Grant, TokenSet
from connector.manifest import AdapterConfig
from integrations.simulator.clock import Clock
from integrations.simulator.journal import Journal
from integrations.simulator.server import serve_at
from integrations.simulator.store import Store
from integrations.systems.quickbooks.adapter import QuickBooks
from integrations.systems.quickbooks.simulator.app import create_simulator
from integrations.systems.quickbooks.simulator.settings import QuickBooksSettings
from tests.integrations.limiters import MemoryLimiter

REDIRECT = "http://127.0.0.1:9/oauth/quickbooks/callback"
REALM = "9341453000000101"


def config_for(url: str) -> AdapterConfig:
    """The adapter's settings for a QuickBooks at one address."""
    settings = QuickBooksSettings()
    return AdapterConfig(
        endpoints={
            "authorize": f"{url}/connect/oauth2",
            "token": f"{url}/oauth2/v1/tokens/bearer",
            "revoke": f"{url}/v2/oauth2/tokens/revoke",
            "api": url,
        },
        credentials={"client_id": settings.client_id, "client_secret": settings.client_secret},
        webhook_secrets=(settings.verifier_token,),
        options={},
    )


@dataclass
class Connected:
    """The adapter, the access it was granted, and the simulator's control surface."""

    url: str
    system: QuickBooks
    grant: Grant
    held: list[TokenSet] = field(default_factory=list)

    @property
    def tokens(self) -> TokenSet:
        return self.held[-1]

    @property
    def access(self) -> Access:
        """An access whose tokens are refreshed as the keeper does, without a store."""

        def token(refused: str | None = None) -> str:
            if refused is not None and refused == self.tokens.access:
                self.held.append(self.system.refresh(self.tokens))
            return self.tokens.access

        tenant = self.grant.tenants[0]
        return Access("connection-1", tenant.ref, token, tenant.extra or {})

    def control(self, path: str, **sent: Any) -> Any:
        """Do something on the simulator's control surface, as a bookkeeper or as fate would."""
        answer = requests.post(f"{self.url}/_control/{path}", json=sent, timeout=5)
        assert answer.ok, answer.text
        return answer.json()

    def state(self) -> Any:
        return requests.get(f"{self.url}/_control/state", timeout=5).json()

    def raw(self, entity: str, remote_id: str) -> Any:
        """A record as the simulator holds it, asked for without our code."""
        answer = requests.get(
            f"{self.url}/v3/company/{self.grant.tenants[0].ref}/{entity.lower()}/{remote_id}",
            params={"minorversion": "75"},
            headers={"Authorization": f"Bearer {self.tokens.access}", "Accept": "application/json"},
            timeout=5,
        )
        return answer.json()[entity] if answer.ok else None

    def find(self, select: str) -> Any:
        """Rows of a query, asked for without our code."""
        answer = requests.post(
            f"{self.url}/v3/company/{self.grant.tenants[0].ref}/query",
            params={"minorversion": "75"},
            data=select.encode(),
            headers={
                "Authorization": f"Bearer {self.tokens.access}",
                "Accept": "application/json",
                "Content-Type": "application/text",
            },
            timeout=5,
        ).json()["QueryResponse"]
        return next((rows for rows in answer.values() if isinstance(rows, list)), [])

    def operations(self) -> list[str]:
        """The names of all calls made so far."""
        entries = requests.get(f"{self.url}/_control/journal?entry=request", timeout=5).json()
        return [entry["operation"] for entry in entries]


def consent(url: str, system: QuickBooks, realm: str = REALM, decision: str = "connect") -> dict[str, str]:
    """What a person does on the consent page; the callback's query."""
    page = system.authorize_url(redirect_uri=REDIRECT, state="st4te", code_verifier="v" * 43)
    answer = requests.post(page, data={"decision": decision, "realm": realm}, allow_redirects=False, timeout=5)
    assert answer.status_code == 302, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


@contextmanager
def connected(folder: Path | None = None, **settings: Any) -> Iterator[Connected]:
    """Serve a fresh simulator and connect to it."""
    given = QuickBooksSettings(**{"calls_per_second": 10_000, "calls_per_minute": 100_000, **settings})
    clock = Clock()

    def build(url: str) -> Any:
        return create_simulator(Store(folder), clock, Journal(None), public_url=url, settings=given)

    with serve_at(build) as server:
        system = QuickBooks(config_for(server.url), MemoryLimiter())
        grant = system.exchange(redirect_uri=REDIRECT, answer=consent(server.url, system), code_verifier="v" * 43)
        yield Connected(server.url, system, grant, [grant.tokens])


def dead(refused: str | None = None) -> str:
    """The token supplier of a connection that has ended."""
    raise Disconnected("QuickBooks has ended our access. Connect again.")
