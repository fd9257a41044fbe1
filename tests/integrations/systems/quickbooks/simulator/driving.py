"""Drives the simulated QuickBooks the way a product does: over real HTTP, with the vendor's own SDK."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from flask import Flask
from quickbooks import QuickBooks
from requests_oauthlib import OAuth2Session

from integrations.simulator.clock import Clock
from integrations.simulator.journal import Journal
from integrations.simulator.server import serve_at
from integrations.simulator.store import Store, from_json, to_json
from integrations.systems.quickbooks.simulator import (
    CompanyFile,
    QuickBooksSettings,
    Upstream,
    create_simulator,
    upstream,
)

REALM = "9341453000000101"
OTHER_REALM = "9341453000000202"
REDIRECT = "http://127.0.0.1:5000/connections/quickbooks/callback"
SCOPE = "com.intuit.quickbooks.accounting"
CLIENT = ("duebridge-demo", "demo-secret-quickbooks")

# The limits of calls are tested on their own; elsewhere they would only slow the tests down.
UNLIMITED = {"calls_per_second": 100_000, "calls_per_minute": 100_000}
SMALL = (CompanyFile(REALM, "Northwind IT & Design", 300), CompanyFile(OTHER_REALM, "Lakeside Studio", 12))


def settings(**changes: Any) -> QuickBooksSettings:
    """Settings for a test."""
    return QuickBooksSettings(**{"redirect_uris": (REDIRECT,), "companies": SMALL, **UNLIMITED, **changes})


@dataclass
class Running:
    """A served simulator and an HTTP session with a live access token for the first company."""

    url: str
    parts: Upstream
    http: requests.Session = field(default_factory=requests.Session)
    tokens: dict[str, Any] = field(default_factory=dict)

    @property
    def api(self) -> str:
        """The first company's address."""
        return f"{self.url}/v3/company/{REALM}"

    def query(self, text: str) -> dict[str, Any]:
        """The inside of the answer to a query; fails unless it is a 200."""
        answer = self.http.get(f"{self.api}/query", params={"query": text, "minorversion": "75"}, timeout=10)
        assert answer.status_code == 200, answer.text
        inside: dict[str, Any] = from_json(answer.content)["QueryResponse"]
        return inside

    def get(self, path: str, **arguments: str) -> requests.Response:
        """A GET under the company's address."""
        return self.http.get(f"{self.api}/{path}", params={"minorversion": "75", **arguments}, timeout=10)

    def post(self, path: str, body: dict[str, Any], **arguments: str) -> requests.Response:
        """A POST under the company's address; Decimals go out as plain numbers."""
        return self.http.post(
            f"{self.api}/{path}",
            params={"minorversion": "75", **arguments},
            data=to_json(body),
            headers={"Content-Type": "application/json"},
            timeout=10,
        )

    def read(self, entity: str, id: str) -> dict[str, Any]:
        """One document, amounts exact."""
        answer = self.get(f"{entity.lower()}/{id}")
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = from_json(answer.content)[entity]
        return document

    def open_invoice(self, currency: str = "USD", skip: int = 0) -> dict[str, Any]:
        """An untouched invoice that is due in full."""
        found = self.query("select * from Invoice where Balance > '0' orderby Id maxresults 1000")["Invoice"]
        matching = [
            doc for doc in found if doc["CurrencyRef"]["value"] == currency and doc["Balance"] == doc["TotalAmt"]
        ]
        chosen: dict[str, Any] = matching[skip]
        return chosen

    def payment_body(self, invoice: dict[str, Any], amount: Any = None, **more: Any) -> dict[str, Any]:
        """A payment over one invoice."""
        paid = invoice["Balance"] if amount is None else amount
        return {
            "CustomerRef": {"value": invoice["CustomerRef"]["value"]},
            "CurrencyRef": {"value": invoice["CurrencyRef"]["value"]},
            "TotalAmt": paid,
            "Line": [{"Amount": paid, "LinkedTxn": [{"TxnId": invoice["Id"], "TxnType": "Invoice"}]}],
            **more,
        }


@contextmanager
def running(path: Path | None = None, clock: Clock | None = None, **changes: Any) -> Iterator[Running]:
    """A simulator at work, first company connected; stops at the end, keeps its data when given a path."""
    store, journal = Store(path), Journal(path.with_suffix(".jsonl") if path else None)
    apps: list[Flask] = []

    def build(url: str) -> Flask:
        apps.append(create_simulator(store, clock or Clock(), journal, public_url=url, settings=settings(**changes)))
        return apps[0]

    with serve_at(build) as server:
        parts = upstream(apps[0])
        run = Running(server.url, parts)
        run.tokens = exchange(run, authorize(run)["code"]).json()
        run.http.headers["Authorization"] = f"Bearer {run.tokens['access_token']}"
        yield run
        run.http.close()
        parts.webhooks.delivery.close()
    store.close()


def ask(run: Running, **changes: str) -> requests.Response:
    """Open the consent page."""
    arguments = {
        "client_id": CLIENT[0],
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "scope": SCOPE,
        "state": "st&te",
        **changes,
    }
    arguments = {name: value for name, value in arguments.items() if value}
    return requests.get(f"{run.url}/connect/oauth2", params=arguments, allow_redirects=False, timeout=10)


def authorize(run: Running, realm: str = REALM, decision: str = "connect", **changes: str) -> dict[str, str]:
    """Press a button on the consent page; what the application then gets in its address."""
    page = ask(run, **changes)
    assert page.status_code == 200, page.text
    answer = requests.post(page.url, data={"realm": realm, "decision": decision}, allow_redirects=False, timeout=10)
    return arguments_of(answer)


def arguments_of(answer: requests.Response) -> dict[str, str]:
    """The query of the address a browser is sent to."""
    assert answer.status_code == 302, answer.text
    target = answer.headers["Location"]
    assert target.startswith(REDIRECT)
    return {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}


def exchange(run: Running, code: str, redirect: str = REDIRECT, **headers: str) -> requests.Response:
    """Trade a code for tokens."""
    body = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect}
    return requests.post(f"{run.url}/oauth2/v1/tokens/bearer", data=body, auth=CLIENT, headers=headers, timeout=10)


def refresh(run: Running, token: str) -> requests.Response:
    """Ask for a new access token."""
    body = {"grant_type": "refresh_token", "refresh_token": token}
    return requests.post(f"{run.url}/oauth2/v1/tokens/bearer", data=body, auth=CLIENT, timeout=10)


def sdk(run: Running, realm: str = REALM) -> QuickBooks:
    """python-quickbooks as it is on the index; only its address points here."""

    class Here(QuickBooks):  # type: ignore[misc]
        sandbox_api_url_v3 = f"{run.url}/v3"
        api_url_v3 = f"{run.url}/v3"

    client = Here(company_id=realm, minorversion=75)
    token = {"access_token": run.tokens["access_token"], "token_type": "bearer"}
    client.session = OAuth2Session(CLIENT[0], token=token)
    return client


def code_of(answer: requests.Response) -> str:
    """The code of the first error of a refusal."""
    error: str = answer.json()["Fault"]["Error"][0]["code"]
    return error
