"""The small billing systems behind the contract, over real HTTP. Nothing of them is part of the product."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

import requests

from connector.contract import (
    Access,
    Gone,
    Grant,
    Guide,
    Limiter,
    LinkSpot,
    LinkState,
    PaymentIntent,
    PlacedLink,
    Refused,
    Tenant,
    Theme,
    TokenSet,
    Unclear,
)
from connector.domain.records import (
    Event,
    InvoiceState,
    Kind,
    Page,
    Record,
    RemotePayment,
    Survey,
    UpstreamAccount,
    UpstreamCustomer,
    UpstreamInvoice,
    UpstreamPayment,
)
from connector.manifest import AdapterConfig, Manifest
from integrations.http import Session
from integrations.outcomes import from_status, lost

_COLLECTIONS = {Kind.CUSTOMER: "customers", Kind.INVOICE: "invoices", Kind.PAYMENT: "payments"}


class WeakBooks:
    """A billing system without consent, tokens and links; its manifest says which weakness it has."""

    def __init__(self, config: AdapterConfig, limiter: Limiter, manifest: Manifest) -> None:
        self.manifest = manifest
        self._config = config
        self._session = Session(manifest, config, limiter)

    def authorize_url(self, *, redirect_uri: str, state: str, code_verifier: str) -> str:
        raise Refused("There is nothing to consent to.")

    def exchange(self, *, redirect_uri: str, answer: Mapping[str, str], code_verifier: str) -> Grant:
        raise Refused("There is nothing to consent to.")

    def refresh(self, tokens: TokenSet) -> TokenSet:
        return tokens

    def revoke(self, tokens: TokenSet, tenant: Tenant) -> None:
        return

    def survey(self, access: Access, since: date | None) -> Survey:
        return Survey(access.tenant, "USD", (), 0, ())

    def first_cursor(self, access: Access, kind: Kind, since: date | None) -> str:
        return json.dumps({"since": 0.0, "after": "", "began": 0.0})

    def ahead(self, kind: Kind, cursor: str) -> Sequence[str]:
        return [cursor]

    def page(self, access: Access, kind: Kind, cursor: str) -> Page:
        at = json.loads(cursor)
        size = self.manifest.page_size
        query = {"since": at["since"], "after": at["after"], "limit": size}
        answer = self._ask(access, f"{kind}.list", "GET", _COLLECTIONS[kind], query)
        began = at["began"] or answer["clock"]
        rows = answer["rows"]
        done = kind is Kind.CUSTOMER or len(rows) < size
        overlap = self.manifest.capabilities.delta_overlap
        following = {"since": began - overlap, "after": "", "began": 0.0}
        if not done:
            following = {"since": at["since"], "after": rows[-1]["id"][1:], "began": began}
        return Page([_record(kind, row) for row in rows], [], json.dumps(following), done, None)

    def invoice(self, access: Access, remote_id: str) -> UpstreamInvoice:
        return _invoice(self._ask(access, "invoice.read", "GET", f"invoices/{remote_id}"))

    def invoice_pdf(self, access: Access, remote_id: str) -> bytes:
        raise Refused("Nothing is printed here.")

    def accounts(self, access: Access) -> Sequence[UpstreamAccount]:
        rows = self._ask(access, "account.list", "GET", "accounts")["rows"]
        return [UpstreamAccount(row["id"], row["name"], "Bank", "") for row in rows]

    def place_link(self, access: Access, spot: LinkSpot) -> PlacedLink:
        raise Refused("Invoices carry no link here.")

    def verify_link(self, access: Access, spot: LinkSpot) -> LinkState:
        raise Refused("Invoices carry no link here.")

    def withdraw_link(self, access: Access, spot: LinkSpot) -> PlacedLink:
        return PlacedLink("", "", "", changed=False)

    def guide(self, install_url: str) -> Guide | None:
        return None

    def themes(self, access: Access, install_url: str) -> Sequence[Theme]:
        return ()

    def place_on_theme(self, access: Access, theme: str, install_url: str) -> Theme:
        raise Refused("There are no templates here.")

    def payment(self, access: Access, number: str) -> UpstreamPayment:
        """One payment by its number."""
        return _payment(self._ask(access, "payment.read", "GET", f"payments/{quote(number, safe='')}"))

    def find_payment(self, access: Access, intent: PaymentIntent) -> RemotePayment | None:
        if self.manifest.capabilities.idempotency == "none":
            return None
        rows = self._ask(access, "payment.find", "GET", "payments", {"reference": intent.key})["rows"]
        standing = [row for row in rows if not row["voided"]]
        if len(standing) > 1:
            raise Unclear(f"{len(standing)} payments carry our reference {intent.key}; all but one must go.")
        return next((_remote(row) for row in standing or rows), None)

    def record_payment(self, access: Access, intent: PaymentIntent) -> RemotePayment:
        kind = self.manifest.capabilities.idempotency
        body = {
            "customer": intent.customer, "currency": intent.currency, "paid_on": intent.paid_on.isoformat(),
            "reference": intent.key, "note": f"{intent.note} Duebridge {intent.key}",
            "allocations": [list(share) for share in intent.allocations],
        }  # fmt: skip
        method, path = ("PUT", f"payments/{intent.key}") if kind == "natural" else ("POST", "payments")
        headers = {"Idempotency-Key": intent.key} if kind == "native_key" else {}
        try:
            made = self._ask(access, "payment.create", method, path, body=body, headers=headers)
        except Gone as odd:
            raise Refused(odd.why) from odd
        if made["amount"] != intent.amount:
            raise Unclear("Another payment was answered than the one sent.")
        return _remote(made)

    def reverse_payment(self, access: Access, payment: RemotePayment) -> None:
        self._ask(access, "payment.void", "POST", f"payments/{payment.remote_id}/void", body={})

    def verify(self, headers: Mapping[str, str], raw: bytes, secrets: Sequence[str], now: datetime) -> bool:
        """Nothing is posted to us."""
        return False

    def parse(self, raw: bytes) -> Sequence[Event]:
        """Nothing is posted to us."""
        return ()

    def _ask(
        self,
        access: Access,
        operation: str,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        title, url = self.manifest.title, f"{self._config.endpoints['api']}/v1/{access.tenant}/{path}"
        with self._session.call(operation, connection=access.connection, writes=method != "GET") as call:
            answer = self._session.request(method, url, params=query, json=body, headers=headers)
            told = _json(answer)
            if told is None:
                raise lost(title, call, "sent an answer that cannot be read")
        if answer.ok:
            return told
        code, words = str(told.get("code", "")), str(told.get("message", ""))
        if code == "duplicate":
            raise Refused(words, code)
        raise from_status(title, answer.status_code, words, code)


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _record(kind: Kind, row: Mapping[str, Any]) -> Record:
    if kind is Kind.INVOICE:
        return _invoice(row)
    if kind is Kind.CUSTOMER:
        return UpstreamCustomer(row["id"], row["name"], "", "", "", "USD", "", True, "1", None, ())
    return _payment(row)


def _payment(row: Mapping[str, Any]) -> UpstreamPayment:
    return UpstreamPayment(
        remote_id=row["id"], customer=row["customer"], amount=row["amount"], currency=row["currency"],
        paid_on=date.fromisoformat(row["paid_on"]), reference=row.get("reference", ""), note=row.get("note", ""),
        reversed=row["voided"], version=str(row["version"]), updated_at=_moment(row),
        allocations=tuple((invoice_id, share) for invoice_id, share in row["allocations"]),
    )  # fmt: skip


def _invoice(row: Mapping[str, Any]) -> UpstreamInvoice:
    issued = _moment(row).date()
    return UpstreamInvoice(
        kind=Kind.INVOICE, remote_id=row["id"], number=row["number"], state=InvoiceState(row["state"]),
        customer=row["customer"], issue_date=issued, due_date=issued + timedelta(days=30), currency=row["currency"],
        total=row["total"], tax=0, balance=row["balance"], memo="", reference="", theme="", emailed=True,
        version=str(row["version"]), updated_at=_moment(row), lines=(),
    )  # fmt: skip


def _remote(row: Mapping[str, Any]) -> RemotePayment:
    allocations = tuple((invoice_id, share) for invoice_id, share in row["allocations"])
    return RemotePayment(row["id"], row["amount"], row["currency"], row["voided"], str(row["version"]), allocations)


def _moment(row: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(row["updated_at"], UTC)
