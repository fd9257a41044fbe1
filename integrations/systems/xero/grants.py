"""Connecting and disconnecting: one consent may open several organisations, each by a connection of its own.

Sources: Xero's identity OpenAPI, developer.xero.com/documentation/guides/oauth2/auth-flow and …/tenants.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import requests

from connector.contract import Access, Answer, Disconnected, Refused, Tenant, TokenSet, TryAgain
from connector.manifest import AdapterConfig
from integrations.http import Session
from integrations.oauth import refresh_tokens
from integrations.outcomes import lost
from integrations.systems.xero.client import Client
from integrations.systems.xero.manifest import REFRESH_LIFETIME
from integrations.systems.xero.mapping import decode
from integrations.systems.xero.refusals import TITLE, judge

_EVENT_CLAIM = "authentication_event_id"
_GRANT = "auth_event_id"


class Grants:
    """Xero's identity side: tokens, connections, the end of both."""

    def __init__(self, session: Session, config: AdapterConfig) -> None:
        self._session = session
        self._config = config

    def dated(self, tokens: TokenSet) -> TokenSet:
        """Tokens with what Xero does not say of them: the refresh token's end, and the consent they came from."""
        extra = {**(tokens.extra or {})}
        if event := claim(tokens.access, _EVENT_CLAIM):
            extra[_GRANT] = event
        ends = datetime.now(UTC) + timedelta(seconds=REFRESH_LIFETIME)
        return replace(tokens, refresh_expires=ends, extra=extra or None)

    def tenants(self, tokens: TokenSet) -> tuple[Tenant, ...]:
        """The organisations of this consent, each with name, base currency and short code."""
        event = (tokens.extra or {}).get(_GRANT, "")
        rows = [row for row in self._connections(tokens, event) if row.get("tenantType") == "ORGANISATION"]
        if not rows:
            raise Refused("No organisation was chosen in Xero. Connect again and choose one.", "no_organisation")
        return tuple(self._tenant(tokens, row) for row in rows)

    def disconnect(self, tokens: TokenSet, tenant: Tenant) -> None:
        """Delete the tenant's connection (Xero bills by it), and revoke the tokens when it was the last."""
        try:
            # Every Xero call here needs a live access token; the rotation serves this disconnection only.
            if tokens.access_expires <= datetime.now(UTC) + timedelta(seconds=30):
                tokens = refresh_tokens(self._session, self._config, tokens)
            self._delete_connection(tokens, (tenant.extra or {}).get("connection_id", ""), tenant.ref)
            if not self._connections(tokens, ""):
                self._revoke(tokens)
        except Disconnected:
            return

    def _tenant(self, tokens: TokenSet, row: Mapping[str, Any]) -> Tenant:
        ref = str(row["tenantId"])
        extra = {"connection_id": str(row["id"])}
        access = Access(connection="", tenant=ref, token=lambda _: tokens.access, extra={})
        try:
            found = Client(self._session, self._config, access).organisation()
        except Answer:
            # The code is spent: a hiccup here must not cost the merchant the whole consent.
            return Tenant(ref, str(row.get("tenantName") or ""), "", extra)
        currency = str(found.get("BaseCurrency") or "")
        extra |= {"short_code": str(found.get("ShortCode") or ""), "base_currency": currency}
        return Tenant(ref, str(found.get("Name") or row.get("tenantName") or ""), currency, extra)

    def _connections(self, tokens: TokenSet, event: str) -> list[Mapping[str, Any]]:
        query = {"authEventId": event} if event else {}
        with self._session.call("connections.list") as call:
            answer = self._session.get(self._config.endpoints["connections"], params=query, headers=_bearer(tokens))
            if answer.status_code == 401:
                raise Disconnected("Xero no longer accepts our access. Connect again.")
            if answer.status_code != 200:
                raise judge(answer)
            try:
                rows = decode(answer.content)
            except ValueError as error:
                raise lost(TITLE, call, "sent a list of organisations that cannot be read") from error
        if not isinstance(rows, list):
            raise TryAgain("Xero sent no list of organisations.")
        return [row for row in rows if isinstance(row, dict) and row.get("id") and row.get("tenantId")]

    def _delete_connection(self, tokens: TokenSet, connection_id: str, tenant: str) -> None:
        if not connection_id:
            named = (str(row["id"]) for row in self._connections(tokens, "") if row["tenantId"] == tenant)
            connection_id = next(named, "")
            if not connection_id:
                return
        url = f"{self._config.endpoints['connections']}/{quote(connection_id, safe='')}"
        # Deleting twice is harmless, so a lost answer is asked again, not looked up.
        with self._session.call("connection.delete", expects="html"):
            answer = self._session.delete(url, headers=_bearer(tokens))
        if answer.status_code == 401:
            raise Disconnected("Xero no longer accepts our access.")
        if answer.status_code not in (200, 204, 404):
            raise judge(answer)

    def _revoke(self, tokens: TokenSet) -> None:
        app = (self._config.credentials["client_id"], self._config.credentials["client_secret"])
        with self._session.call("token.revoke", expects="html"):
            answer: requests.Response = self._session.post(
                self._config.endpoints["revoke"], data={"token": tokens.refresh}, auth=app
            )
        if answer.status_code not in (200, 204, 400):
            raise judge(answer)


def claim(token: str, name: str) -> str:
    """A text claim of an access token we have just been given over TLS; empty when there is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return ""
    value = claims.get(name) if isinstance(claims, dict) else None
    return value if isinstance(value, str) else ""


def _bearer(tokens: TokenSet) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.access}", "Accept": "application/json"}
