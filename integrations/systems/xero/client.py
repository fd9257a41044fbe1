"""Xero's endpoints for one connection: arguments in, raw bytes or plain dicts out. No mapping, no state.

Reads go through xero-python with `_preload_content=False`: its own parser is ten times slower and loses a whole page
to one unknown value. Writes are JSON text made here: its models send fields nobody set, and amounts as floats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import requests

from connector.contract import Access, Gone
from connector.domain.records import Kind
from connector.manifest import AdapterConfig
from integrations.http import Session, current_call
from integrations.outcomes import Call, lost
from integrations.systems.xero.mapping import decode
from integrations.systems.xero.refusals import TITLE, judge
from integrations.systems.xero.rest import accounting_api

if TYPE_CHECKING:
    from xero_python.accounting import AccountingApi

# Seconds a call may wait in place for its turn. A page may wait longer: 60 calls a minute are one call a second.
PATIENCE = 1.5
PAGE_PATIENCE = 10.0
_Ask = Callable[..., requests.Response]
_LISTS: Mapping[Kind, Callable[[AccountingApi], _Ask]] = {
    Kind.INVOICE: lambda api: api.get_invoices,
    Kind.CREDIT_NOTE: lambda api: api.get_credit_notes,
    Kind.ESTIMATE: lambda api: api.get_quotes,
    Kind.CUSTOMER: lambda api: api.get_contacts,
    Kind.PAYMENT: lambda api: api.get_payments,
    Kind.RECURRING: lambda api: api.get_repeating_invoices,
}
_json = msgspec.json.Encoder(decimal_format="number")


def idempotency_key(tenant: str, *parts: str) -> str:
    """An Idempotency-Key (Xero allows 128 characters). Keys are per app, not per tenant: the tenant is part of it."""
    return hashlib.sha256("\n".join((tenant, *parts)).encode()).hexdigest()


class Client:
    """Xero for one connection."""

    def __init__(self, session: Session, config: AdapterConfig, access: Access) -> None:
        self._session = session
        self._access = access
        self._base_url = config.endpoints["api"]
        self._api = accounting_api(session, self._base_url, access, judge)

    @property
    def tenant(self) -> str:
        """The organisation calls are made for."""
        return self._access.tenant

    def page(self, kind: Kind, query: Mapping[str, object]) -> requests.Response:
        """One page of a list, undecoded."""
        call = _LISTS[kind](self._api)
        with self._calling(f"{kind}.list", patience=PAGE_PATIENCE):
            return call(self.tenant, **query, _preload_content=False)

    def count(self, kind: Kind, query: Mapping[str, object]) -> bytes:
        """The smallest page, for its figures."""
        call = _LISTS[kind](self._api)
        with self._calling(f"{kind}.count", patience=PAGE_PATIENCE):
            return call(self.tenant, **query, _preload_content=False).content

    def invoice(self, remote_id: str) -> Mapping[str, Any]:
        """One invoice with its lines."""
        return self._read_one("invoice.read", "Invoices", self._api.get_invoice, remote_id, unitdp=4)

    def invoice_pdf(self, remote_id: str) -> bytes:
        """The invoice as Xero prints it: the same address, asked for as a PDF (the SDK would write it to a file)."""

        def ask() -> requests.Response:
            rest = self._api.api_client.rest_client
            headers = {"Accept": "application/pdf", "xero-tenant-id": self.tenant}
            answer: requests.Response = rest.GET(f"{self._base_url}/Invoices/{_guid(remote_id)}", headers=headers)
            return answer

        with self._calling("invoice.pdf") as call:
            answer = ask()
            if not answer.content.startswith(b"%PDF"):
                raise lost(TITLE, call, "sent something that is no PDF")
            return answer.content

    def organisation(self) -> Mapping[str, Any]:
        """The organisation itself: name, base currency, short code, lock dates."""
        return self._read_one("organisation.read", "Organisations", self._api.get_organisations)

    def accounts(self) -> list[Mapping[str, Any]]:
        """The active accounts of the chart."""
        return self._read("account.list", "Accounts", self._api.get_accounts, where='Status=="ACTIVE"')

    def account(self, account_id: str) -> Mapping[str, Any]:
        """One account."""
        return self._read_one("account.read", "Accounts", self._api.get_account, account_id)

    def payments_of(self, invoice_id: str) -> list[Mapping[str, Any]]:
        """Every payment of an invoice, the deleted ones too."""
        where = f'Invoice.InvoiceID==guid("{_guid(invoice_id)}")'
        return self._read("payment.find", "Payments", self._api.get_payments, where=where, page=1, page_size=1000)

    def payment(self, payment_id: str) -> Mapping[str, Any]:
        """One payment."""
        return self._read_one("payment.read", "Payments", self._api.get_payment, payment_id)

    def create_payment(self, payment: Mapping[str, object], key: str) -> Mapping[str, Any]:
        """Record one payment, one try; the element's own errors are in the element (HTTP 200)."""
        body = _json.encode({"Payments": [payment]})
        return self._write(
            "payment.create", "Payments", self._api.create_payments, body, summarize_errors=False, idempotency_key=key
        )

    def delete_payment(self, payment_id: str) -> Mapping[str, Any]:
        """Set a payment to DELETED. No idempotency key: the call repeats safely, and a key would cache a refusal."""
        body = _json.encode({"Status": "DELETED"})
        return self._write("payment.delete", "Payments", self._api.delete_payment, payment_id, body)

    def branding_themes(self) -> list[Mapping[str, Any]]:
        """The themes documents are printed in."""
        return self._read("theme.list", "BrandingThemes", self._api.get_branding_themes)

    def payment_services(self) -> list[Mapping[str, Any]]:
        """The organisation's payment services (partner scope)."""
        return self._read("payment_service.list", "PaymentServices", self._api.get_payment_services)

    def create_payment_service(self, service: Mapping[str, str], key: str) -> Mapping[str, Any]:
        """Create a payment service: Xero wants PUT here."""
        body = _json.encode({"PaymentServices": [service]})
        create = self._api.create_payment_service
        return self._write("payment_service.create", "PaymentServices", create, body, idempotency_key=key)

    def theme_services(self, theme_id: str) -> list[Mapping[str, Any]]:
        """The payment services standing on one theme (partner scope)."""
        read = self._api.get_branding_theme_payment_services
        return self._read("theme.services", "PaymentServices", read, theme_id)

    def add_theme_service(self, theme_id: str, service_id: str, key: str) -> None:
        """Put a payment service on a theme (partner scope)."""
        body = _json.encode({"PaymentServices": [{"PaymentServiceID": service_id}]})
        add = self._api.create_branding_theme_payment_services
        self._write("theme.add_service", "PaymentServices", add, theme_id, body, idempotency_key=key)

    def _read(self, operation: str, name: str, ask: _Ask, *about: str, **query: object) -> list[Mapping[str, Any]]:
        with self._calling(operation):
            return _rows(ask(self.tenant, *about, **query, _preload_content=False), name)

    def _read_one(self, operation: str, name: str, ask: _Ask, *about: str, **query: object) -> Mapping[str, Any]:
        with self._calling(operation):
            return _first(ask(self.tenant, *about, **query, _preload_content=False), name)

    def _write(self, operation: str, name: str, send: _Ask, *sent: str | bytes, **query: object) -> Mapping[str, Any]:
        with self._calling(operation, writes=True):
            return _first(send(self.tenant, *sent, **query, _preload_content=False), name)

    def _calling(
        self, operation: str, *, writes: bool = False, patience: float = PATIENCE
    ) -> AbstractContextManager[Call]:
        """Web pages are judged here, not by the session: Xero's 404 is one."""
        return self._session.call(
            operation,
            connection=self._access.connection,
            writes=writes,
            patience=patience,
            expects="html",
            background=self._access.background,
        )


def _guid(remote_id: str) -> str:
    """An id as it may stand in a filter or an address. Raises Gone for what cannot be one of Xero's."""
    try:
        return str(UUID(remote_id))
    except ValueError:
        raise Gone("Xero has no record of this id.") from None


def _rows(answer: requests.Response, name: str) -> list[Mapping[str, Any]]:
    try:
        body = decode(answer.content)
    except ValueError as error:
        raise lost(TITLE, current_call(), "sent an answer that cannot be read") from error
    rows = body.get(name) if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise lost(TITLE, current_call(), f"sent an answer without {name}")
    return [row for row in rows if isinstance(row, dict)]


def _first(answer: requests.Response, name: str) -> Mapping[str, Any]:
    rows = _rows(answer, name)
    if not rows:
        raise lost(TITLE, current_call(), f"sent an answer with no {name}")
    return rows[0]
