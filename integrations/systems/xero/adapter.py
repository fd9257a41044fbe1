"""Xero as a billing system and as a sender of webhooks: what the registry knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

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
    TryAgain,
)
from connector.domain.records import (
    Event,
    Kind,
    Page,
    RemotePayment,
    Survey,
    UpstreamAccount,
    UpstreamInvoice,
)
from connector.manifest import AdapterConfig, Manifest
from integrations import oauth
from integrations.http import Session
from integrations.systems.xero import links, payments, reading, surveying, webhooks
from integrations.systems.xero.client import Client
from integrations.systems.xero.grants import Grants
from integrations.systems.xero.manifest import MANIFEST, PARTNER_OPTION, PARTNER_SCOPE
from integrations.systems.xero.mapping import to_accounts, to_document
from integrations.systems.xero.vocabulary import Unmappable


def manifest_for(config: AdapterConfig) -> Manifest:
    """The manifest in force: a payment-service partner asks for one more scope and places links by API."""
    if config.options.get(PARTNER_OPTION) != "1":
        return MANIFEST
    capabilities = replace(MANIFEST.capabilities, link_by_api=True)
    return replace(MANIFEST, scopes=(*MANIFEST.scopes, PARTNER_SCOPE), capabilities=capabilities)


class Xero:
    """Xero. Holds no tenant's state; safe to share between threads."""

    manifest: Manifest = MANIFEST

    def __init__(self, config: AdapterConfig, limiter: Limiter) -> None:
        self.manifest = manifest_for(config)
        self._config = config
        self._session = Session(self.manifest, config, limiter)
        self._grants = Grants(self._session, config)

    @property
    def _partner(self) -> bool:
        return self.manifest.capabilities.link_by_api

    def authorize_url(self, *, redirect_uri: str, state: str, code_verifier: str) -> str:
        """Where the merchant consents, with PKCE."""
        return oauth.authorize_url(
            self.manifest, self._config, redirect_uri=redirect_uri, state=state, code_verifier=code_verifier
        )

    def exchange(self, *, redirect_uri: str, answer: Mapping[str, str], code_verifier: str) -> Grant:
        """Tokens, and the organisations chosen in this consent; `Tenant.extra` holds connection id and short code."""
        code = oauth.code_from(self.manifest, answer)
        tokens = oauth.fetch_tokens(
            self._session, self._config, redirect_uri=redirect_uri, code=code, code_verifier=code_verifier
        )
        tokens = self._grants.dated(tokens)
        return Grant(tokens, self._grants.tenants(tokens))

    def refresh(self, tokens: TokenSet) -> TokenSet:
        """Rotate: every refresh brings a new refresh token, the one before works for 30 more minutes."""
        return self._grants.dated(oauth.refresh_tokens(self._session, self._config, tokens))

    def revoke(self, tokens: TokenSet, tenant: Tenant) -> None:
        """Delete this organisation's connection; revoke the tokens when no other organisation is left on them."""
        self._grants.disconnect(tokens, tenant)

    def survey(self, access: Access, since: date | None) -> Survey:
        """Count what an import would bring."""
        return surveying.survey(self._client(access), since, partner=self._partner)

    def first_cursor(self, access: Access, kind: Kind, since: date | None) -> str:
        """Page 1, without a call."""
        return reading.first_cursor(since)

    def ahead(self, kind: Kind, cursor: str) -> Sequence[str]:
        """Page 1 alone, then all the rest."""
        return reading.ahead(cursor)

    def page(self, access: Access, kind: Kind, cursor: str) -> Page:
        """One page of an import or of what has changed."""
        return reading.read_page(self._client(access), kind, cursor)

    def invoice(self, access: Access, remote_id: str) -> UpstreamInvoice:
        """One invoice, fresh. A bill of the same id space is Gone: it is none of the merchant's invoices."""
        found = self._client(access).invoice(remote_id)
        if str(found.get("Type") or "").startswith("ACCPAY"):
            raise Gone("This is a bill, not an invoice.")
        try:
            return to_document(Kind.INVOICE, found)
        except Unmappable as problem:
            raise Refused(f"The invoice cannot be read: {problem}", "unreadable") from problem

    def invoice_pdf(self, access: Access, remote_id: str) -> bytes:
        """The PDF Xero prints."""
        return self._client(access).invoice_pdf(remote_id)

    def accounts(self, access: Access) -> Sequence[UpstreamAccount]:
        """Bank accounts, and accounts the merchant has enabled payments to."""
        try:
            return to_accounts(self._client(access).accounts())
        except Unmappable as problem:
            raise TryAgain(f"Xero's accounts cannot be read: {problem}") from problem

    def place_link(self, access: Access, spot: LinkSpot) -> PlacedLink:
        """Refused: links stand on themes. See `guide` and `place_on_theme`."""
        raise links.by_theme()

    def verify_link(self, access: Access, spot: LinkSpot) -> LinkState:
        """Refused: links stand on themes. See `themes`."""
        raise links.by_theme()

    def withdraw_link(self, access: Access, spot: LinkSpot) -> PlacedLink:
        """Nothing of ours stands on the invoice itself, so nothing is changed."""
        return PlacedLink(where="theme", before="", version="", changed=False)

    def guide(self, install_url: str) -> Guide | None:
        """The custom payment URL and how to set it up."""
        return links.guide(install_url)

    def themes(self, access: Access, install_url: str) -> Sequence[Theme]:
        """The branding themes, each a row to confirm; payment-service partners read the links back."""
        return links.themes(self._client(access), install_url, partner=self._partner)

    def place_on_theme(self, access: Access, theme: str, install_url: str) -> Theme:
        """For payment-service partners; all others are told to do it by hand."""
        if not self._partner:
            raise Refused(
                "Xero lets only the merchant choose the payment service of a theme: follow the steps.", "by_hand"
            )
        return links.place(self._client(access), theme, install_url)

    def find_payment(self, access: Access, intent: PaymentIntent) -> RemotePayment | None:
        """By the key at the start of Reference."""
        return payments.find(self._client(access), intent)

    def record_payment(self, access: Access, intent: PaymentIntent) -> RemotePayment:
        """One payment over one invoice. A refusal is cached by Xero for six minutes: retry with another key."""
        return payments.record(self._client(access), intent, access.extra.get("base_currency", ""))

    def reverse_payment(self, access: Access, payment: RemotePayment) -> None:
        """Delete it in Xero."""
        payments.reverse(self._client(access), payment)

    def verify(self, headers: Mapping[str, str], raw: bytes, secrets: Sequence[str], now: datetime) -> bool:
        """By signature alone; Xero signs no time."""
        return webhooks.verify(headers, raw, secrets)

    def parse(self, raw: bytes) -> Sequence[Event]:
        """Events of any number of organisations; none for intent to receive."""
        return webhooks.parse(raw)

    def _client(self, access: Access) -> Client:
        return Client(self._session, self._config, access)
