"""Codes and tokens: single-use codes, hourly access tokens, refresh tokens whose value changes about every 24 hours."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from integrations.simulator.clock import Clock
from integrations.simulator.store import Store
from integrations.systems.quickbooks.simulator.settings import QuickBooksSettings

_CODE = "oauth-code"
_GRANT = "oauth-grant"
_ACCESS = "oauth-access"
_REFRESH = "oauth-refresh"


class TokenRefused(Exception):
    """An OAuth error answer; `error` is the RFC 6749 word."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description


@dataclass(frozen=True)
class Access:
    """What an access token allows."""

    realm: str
    grant: str
    scope: str


class Tokens:
    """Issues and checks every token; everything is kept in the store, so a restart forgets nothing."""

    def __init__(self, store: Store, clock: Clock, settings: QuickBooksSettings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings

    def issue_code(self, *, realm: str, redirect_uri: str, scope: str) -> str:
        """A single-use authorization code."""
        code = "AB1" + secrets.token_urlsafe(30)
        doc = {"realm": realm, "redirect_uri": redirect_uri, "scope": scope, "grant": "", "at": self._now()}
        self._store.put(_CODE, code, doc)
        return code

    def exchange(self, code: str, redirect_uri: str) -> dict[str, Any]:
        """Turn a code into tokens; TokenRefused for an unknown, old or used one (which also kills what it gave)."""
        refusal: TokenRefused | None = None
        answer: dict[str, Any] = {}
        with self._store.transaction():
            doc = self._store.get(_CODE, code)
            if doc is None:
                refusal = TokenRefused("invalid_grant", "Invalid authorization code")
            elif doc["grant"]:
                self._revoke_grant(doc["grant"])
                refusal = TokenRefused("invalid_grant", "Authorization code was used before")
            elif self._now() - doc["at"] > self._settings.code_seconds:
                refusal = TokenRefused("invalid_grant", "Authorization code expired")
            elif doc["redirect_uri"] != redirect_uri:
                refusal = TokenRefused("invalid_grant", "redirect_uri does not match")
            else:
                grant = secrets.token_hex(12)
                self._store.put(_CODE, code, {**doc, "grant": grant})
                self._store.put(
                    _GRANT, grant, {"realm": doc["realm"], "scope": doc["scope"], "revoked": False, "at": self._now()}
                )
                answer = self._answer(grant, self._new_refresh(grant))
        if refusal is not None:
            raise refusal
        return answer

    def refresh(self, refresh_token: str) -> dict[str, Any]:
        """New access token, and from time to time a new refresh token; TokenRefused for a dead one."""
        refusal: TokenRefused | None = None
        answer: dict[str, Any] = {}
        with self._store.transaction():
            doc = self._store.get(_REFRESH, refresh_token)
            grant = self._store.get(_GRANT, doc["grant"]) if doc else None
            now = self._now()
            if doc is None or grant is None:
                refusal = TokenRefused("invalid_grant", "Incorrect or invalid refresh token")
            elif grant["revoked"]:
                refusal = TokenRefused("invalid_grant", "Token revoked")
            elif doc["replaced"]:
                if self._settings.reuse_revokes:
                    self._revoke_grant(doc["grant"])
                refusal = TokenRefused("invalid_grant", "Incorrect Token type or clientID")
            elif now - doc["used"] > self._settings.refresh_seconds:
                refusal = TokenRefused("invalid_grant", "Refresh token expired")
            elif now - grant["at"] > self._settings.refresh_hard_seconds:
                refusal = TokenRefused("invalid_grant", "Refresh token reached its maximum age")
            else:
                token = refresh_token
                self._store.put(_REFRESH, token, {**doc, "used": now})
                if now - doc["at"] >= self._settings.refresh_rotates_after:
                    self._store.put(_REFRESH, token, {**doc, "used": now, "replaced": True})
                    token = self._new_refresh(doc["grant"])
                answer = self._answer(doc["grant"], token)
        if refusal is not None:
            raise refusal
        return answer

    def revoke(self, token: str) -> bool:
        """Kill the whole connection an access or refresh token belongs to; False when it is unknown."""
        with self._store.transaction():
            doc = self._store.get(_REFRESH, token) or self._store.get(_ACCESS, token)
            if doc is None:
                return False
            self._revoke_grant(doc["grant"])
        return True

    def disconnect(self, realm: str) -> int:
        """Kill every connection to a company, as its owner does inside QuickBooks; returns how many there were."""
        killed = 0
        with self._store.transaction():
            for id, _ in self._store.bodies(_GRANT):
                grant = self._store.get(_GRANT, id)
                if grant is not None and grant["realm"] == realm and not grant["revoked"]:
                    self._revoke_grant(id)
                    killed += 1
        return killed

    def access(self, token: str) -> Access | None:
        """What a live access token allows; None for an unknown, expired or revoked one."""
        doc = self._store.get(_ACCESS, token)
        grant = self._store.get(_GRANT, doc["grant"]) if doc else None
        if doc is None or grant is None or grant["revoked"]:
            return None
        if self._now() - doc["at"] >= self._settings.access_seconds:
            return None
        return Access(grant["realm"], doc["grant"], grant["scope"])

    def expire(self, token: str) -> None:
        """Make an access token old at once."""
        doc = self._store.get(_ACCESS, token)
        if doc is not None:
            self._store.put(_ACCESS, token, {**doc, "at": doc["at"] - self._settings.access_seconds})

    def _revoke_grant(self, grant: str) -> None:
        doc = self._store.get(_GRANT, grant)
        if doc is not None:
            self._store.put(_GRANT, grant, {**doc, "revoked": True})

    def _new_refresh(self, grant: str) -> str:
        token = "RT1-" + secrets.token_urlsafe(30)
        now = self._now()
        self._store.put(_REFRESH, token, {"grant": grant, "at": now, "used": now, "replaced": False})
        return token

    def _answer(self, grant: str, refresh_token: str) -> dict[str, Any]:
        access_token = "eyJ" + secrets.token_urlsafe(60)
        now = self._now()
        self._store.put(_ACCESS, access_token, {"grant": grant, "at": now})
        issued = self._store.get(_GRANT, grant)
        age = now - issued["at"] if issued else 0
        return {
            "token_type": "bearer",
            "access_token": access_token,
            "expires_in": self._settings.access_seconds,
            "refresh_token": refresh_token,
            "x_refresh_token_expires_in": self._settings.refresh_seconds,
            "x_refresh_token_hard_expires_in": self._settings.refresh_hard_seconds - age,
        }

    def _now(self) -> int:
        return int(self._clock.time())
