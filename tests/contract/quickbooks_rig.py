"""A simulated QuickBooks for the conformance suite."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import requests

from connector.contract import Access, BillingSystem, Grant, TokenSet
from connector.domain.records import UpstreamInvoice
from integrations.systems.quickbooks.adapter import QuickBooks
from integrations.systems.quickbooks.simulator.settings import CompanyFile
from tests.integrations.limiters import MemoryLimiter
from tests.integrations.systems.quickbooks.connected import REALM, REDIRECT, Connected, config_for, connected, consent


@dataclass
class QuickBooksRig:
    """Fulfils SystemRig."""

    upstream: Connected
    system: BillingSystem
    grant: Grant

    operations: Mapping[str, str] = None  # type: ignore[assignment]
    secret: str = "demo-verifier-quickbooks"

    def __post_init__(self) -> None:
        self.operations = {
            "invoice": "invoice.read",
            "page": "invoice.query",
            "find": "payment.query",
            "record": "payment.create",
            "reverse": "payment.void",
            "place": "invoice.update",
        }

    @property
    def access(self) -> Access:
        return self.upstream.access

    @property
    def tokens(self) -> TokenSet:
        return self.upstream.tokens

    @property
    def refreshes(self) -> int:
        return len(self.upstream.held) - 1

    def fresh(self, *, seconds: float | None = None) -> BillingSystem:
        made = QuickBooks(config_for(self.upstream.url), MemoryLimiter())
        if seconds is not None:
            transport = made._session.transport
            transport._manifest = replace(transport._manifest, call_timeout=(seconds, seconds))
        return made

    def consent(self, decision: str = "connect") -> Mapping[str, str]:
        return consent(self.upstream.url, self.upstream.system, decision=decision or "connect")

    def redirect(self) -> tuple[str, str]:
        return REDIRECT, "v" * 43

    def fault(self, kind: str, operation: str = "*", times: int = 1, **options: Any) -> None:
        self.upstream.control("faults", kind=kind, operation=operation, times=times, **options)

    def clear(self) -> None:
        self.upstream.control("faults/clear")

    def books(self) -> Sequence[Mapping[str, Any]]:
        return self._books()["invoices"]  # type: ignore[no-any-return]

    def payments(self) -> Sequence[tuple[str, str, str]]:
        return [(row["id"], row["amount"], row["note"]) for row in self._books()["payments"] if float(row["amount"])]

    def create(self, like: UpstreamInvoice, amount: str) -> str:
        line = {
            "Amount": float(amount),
            "DetailType": "SalesItemLineDetail",
            "SalesItemLineDetail": {"ItemRef": {"value": "1"}},
        }
        body = {"CustomerRef": {"value": like.customer}, "CurrencyRef": {"value": like.currency}, "Line": [line]}
        answer = requests.post(
            f"{self.upstream.url}/v3/company/{self.grant.tenants[0].ref}/invoice",
            params={"minorversion": "75"},
            json=body,
            headers={"Authorization": f"Bearer {self.tokens.access}", "Accept": "application/json"},
            timeout=5,
        )
        assert answer.ok, answer.text
        return str(answer.json()["Invoice"]["Id"])

    def edit(self, remote_id: str) -> None:
        self.upstream.control(f"invoices/{remote_id}/memo", memo="edited by hand")

    def void(self, remote_id: str) -> None:
        self.upstream.control(f"invoices/{remote_id}/void")

    def delete(self, like: UpstreamInvoice) -> str:
        remote_id = self.create(like, "7")
        self.upstream.control(f"invoices/{remote_id}/delete")
        return remote_id

    def close_books(self, until: date | None) -> None:
        self.upstream.control("closing-date", date=until.isoformat() if until else "")

    def account(self, currency: str) -> str:
        return next((row.remote_id for row in self.system.accounts(self.access) if row.currency == currency), "")

    def text(self, remote_id: str) -> str:
        memo = self.upstream.raw("Invoice", remote_id).get("CustomerMemo", {})
        return str(memo.get("value", ""))

    def write_text(self, remote_id: str, text: str) -> None:
        self.upstream.control(f"invoices/{remote_id}/memo", memo=text)

    def webhook(self, tenants: Sequence[str]) -> Sequence[bytes]:
        now, at = "2026-11-22T16:29:58Z", "2026-11-22T16:29:58.000Z"
        events = [
            {
                "specversion": "1.0",
                "id": f"e{place}",
                "source": "intuit.x",
                "type": "qbo.invoice.updated.v1",
                "time": now,
                "intuitentityid": "130",
                "intuitaccountid": tenant,
                "data": {},
            }
            for place, tenant in enumerate(tenants)
        ]
        entity = {"name": "Invoice", "id": "130", "operation": "Update", "lastUpdated": at}
        older = [{"realmId": tenant, "dataChangeEvent": {"entities": [entity]}} for tenant in tenants]
        return [json.dumps(events).encode(), json.dumps({"eventNotifications": older}).encode()]

    def sign(self, body: bytes, secret: str, at: datetime) -> Mapping[str, str]:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
        return {"intuit-signature": base64.b64encode(digest).decode()}

    def _books(self) -> Any:
        return requests.get(f"{self.upstream.url}/_control/books.json", timeout=10).json()


@contextmanager
def quickbooks_rig(invoices: int = 300) -> Iterator[QuickBooksRig]:
    """A company with so many invoices, connected."""
    with connected(companies=(CompanyFile(REALM, "Northwind IT & Design", invoices),)) as upstream:
        yield QuickBooksRig(upstream, upstream.system, upstream.grant)
