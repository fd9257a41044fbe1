"""A simulated Xero for the conformance suite."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from connector.contract import Access, BillingSystem, Grant, TokenSet
from connector.domain.records import UpstreamInvoice
from integrations.systems.xero.adapter import Xero
from tests.integrations.limiters import MemoryLimiter
from tests.integrations.systems.xero.connected import REDIRECT, VERIFIER, Connected, config_for, simulated

_OPERATIONS = {
    "invoice": "invoice.read",
    "page": "invoice.list",
    "find": "payment.list",
    "record": "payment.create",
    "reverse": "payment.delete",
}


@dataclass
class XeroRig:
    """Fulfils SystemRig."""

    upstream: Connected
    system: BillingSystem
    grant: Grant
    operations: Mapping[str, str] = field(default_factory=lambda: dict(_OPERATIONS))
    secret: str = "demo-webhook-key-xero"

    @property
    def access(self) -> Access:
        return self.upstream.access()

    @property
    def tokens(self) -> TokenSet:
        assert self.upstream.tokens is not None
        return self.upstream.tokens

    @property
    def refreshes(self) -> int:
        return self.upstream.refreshed

    def fresh(self, *, seconds: float | None = None) -> BillingSystem:
        made = Xero(config_for(self.upstream.url), MemoryLimiter())
        if seconds is not None:
            transport = made._session.transport
            transport._manifest = replace(transport._manifest, call_timeout=(seconds, seconds))
        return made

    def consent(self, decision: str = "") -> Mapping[str, str]:
        if not decision:
            return self.upstream.consent()
        url = self.upstream.xero.authorize_url(redirect_uri=REDIRECT, state="st4te", code_verifier=VERIFIER)
        form = [*parse_qsl(urlsplit(url).query), ("decision", decision)]
        answer = requests.post(url.split("?", 1)[0], data=form, allow_redirects=False, timeout=10)
        return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))

    def redirect(self) -> tuple[str, str]:
        return REDIRECT, VERIFIER

    def fault(self, kind: str, operation: str = "*", times: int = 1, **options: Any) -> None:
        self.upstream.control("faults", kind=kind, operation=operation, times=times, **options)

    def clear(self) -> None:
        self.upstream.control("faults/clear")

    def books(self) -> Sequence[Mapping[str, Any]]:
        return self._books()["invoices"]  # type: ignore[no-any-return]

    def payments(self) -> Sequence[tuple[str, str, str]]:
        return [(row["id"], row["amount"], row["note"]) for row in self._books()["payments"] if not row["reversed"]]

    def create(self, like: UpstreamInvoice, amount: str, status: str = "AUTHORISED") -> str:
        today = datetime.now(UTC).date()
        invoice = {
            "Type": "ACCREC",
            "Contact": {"ContactID": like.customer},
            "Date": today.isoformat(),
            "DueDate": (today + timedelta(days=20)).isoformat(),
            "CurrencyCode": like.currency,
            "Status": status,
            "LineItems": [{"Description": "By hand", "Quantity": 1, "UnitAmount": amount, "AccountCode": "200"}],
        }
        answer = requests.put(
            f"{self.upstream.url}/api.xro/2.0/Invoices",
            json={"Invoices": [invoice]},
            headers={
                "Authorization": f"Bearer {self.tokens.access}",
                "xero-tenant-id": self.grant.tenants[0].ref,
                "Accept": "application/json",
            },
            timeout=10,
        )
        assert answer.ok, answer.text
        return str(answer.json()["Invoices"][0]["InvoiceID"])

    def edit(self, remote_id: str) -> None:
        self.upstream.control(f"invoices/{remote_id}", action="edit", reference="edited by hand")

    def void(self, remote_id: str) -> None:
        self.upstream.control(f"invoices/{remote_id}", action="void")

    def delete(self, like: UpstreamInvoice) -> str:
        # Only drafts are deleted in Xero.
        remote_id = self.create(like, "7", "DRAFT")
        self.upstream.control(f"invoices/{remote_id}", action="delete")
        return remote_id

    def close_books(self, until: date | None) -> None:
        self.upstream.control("lock-date", date=until.isoformat() if until else "")

    def account(self, currency: str) -> str:
        accounts = self.system.accounts(self.access)
        return next(row.remote_id for row in accounts if row.currency in (currency, ""))

    def text(self, remote_id: str) -> str:
        raise NotImplementedError("Xero's links stand on themes.")

    def write_text(self, remote_id: str, text: str) -> None:
        raise NotImplementedError("Xero's links stand on themes.")

    def webhook(self, tenants: Sequence[str]) -> Sequence[bytes]:
        events = [
            {
                "resourceUrl": "https://api.xero.com/api.xro/2.0/Invoices/i",
                "resourceId": "i",
                "eventDateUtc": "2026-11-22T16:29:58.123",
                "eventType": "UPDATE",
                "eventCategory": "INVOICE",
                "tenantId": tenant,
                "tenantType": "ORGANISATION",
            }
            for tenant in tenants
        ]
        body = {"events": events, "firstEventSequence": 1, "lastEventSequence": len(events), "entropy": "S0m3"}
        return [json.dumps(body).encode()]

    def sign(self, body: bytes, secret: str, at: datetime) -> Mapping[str, str]:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
        return {"x-xero-signature": base64.b64encode(digest).decode()}

    def _books(self) -> Any:
        return requests.get(f"{self.upstream.url}/_control/books.json", timeout=10).json()


@contextmanager
def xero_rig(invoices: int = 300) -> Iterator[XeroRig]:
    """An organisation with so many invoices, connected."""
    with simulated(invoices=invoices) as upstream:
        grant = upstream.connect()
        yield XeroRig(upstream, upstream.xero, grant)
