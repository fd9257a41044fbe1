"""Intuit's sign-in: the consent page a person clicks, the token endpoint, revocation, the discovery document.

Source: developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from integrations.systems.quickbooks.simulator.settings import ACCOUNTING_SCOPE, SCOPES
from integrations.systems.quickbooks.simulator.tokens import TokenRefused
from integrations.systems.quickbooks.simulator.upstream import upstream

blueprint = Blueprint("oauth", __name__)


@blueprint.get("/connect/oauth2")
def consent() -> tuple[str, int] | BaseResponse:
    """The page that asks which company to connect."""
    problem = _refusal()
    if problem:
        return render_template("consent_error.html", problem=problem), 400
    error = _scope_error()
    if error:
        return _back({"error": error})
    return render_template("consent.html", companies=upstream().settings.companies, asked=request.args), 200


@blueprint.post("/connect/oauth2")
def decide() -> tuple[str, int] | BaseResponse:
    """Connect or Cancel was pressed."""
    problem = _refusal()
    if problem:
        return render_template("consent_error.html", problem=problem), 400
    error = _scope_error()
    if error:
        return _back({"error": error})
    if request.form.get("decision") != "connect":
        return _back({"error": "access_denied", "error_description": "The user did not grant permission"})
    realm = request.form.get("realm", "")
    if realm not in upstream().books:
        return render_template("consent_error.html", problem="Choose one of the companies shown."), 400
    code = upstream().tokens.issue_code(
        realm=realm, redirect_uri=request.args["redirect_uri"], scope=request.args["scope"]
    )
    return _back({"code": code, "realmId": realm})


@blueprint.post("/oauth2/v1/tokens/bearer")
def token() -> tuple[Response, int]:
    """Exchange a code, or refresh."""
    if not _client_known():
        return jsonify(error="invalid_client"), 401
    grant_type = request.form.get("grant_type", "")
    try:
        if grant_type == "authorization_code":
            answer = upstream().tokens.exchange(request.form.get("code", ""), request.form.get("redirect_uri", ""))
        elif grant_type == "refresh_token":
            answer = _refresh(request.form.get("refresh_token", ""))
        else:
            raise TokenRefused("unsupported_grant_type", f"grant_type {grant_type} is not supported")
    except TokenRefused as refusal:
        return jsonify(error=refusal.error, error_description=refusal.description), 400
    if request.headers.get("x-include-refresh-token-hard-expires-in", "").lower() != "true":
        del answer["x_refresh_token_hard_expires_in"]
    response = jsonify(answer)
    response.headers["Cache-Control"] = "no-store"
    return response, 200


@blueprint.post("/v2/oauth2/tokens/revoke")
def revoke() -> tuple[Response, int] | tuple[str, int]:
    """End a connection."""
    if not _client_known():
        return jsonify(error="invalid_client"), 401
    body: Any = request.get_json(silent=True)
    sent = body.get("token") if isinstance(body, dict) else request.form.get("token")
    if not isinstance(sent, str) or not upstream().tokens.revoke(sent):
        return jsonify(error="invalid_request", error_description="The token is not known"), 400
    return "", 200


@blueprint.get("/.well-known/openid_configuration")
def discovery() -> Response:
    """Where everything is, in Intuit's document."""
    url = upstream().public_url
    return jsonify(
        issuer=url,
        authorization_endpoint=f"{url}/connect/oauth2",
        token_endpoint=f"{url}/oauth2/v1/tokens/bearer",
        revocation_endpoint=f"{url}/v2/oauth2/tokens/revoke",
        response_types_supported=["code"],
        scopes_supported=sorted(SCOPES),
        token_endpoint_auth_methods_supported=["client_secret_post", "client_secret_basic"],
    )


def _refresh(refresh_token: str) -> dict[str, Any]:
    if upstream().faults.take("revoke_tokens", "token.refresh"):
        upstream().tokens.revoke(refresh_token)
    return upstream().tokens.refresh(refresh_token)


def _refusal() -> str:
    """Why the request cannot even be sent back to its application; empty when it can."""
    settings, asked = upstream().settings, request.args
    if asked.get("client_id") != settings.client_id:
        return "The client_id query parameter is missing or belongs to no application."
    if not settings.takes_redirect(asked.get("redirect_uri", "")):
        return (
            "The redirect_uri query parameter value is invalid. Make sure it is listed in the Redirect URIs section of "
            "your application's keys and matches exactly."
        )
    if not asked.get("state"):
        return "The state query parameter is missing."
    return ""


def _scope_error() -> str:
    if request.args.get("response_type") != "code":
        return "unsupported_response_type"
    scopes = set(request.args.get("scope", "").split())
    return "" if ACCOUNTING_SCOPE in scopes and scopes <= SCOPES else "invalid_scope"


def _back(arguments: dict[str, str]) -> BaseResponse:
    target = request.args["redirect_uri"]
    arguments = {**arguments, "state": request.args["state"]}
    return redirect(f"{target}{'&' if '?' in target else '?'}{urlencode(arguments)}")


def _client_known() -> bool:
    """Basic authentication, or id and secret in the form."""
    settings = upstream().settings
    id, secret = request.form.get("client_id", ""), request.form.get("client_secret", "")
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            current_app.logger.info("unreadable Basic authentication")
            return False
    return hmac.compare_digest(id.encode(), settings.client_id.encode()) and hmac.compare_digest(
        secret.encode(), settings.client_secret.encode()
    )
