"""The consent screens a person clicks, the token endpoint, revocation and connections."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from integrations.simulator.faults import Faults
from integrations.simulator.store import to_json
from integrations.systems.xero.simulator.books import Books
from integrations.systems.xero.simulator.problems import ApiError
from integrations.systems.xero.simulator.tokens import OAuthRefused, Tokens

_CARRIED = ("client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge", "code_challenge_method")
_SCOPE_WORDS = {
    "accounting.invoices": "View and change your invoices, credit notes and quotes",
    "accounting.invoices.read": "View your invoices, credit notes and quotes",
    "accounting.payments": "View and record payments",
    "accounting.payments.read": "View your payments",
    "accounting.banktransactions": "View and record bank transactions",
    "accounting.contacts": "View and change your contacts",
    "accounting.contacts.read": "View your contacts",
    "accounting.settings": "View and change your organisation settings",
    "accounting.settings.read": "View your organisation settings",
    "accounting.attachments": "View and add attachments",
    "paymentservices": "Manage your payment services",
    "openid": "View your name, email and user profile",
    "offline_access": "Keep access while you are not signed in",
}


class ConsentRefused(Exception):
    """The consent cannot even start; Xero shows this to the person and does not send the browser back."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(error)
        self.error = error
        self.detail = detail


def oauth_blueprint(books: Books, tokens: Tokens, faults: Faults) -> Blueprint:
    """Routes under /identity/connect, /connect and /connections."""
    pages = Blueprint("oauth", __name__)
    config = books.config

    def asked() -> dict[str, str]:
        return {name: request.values.get(name, "") for name in _CARRIED}

    def check(sent: dict[str, str]) -> list[str]:
        if not hmac.compare_digest(sent["client_id"].encode(), config.client_id.encode()):
            raise ConsentRefused("unauthorized_client", "Unknown client or client not enabled")
        if not config.accepts_redirect(sent["redirect_uri"]):
            raise ConsentRefused("unauthorized_client", "Invalid redirect_uri")
        if sent["response_type"] != "code":
            raise ConsentRefused("unsupported_response_type", "response_type must be code")
        if sent["code_challenge"] and sent["code_challenge_method"] != "S256":
            raise ConsentRefused("invalid_request", "Transform algorithm not supported; use S256")
        scopes = sent["scope"].split()
        if not scopes:
            raise ConsentRefused("invalid_scope", "No scope was asked for")
        if refused := tokens.refused_scopes(scopes):
            raise ConsentRefused("invalid_scope", f"Not available to this app: {', '.join(refused)}")
        return scopes

    @pages.errorhandler(ConsentRefused)
    def refuse(problem: ConsentRefused) -> tuple[str, int]:
        return render_template("xero/consent_refused.html", problem=problem), 400

    @pages.get("/identity/connect/authorize")
    def authorize() -> str:
        sent = asked()
        scopes = check(sent)
        words = [_SCOPE_WORDS[scope] for scope in scopes if scope in _SCOPE_WORDS]
        return render_template(
            "xero/authorize.html",
            config=config,
            sent=sent,
            words=words,
            organisations=books.organisations(),
            email=config.user_email,
            missing=False,
        )

    @pages.post("/identity/connect/authorize")
    def decide() -> str | AnyResponse:
        """Form fields: `decision` (allow or cancel), `tenant` (one or several), `email`, and what was asked for."""
        sent = asked()
        scopes = check(sent)
        if request.form.get("decision") != "allow":
            return _back(sent, {"error": "access_denied", "error_description": "The user cancelled"})
        known = {doc["id"] for doc in books.organisations()}
        tenants = [tenant for tenant in request.form.getlist("tenant") if tenant in known]
        email = request.form.get("email", "").strip() or config.user_email
        if not tenants:
            words = [_SCOPE_WORDS[scope] for scope in scopes if scope in _SCOPE_WORDS]
            return render_template(
                "xero/authorize.html",
                config=config,
                sent=sent,
                words=words,
                organisations=books.organisations(),
                email=email,
                missing=True,
            )
        code = tokens.consent(email, tenants, scopes, sent["redirect_uri"], sent["code_challenge"])
        return _back(sent, {"code": code, "scope": " ".join(scopes)})

    @pages.post("/connect/token")
    def token() -> Response:
        form = request.form
        try:
            _authenticate(config.client_id, config.client_secret)
            if form.get("grant_type") == "authorization_code":
                answer = tokens.exchange(
                    form.get("code", ""), form.get("redirect_uri", ""), form.get("code_verifier", "")
                )
            elif form.get("grant_type") == "refresh_token":
                if faults.take("revoke_tokens", "token.refresh"):
                    tokens.revoke_refresh(form.get("refresh_token", ""))
                answer = tokens.refresh(form.get("refresh_token", ""))
            else:
                raise OAuthRefused("unsupported_grant_type")
        except OAuthRefused as problem:
            return _json({"error": problem.code}, problem.status)
        return _json(answer)

    @pages.post("/connect/revocation")
    def revocation() -> Response:
        try:
            _authenticate(config.client_id, config.client_secret)
        except OAuthRefused as problem:
            return _json({"error": problem.code}, problem.status)
        tokens.revoke(request.form.get("token", ""))
        return Response(status=200)

    @pages.get("/connections")
    @pages.get("/Connections")
    def connections() -> Response:
        access = tokens.check(request.headers.get("Authorization", ""))
        found = tokens.connections(access.user)
        if event := request.args.get("authEventId"):
            found = [doc for doc in found if doc["auth_event"] == event.lower()]
        return _json([tokens.show_connection(doc) for doc in found])

    @pages.delete("/connections/<connection_id>")
    @pages.delete("/Connections/<connection_id>")
    def disconnect(connection_id: str) -> Response:
        access = tokens.check(request.headers.get("Authorization", ""))
        return Response(status=204 if tokens.disconnect(access.user, connection_id) else 404)

    @pages.errorhandler(ApiError)
    def api_error(problem: ApiError) -> Response:
        response = _json(problem.body, problem.status)
        response.headers.update(problem.headers)
        return response

    return pages


def _back(sent: dict[str, str], result: dict[str, str]) -> AnyResponse:
    query = urlencode({**result, **({"state": sent["state"]} if sent["state"] else {})})
    separator = "&" if urlsplit(sent["redirect_uri"]).query else "?"
    return redirect(f"{sent['redirect_uri']}{separator}{query}", 302)


def _authenticate(client_id: str, client_secret: str) -> None:
    """The app proves itself by HTTP Basic, or by client_id and client_secret in the form."""
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            id, _, secret = base64.b64decode(sent, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise OAuthRefused("invalid_client", 400) from None
    else:
        id, secret = request.form.get("client_id", ""), request.form.get("client_secret", "")
    known = hmac.compare_digest(id.encode(), client_id.encode())
    if not (hmac.compare_digest(secret.encode(), client_secret.encode()) and known):
        raise OAuthRefused("invalid_client", 400)


def _json(body: dict[str, Any] | list[Any], status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(to_json(body), status, content_type="application/json", headers=headers)
