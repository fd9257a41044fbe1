"""QuickBooks Online as connector.contract asks for it: composes the parts of this folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

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
    InvoiceState,
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
from integrations.outcomes import from_status
from integrations.systems.quickbooks import links, mapping, pages, payments, webhooks
from integrations.systems.quickbooks.client import Client, literals
from integrations.systems.quickbooks.manifest import MANIFEST
from integrations.systems.quickbooks.survey import survey
from integrations.systems.quickbooks.values import Unmappable

_HARD_END = "x_refresh_token_hard_expires_in"
_ASK_HARD_END = {"x-include-refresh-token-hard-expires-in": "true"}
CURRENCY = "currency"
NAME = "name"


class QuickBooks:
    """QuickBooks Online. Fulfils BillingSystem and Sender.

    `Access.extra` may carry what `Tenant.extra` brought at connect: `currency` (the home currency) and `name`; where
    they are missing they are asked for.
    """

    manifest: Manifest = MANIFEST

    def __init__(self, config: AdapterConfig, limiter: Limiter) -> None:
        self._config = config
        self._session = Session(MANIFEST, config, limiter)

    def authorize_url(self, *, redirect_uri: str, state: str, code_verifier: str) -> str:
        return oauth.authorize_url(
            MANIFEST, self._config, redirect_uri=redirect_uri, state=state, code_verifier=code_verifier
        )

    def exchange(self, *, redirect_uri: str, answer: Mapping[str, str], code_verifier: str) -> Grant:
        code = oauth.code_from(MANIFEST, answer)
        realm = answer.get("realmId", "")
        if not (realm.isascii() and realm.isdigit() and len(realm) <= 30):
            raise Refused("QuickBooks did not say which company was chosen. Start the connection again.", "no_realm")
        tokens = _with_hard_end(
            oauth.fetch_tokens(
                self._session,
                self._config,
                redirect_uri=redirect_uri,
                code=code,
                code_verifier=code_verifier,
                headers=_ASK_HARD_END,
                keep=(_HARD_END,),
            )
        )
        return Grant(tokens, (self._tenant(realm, tokens),))

    def refresh(self, tokens: TokenSet) -> TokenSet:
        return _with_hard_end(
            oauth.refresh_tokens(self._session, self._config, tokens, headers=_ASK_HARD_END, keep=(_HARD_END,))
        )

    def revoke(self, tokens: TokenSet, tenant: Tenant) -> None:
        credentials = self._config.credentials
        with self._session.call("token.revoke"):
            response = self._session.post(
                self._config.endpoints["revoke"],
                json={"token": tokens.refresh or tokens.access},
                auth=(credentials["client_id"], credentials["client_secret"]),
                headers={"Accept": "application/json"},
            )
        # 400 is Intuit's answer for a token that is dead already.
        if response.status_code != 400 and not response.ok:
            raise from_status(MANIFEST.title, response.status_code, "")

    def survey(self, access: Access, since: date | None) -> Survey:
        client = self._client(access)
        name = access.extra.get(NAME) or str(client.company().get("CompanyName") or access.tenant)
        return survey(client, since, name, self._home_currency(access, client))

    def first_cursor(self, access: Access, kind: Kind, since: date | None) -> str:
        return pages.first_cursor(self._client(access), kind, since)

    def ahead(self, kind: Kind, cursor: str) -> Sequence[str]:
        return pages.ahead(cursor)

    def page(self, access: Access, kind: Kind, cursor: str) -> Page:
        client = self._client(access)
        return pages.page(client, kind, cursor, lambda: self._home_currency(access, client))

    def invoice(self, access: Access, remote_id: str) -> UpstreamInvoice:
        client = self._client(access)
        with _readable("invoice"):
            found = mapping.invoice(client.read("Invoice", remote_id), self._home_currency(access, client))
        if found.state is InvoiceState.DELETED:
            raise Gone("This invoice was deleted in QuickBooks.")
        return found

    def invoice_pdf(self, access: Access, remote_id: str) -> bytes:
        return self._client(access).pdf("Invoice", remote_id)

    def accounts(self, access: Access) -> Sequence[UpstreamAccount]:
        kinds = literals(("Bank", "Other Current Asset"))
        with _readable("account"):
            return [
                mapping.account(row)
                for row in self._client(access).rows("Account", f" WHERE AccountType IN {kinds} AND Active = true")
            ]

    def place_link(self, access: Access, spot: LinkSpot) -> PlacedLink:
        client = self._client(access)
        with _readable("invoice"):
            return links.place(client, spot, self._home_currency(access, client))

    def verify_link(self, access: Access, spot: LinkSpot) -> LinkState:
        return links.verify(self._client(access), spot)

    def withdraw_link(self, access: Access, spot: LinkSpot) -> PlacedLink:
        client = self._client(access)
        with _readable("invoice"):
            return links.withdraw(client, spot, self._home_currency(access, client))

    def guide(self, install_url: str) -> Guide | None:
        return None

    def themes(self, access: Access, install_url: str) -> Sequence[Theme]:
        return ()

    def place_on_theme(self, access: Access, theme: str, install_url: str) -> Theme:
        raise Refused("QuickBooks carries the link on each invoice, not on a template.", "by_invoice")

    def find_payment(self, access: Access, intent: PaymentIntent) -> RemotePayment | None:
        return payments.find(self._client(access), intent, intent.currency)

    def record_payment(self, access: Access, intent: PaymentIntent) -> RemotePayment:
        return payments.record(self._client(access), intent, intent.currency)

    def reverse_payment(self, access: Access, payment: RemotePayment) -> None:
        with _readable("payment"):
            payments.reverse(self._client(access), payment, payment.currency)

    def verify(self, headers: Mapping[str, str], raw: bytes, secrets: Sequence[str], now: datetime) -> bool:
        return webhooks.verify(headers, raw, secrets)

    def parse(self, raw: bytes) -> Sequence[Event]:
        return webhooks.parse(raw)

    def _client(self, access: Access) -> Client:
        return Client(self._session, self._config.endpoints["api"], access)

    def _home_currency(self, access: Access, client: Client) -> str:
        return access.extra.get(CURRENCY) or _currency_of(client)

    def _tenant(self, realm: str, tokens: TokenSet) -> Tenant:
        """The company's name and home currency. A code works once: what cannot be read now is read later instead."""
        client = self._client(Access("", realm, lambda refused: tokens.access, {}))
        try:
            name, currency = str(client.company().get("CompanyName") or ""), _currency_of(client)
        except TryAgain:
            name, currency = "", ""
        name = name or f"QuickBooks company {realm}"
        extra = {key: value for key, value in ((NAME, name), (CURRENCY, currency)) if value}
        return Tenant(ref=realm, name=name, currency=currency, extra=extra)


def _currency_of(client: Client) -> str:
    preferences = client.preferences().get("CurrencyPrefs")
    home = preferences.get("HomeCurrency") if isinstance(preferences, dict) else None
    return str(home.get("value") or "") if isinstance(home, dict) else ""


def _with_hard_end(tokens: TokenSet) -> TokenSet:
    """Bound the refresh token's end by the five-year limit, which Intuit tells in seconds from now."""
    extra = dict(tokens.extra or {})
    seconds = extra.pop(_HARD_END, "")
    if not seconds.isdigit():
        return tokens
    hard_end = datetime.now(UTC) + timedelta(seconds=int(seconds))
    extra["hard_end"] = hard_end.isoformat(timespec="seconds")
    ends = min(tokens.refresh_expires, hard_end) if tokens.refresh_expires else hard_end
    return replace(tokens, refresh_expires=ends, extra=extra)


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """One record that cannot be mapped is a plain no, with its reason."""
    try:
        yield
    except Unmappable as reason:
        raise Refused(f"QuickBooks sent this {what} in a form that cannot be read: {reason}", "unreadable") from reason
