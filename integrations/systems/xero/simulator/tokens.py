"""Grants, codes, access and refresh tokens, connections: everything a consent leads to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from integrations.simulator.store import Document, from_json, to_json
from integrations.systems.xero.simulator.books import ORGANISATIONS, Books, new_id
from integrations.systems.xero.simulator.problems import unauthorized

CODE, GRANT, REFRESH, CONNECTION = "oauth_code", "oauth_grant", "oauth_refresh", "connection"

IDENTITY_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
_GRANULAR = (
    "accounting.invoices",
    "accounting.payments",
    "accounting.banktransactions",
    "accounting.manualjournals",
    "accounting.contacts",
    "accounting.settings",
    "accounting.attachments",
)
GRANULAR_SCOPES = frozenset(_GRANULAR) | {f"{scope}.read" for scope in _GRANULAR}
BROAD_SCOPES = frozenset({"accounting.transactions", "accounting.transactions.read"})
_BROAD_COVERS = ("accounting.invoices", "accounting.payments", "accounting.banktransactions")
PARTNER_SCOPE = "paymentservices"
_SIGNING_KEY = b"the simulator signs its tokens so that a forged one is refused"


class OAuthRefused(Exception):
    """A token request is refused; the code is OAuth's, such as invalid_grant."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


@dataclass(frozen=True)
class Access:
    """What a valid access token stands for."""

    user: str
    auth_event: str
    scopes: frozenset[str]
    jti: str
    grant: str


class Tokens:
    """Issues and checks tokens; lifetimes come from the configuration."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._store = books.store
        self._config = books.config
        self._clock = books.clock

    def refused_scopes(self, scopes: list[str]) -> list[str]:
        """Those that make the whole consent fail: broad ones for a new app, partners' ones without the agreement."""
        allowed = IDENTITY_SCOPES | GRANULAR_SCOPES
        if not self._config.new_app:
            allowed |= BROAD_SCOPES
        if self._config.partner:
            allowed |= {PARTNER_SCOPE}
        return [scope for scope in scopes if scope not in allowed]

    def consent(self, user: str, tenants: list[str], scopes: list[str], redirect_uri: str, challenge: str) -> str:
        """Connect the organisations and return the single-use code. One consent is one authentication event."""
        now, event = self._clock.time(), new_id()
        with self._books.transaction():
            for tenant in tenants:
                known = self._connection_of(user, tenant)
                doc = known or {"id": new_id(), "tenant": tenant, "user": user, "created": self._stamp()}
                doc.update(auth_event=event, updated=self._stamp())
                self._books.put(CONNECTION, doc["id"], doc)
            code = secrets.token_urlsafe(32)
            self._store.put(
                CODE,
                code,
                {
                    "user": user,
                    "auth_event": event,
                    "scopes": scopes,
                    "redirect_uri": redirect_uri,
                    "challenge": challenge,
                    "expires": str(now + self._config.code_lifetime),
                    "used": False,
                },
            )
        return code

    def exchange(self, code: str, redirect_uri: str, verifier: str) -> dict[str, Any]:
        """authorization_code: once, within its lifetime, with the same redirect address and the PKCE verifier."""
        with self._books.transaction():
            doc = self._store.get(CODE, code)
            if doc is None or doc["used"] or float(doc["expires"]) <= self._clock.time():
                raise OAuthRefused("invalid_grant")
            if doc["redirect_uri"] != redirect_uri or not _proves(doc["challenge"], verifier):
                raise OAuthRefused("invalid_grant")
            self._store.put(CODE, code, {**doc, "used": True})
            grant = {"id": new_id(), "user": doc["user"], "auth_event": doc["auth_event"], "scopes": doc["scopes"]}
            self._store.put(GRANT, grant["id"], {**grant, "revoked": False, "expired": []})
            return self._issue(grant)

    def refresh(self, token: str) -> dict[str, Any]:
        """refresh_token: rotates every time. A used one works again for the grace time, in case the answer was lost."""
        with self._books.transaction():
            doc = self._store.get(REFRESH, token)
            grant = self._store.get(GRANT, doc["grant"]) if doc else None
            now = self._clock.time()
            if doc is None or grant is None or grant["revoked"] or float(doc["expires"]) <= now:
                raise OAuthRefused("invalid_grant")
            if doc["used"] is not None and now - float(doc["used"]) >= self._config.refresh_grace:
                raise OAuthRefused("invalid_grant")
            if doc["used"] is None:
                self._store.put(REFRESH, token, {**doc, "used": str(now)})
            return self._issue(grant)

    def revoke(self, token: str) -> None:
        """Kill the grant behind a refresh token and remove all of that user's connections; unknown tokens are fine."""
        with self._books.transaction():
            doc = self._store.get(REFRESH, token)
            grant = self._store.get(GRANT, doc["grant"]) if doc else None
            if grant is None:
                return
            self.revoke_grant(grant["id"])
            for connection in self.connections(grant["user"]):
                self._books.delete(CONNECTION, connection["id"])

    def revoke_grant(self, grant_id: str) -> None:
        """Neither its access tokens nor its refresh tokens work any more."""
        grant = self._store.get(GRANT, grant_id)
        if grant is not None:
            self._store.put(GRANT, grant_id, {**grant, "revoked": True})

    def revoke_refresh(self, token: str) -> None:
        """Kill the grant behind a refresh token, connections staying as they are."""
        doc = self._store.get(REFRESH, token)
        if doc is not None:
            self.revoke_grant(doc["grant"])

    def expire(self, access: Access) -> None:
        """Let one access token be expired before its time."""
        grant = self._store.get(GRANT, access.grant)
        if grant is not None:
            self._store.put(GRANT, access.grant, {**grant, "expired": [*grant["expired"], access.jti]})

    def check(self, authorization: str) -> Access:
        """The access behind a bearer header. Raises the 401 for anything not valid now."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthorized("AuthorizationUnsuccessful")
        claims = _open(token)
        grant = self._store.get(GRANT, str(claims.get("sid", ""))) if claims else None
        if claims is None or grant is None or grant["revoked"]:
            raise unauthorized("TokenInvalidSignature" if claims is None else "AuthorizationUnsuccessful")
        if claims["exp"] <= self._clock.time() or claims["jti"] in grant["expired"]:
            expired_at = datetime.fromtimestamp(claims["exp"], UTC).strftime("%m/%d/%Y %H:%M:%S")
            raise unauthorized(f"TokenExpired: token expired at {expired_at}")
        return Access(
            user=claims["xero_userid"],
            auth_event=claims["authentication_event_id"],
            scopes=frozenset(claims["scope"]),
            jti=claims["jti"],
            grant=grant["id"],
        )

    def connections(self, user: str) -> list[Document]:
        """The organisations a user gave the app, whatever the consent."""
        return [doc for doc in self._books.all(CONNECTION) if doc["user"] == user]

    def may_use(self, access: Access, tenant: str) -> bool:
        """Whether the token's user connected that organisation."""
        return self._connection_of(access.user, tenant) is not None

    def show_connection(self, doc: Document) -> dict[str, Any]:
        """A connection as GET /connections lists it."""
        organisation = self._store.get(ORGANISATIONS, doc["tenant"]) or {"name": ""}
        return {
            "id": doc["id"],
            "authEventId": doc["auth_event"],
            "tenantId": doc["tenant"],
            "tenantType": "ORGANISATION",
            "tenantName": organisation["name"],
            "createdDateUtc": doc["created"],
            "updatedDateUtc": doc["updated"],
        }

    def disconnect(self, user: str | None, connection_id: str) -> bool:
        """Remove one connection; False when there is none of that id. A person in Xero passes no user."""
        doc = self._store.get(CONNECTION, connection_id.lower())
        if doc is None or (user is not None and doc["user"] != user):
            return False
        self._books.delete(CONNECTION, doc["id"])
        return True

    def _connection_of(self, user: str, tenant: str) -> Document | None:
        found = (doc for doc in self.connections(user) if doc["tenant"] == tenant.lower())
        return next((dict(doc) for doc in found), None)

    def _issue(self, grant: Document) -> dict[str, Any]:
        now = int(self._clock.time())
        scopes = list(grant["scopes"])
        claims = {
            "nbf": now,
            "exp": now + self._config.access_lifetime,
            "iss": "https://identity.xero.com",
            "aud": "https://identity.xero.com/resources",
            "client_id": self._config.client_id,
            "sub": hashlib.sha256(grant["user"].encode()).hexdigest()[:32],
            "auth_time": now,
            "xero_userid": grant["user"],
            "sid": grant["id"],
            "jti": secrets.token_hex(16),
            "authentication_event_id": grant["auth_event"],
            "scope": scopes,
        }
        answer: dict[str, Any] = {
            "access_token": _seal(claims),
            "expires_in": self._config.access_lifetime,
            "token_type": "Bearer",
            "scope": " ".join(scopes),
        }
        if "openid" in scopes:
            identity = {name: claims[name] for name in ("nbf", "iss", "sub", "auth_time", "xero_userid", "sid")}
            identity.update(aud=self._config.client_id, exp=now + 300, email=grant["user"])
            answer["id_token"] = _seal(identity)
        if "offline_access" in scopes:
            token = secrets.token_urlsafe(32)
            expires = str(now + self._config.refresh_lifetime)
            self._store.put(REFRESH, token, {"grant": grant["id"], "expires": expires, "used": None})
            answer["refresh_token"] = token
        return answer

    def _stamp(self) -> str:
        return f"{self._clock.now().replace(tzinfo=None).isoformat(timespec='microseconds')}0"


def allows(scopes: frozenset[str], needed: str, method: str) -> bool:
    """Whether granted scopes cover a call; `.read` is enough to GET, a broad scope covers what it was split into."""
    wanted = {needed, "accounting.transactions"} if needed in _BROAD_COVERS else {needed}
    if method == "GET":
        wanted |= {f"{scope}.read" for scope in wanted}
    return bool(wanted & scopes)


def _proves(challenge: str, verifier: str) -> bool:
    if not challenge:
        return True
    digest = hashlib.sha256(verifier.encode()).digest()
    return hmac.compare_digest(_base64url(digest), challenge)


def _seal(claims: dict[str, Any]) -> str:
    head = _base64url(b'{"alg":"HS256","typ":"JWT"}')
    signed = f"{head}.{_base64url(to_json(claims))}"
    return f"{signed}.{_base64url(hmac.digest(_SIGNING_KEY, signed.encode(), 'sha256'))}"


def _open(token: str) -> dict[str, Any] | None:
    signed, _, signature = token.rpartition(".")
    expected = _base64url(hmac.digest(_SIGNING_KEY, signed.encode(), "sha256"))
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        return None
    payload = signed.rpartition(".")[2]
    try:
        claims = from_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, msgspec.DecodeError):
        return None
    return claims if isinstance(claims, dict) and "jti" in claims else None


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
