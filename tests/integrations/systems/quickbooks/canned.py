"""An adapter whose QuickBooks is a list of canned answers, and a shape to ask it with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.contract import Access
from connector.manifest import AdapterConfig
from integrations.http import Session
from integrations.systems.quickbooks.adapter import QuickBooks
from integrations.systems.quickbooks.client import Client
from integrations.systems.quickbooks.manifest import MANIFEST
from tests.integrations.limiters import MemoryLimiter

API = "https://quickbooks.api.intuit.com"
BOOKS = f"{API}/v3/company/1234"
CONFIG = AdapterConfig(dict(MANIFEST.endpoints), {"client_id": "app", "client_secret": "s3cret"}, (), {})


def access(tokens: list[str] | None = None, extra: Mapping[str, str] | None = None) -> Access:
    """Access to company 1234; `tokens` are handed out one by one, the last for ever."""
    left = tokens or ["token-1"]

    def token(refused: str | None = None) -> str:
        return left.pop(0) if len(left) > 1 else left[0]

    return Access("connection-1", "1234", token, {"currency": "USD"} if extra is None else extra)


def client() -> Client:
    return Client(Session(MANIFEST, CONFIG, MemoryLimiter()), API, access())


def system() -> QuickBooks:
    return QuickBooks(CONFIG, MemoryLimiter())


def fault(code: str, message: str = "Something", detail: str = "in detail") -> dict[str, Any]:
    """A refusal as QuickBooks words it."""
    return {"Fault": {"Error": [{"Message": message, "Detail": detail, "code": code}], "type": "ValidationFault"}}
