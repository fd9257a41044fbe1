"""Drives the simulator over real HTTP: as a person's browser, as an app on plain requests, as the vendor's SDK."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from html import unescape
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from xero_python.accounting import AccountingApi
from xero_python.api_client import ApiClient
from xero_python.api_client.configuration import Configuration
from xero_python.api_client.oauth2 import OAuth2Token
from xero_python.exceptions import HTTPStatusException
from xero_python.identity import IdentityApi

from integrations.simulator.clock import Clock
from integrations.simulator.faults import Faults
from integrations.simulator.journal import Journal
from integrations.systems.xero.simulator.books import Books
from integrations.systems.xero.simulator.webhooks import Webhooks

CLIENT = ("duebridge-demo", "demo-secret-xero")
BACK = "http://127.0.0.1:1/oauth/xero/callback"
VERIFIER = "a-verifier-of-forty-three-characters-or-more-0123"
SCOPES = (
    "openid profile email offline_access accounting.invoices accounting.payments accounting.contacts "
    "accounting.settings.read accounting.banktransactions"
)


def challenge(verifier: str) -> str:
    """The S256 code challenge of a verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def claims(token: str) -> dict[str, Any]:
    """What a JWT says, unverified, as an app reads it."""
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


@dataclass
class Running:
    """A simulator being served, and what tests look at behind its back."""

    url: str
    clock: Clock
    journal: Journal
    faults: Faults
    books: Books
    webhooks: Webhooks

    def tenants(self) -> list[str]:
        """Ids of all organisations, the seeded company first."""
        return [str(doc["id"]) for doc in self.books.organisations()]

    def authorize(self, *, scope: str = SCOPES, **change: str) -> requests.Response:
        """GET the consent page."""
        asked = {
            "response_type": "code",
            "client_id": CLIENT[0],
            "redirect_uri": BACK,
            "scope": scope,
            "state": "st-1",
            "code_challenge": challenge(VERIFIER),
            "code_challenge_method": "S256",
            **change,
        }
        return requests.get(f"{self.url}/identity/connect/authorize", params=asked, timeout=10)

    def decide(self, page: requests.Response, decision: str, tenants: list[str], email: str = "") -> dict[str, str]:
        """Post the consent form as the page shows it; returns the query the browser is sent back with."""
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text)
        fields: dict[str, Any] = {name: unescape(value) for name, value in hidden}
        fields.update(decision=decision, tenant=tenants, email=email)
        answer = requests.post(f"{self.url}/identity/connect/authorize", data=fields, timeout=10, allow_redirects=False)
        assert answer.status_code == 302, answer.text
        assert answer.headers["Location"].startswith(BACK)
        return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}

    def code(self, tenants: list[str] | None = None, *, scope: str = SCOPES, email: str = "") -> str:
        """A fresh authorization code."""
        return self.decide(self.authorize(scope=scope), "allow", tenants or self.tenants()[:1], email)["code"]

    def token(self, **form: str) -> requests.Response:
        """POST the token endpoint with the app's credentials."""
        return requests.post(f"{self.url}/connect/token", data=form, auth=CLIENT, timeout=10)

    def exchange(self, code: str, verifier: str = VERIFIER) -> requests.Response:
        """Turn a code into tokens."""
        return self.token(grant_type="authorization_code", code=code, redirect_uri=BACK, code_verifier=verifier)

    def connect(self, tenants: list[str] | None = None, *, scope: str = SCOPES, email: str = "") -> App:
        """A connected app, by the whole consent."""
        wanted = tenants or self.tenants()[:1]
        answer = self.exchange(self.code(wanted, scope=scope, email=email))
        answer.raise_for_status()
        return App(self, wanted[0], answer.json())

    def control(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST JSON to the control surface."""
        answer = requests.post(f"{self.url}/_control/{path}", json=body, timeout=30)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


@dataclass
class App:
    """An app's connection to one organisation."""

    xero: Running
    tenant: str
    tokens: dict[str, Any]
    seen: list[requests.Response] = field(default_factory=list)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str = "",
        headers: dict[str, str] | None = None,
        **params: Any,
    ) -> requests.Response:
        """One API call with plain requests."""
        sent = {
            "Authorization": f"Bearer {self.tokens['access_token']}",
            "xero-tenant-id": self.tenant,
            "Accept": "application/json",
            "Content-Type": "application/json",
            **({"Idempotency-Key": key} if key else {}),
            **(headers or {}),
        }
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body)
        answer = requests.request(
            method, f"{self.xero.url}/api.xro/2.0/{path}", params=params, data=data, headers=sent, timeout=20
        )
        self.seen.append(answer)
        return answer

    def read(self, path: str, **params: Any) -> Any:
        """GET, expecting 200, with exact numbers."""
        answer = self.call("GET", path, **params)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text, parse_float=Decimal)

    def write(self, method: str, path: str, body: Any, **more: Any) -> Any:
        """PUT, POST or DELETE, expecting 200, with exact numbers."""
        answer = self.call(method, path, body, **more)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text, parse_float=Decimal)

    def messages(self, answer: requests.Response) -> list[str]:
        """The validation messages of a 400."""
        assert answer.status_code == 400, answer.text
        body = answer.json()
        assert body["Type"] == "ValidationException"
        return [error["Message"] for element in body["Elements"] for error in element["ValidationErrors"]]

    def open_invoice(self, currency: str = "USD", number: int = 0) -> dict[str, Any]:
        """One of the approved invoices with nothing paid yet."""
        found = self.read("Invoices", Statuses="AUTHORISED", page=1, pageSize=1000)["Invoices"]
        untouched = [item for item in found if item["CurrencyCode"] == currency and item["AmountPaid"] == 0]
        invoice: dict[str, Any] = untouched[number]
        return invoice

    def bank(self, name: str = "Business Checking") -> str:
        """An account's id."""
        accounts = self.read("Accounts")["Accounts"]
        return next(str(item["AccountID"]) for item in accounts if item["Name"] == name)

    def payment(self, invoice: dict[str, Any], amount: Decimal | str, reference: str = "duebridge") -> dict[str, Any]:
        """A payment as a request carries it, the amount as an exact JSON number."""
        return {
            "Invoice": {"InvoiceID": invoice["InvoiceID"]},
            "Account": {"AccountID": self.bank()},
            "Date": self.xero.clock.now().date().isoformat(),
            "Amount": json.loads(str(amount)),
            "Reference": reference,
        }

    def sdk(self, *, own_transport: bool = False) -> AccountingApi:
        """The vendor's client, talking to the simulator through a requests session or its own transport."""
        return AccountingApi(self._client(own_transport), base_url=f"{self.xero.url}/api.xro/2.0")

    def identity(self) -> IdentityApi:
        """The vendor's client for connections."""
        return IdentityApi(self._client(False), base_url=self.xero.url)

    def _client(self, own_transport: bool) -> ApiClient:
        configuration = Configuration()
        configuration.oauth2_token = OAuth2Token(client_id=CLIENT[0], client_secret=CLIENT[1])
        known = {name: self.tokens[name] for name in ("access_token", "refresh_token", "expires_in", "token_type")}
        held = {**known, "scope": self.tokens["scope"].split(), "expires_at": self.xero.clock.time() + 1_800}
        client = ApiClient(configuration, pool_threads=1)
        client.oauth2_token_getter(lambda: held)
        if not own_transport:
            client.rest_client = RequestsTransport(requests.Session())
        return client


class RequestsTransport:
    """What the SDK's ApiClient expects of a transport, on requests, so that one session serves everything."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session

    def _request(
        self,
        method: str,
        url: str,
        query_params: list[tuple[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
        body: Any = None,
        post_params: Any = None,
        **_: Any,
    ) -> SimpleNamespace:
        query = [(name, str(value).lower() if isinstance(value, bool) else value) for name, value in query_params or []]
        data = body if body is None or isinstance(body, str | bytes) else json.dumps(body)
        answer = self._session.request(method, url, params=query, headers=headers, data=data, timeout=20)
        wrapped = SimpleNamespace(
            status=answer.status_code,
            reason=answer.reason,
            data=answer.content,
            text=answer.text,
            headers=answer.headers,
            getheaders=lambda: dict(answer.headers),
            getheader=lambda name, default=None: answer.headers.get(name, default),
        )
        if not answer.ok:
            raise HTTPStatusException(http_resp=wrapped)
        return wrapped

    def __getattr__(self, name: str) -> Any:
        if not name.isupper():
            raise AttributeError(name)
        return lambda url, **options: self._request(name, url, **options)
