"""OAuth 2 on requests-oauthlib: where to consent, code for tokens, refresh, and a keeper of tokens.

The library's own automatic refresh is not used: it has no lock and adds the call's arguments to the token request.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from oauthlib.oauth2 import InvalidGrantError, OAuth2Error, WebApplicationClient
from requests_oauthlib import OAuth2Session

from connector.contract import Answer, BillingSystem, Disconnected, Refused, TokenSet, TokenStore, TryAgain
from connector.manifest import AdapterConfig, Manifest
from integrations.http import Session, fit_out

EARLY = timedelta(minutes=5)
LEASE_SECONDS = 90.0
WAIT_SECONDS = 10.0
_POLL = 0.1

# At DEBUG these write codes, secrets and tokens.
for _talkative in ("oauthlib", "requests_oauthlib"):
    logging.getLogger(_talkative).setLevel(logging.WARNING)


def authorize_url(
    manifest: Manifest, config: AdapterConfig, *, redirect_uri: str, state: str, code_verifier: str
) -> str:
    """Where the merchant's browser goes to consent; with PKCE (S256) where the manifest says so."""
    client = WebApplicationClient(config.credentials["client_id"])
    challenge: dict[str, str] = {}
    if manifest.pkce:
        challenge = {
            "code_challenge": client.create_code_challenge(code_verifier, "S256"),
            "code_challenge_method": "S256",
        }
    session = OAuth2Session(client=client, redirect_uri=redirect_uri, scope=list(manifest.scopes))
    url, _ = session.authorization_url(config.endpoints["authorize"], state=state, **challenge)
    return str(url)


def code_from(manifest: Manifest, answer: Mapping[str, str]) -> str:
    """The code in the callback's query. Raises Refused with the reason when the merchant or the vendor said no."""
    if answer.get("error") == "access_denied":
        raise Refused(f"The connection to {manifest.title} was not allowed. Nothing was connected.", "access_denied")
    if error := answer.get("error"):
        told = "".join(sign for sign in error if sign.isalnum() or sign in "_-")[:60]
        raise Refused(f"{manifest.title} could not make the connection ({told}). Try again.", told)
    if not answer.get("code"):
        raise Refused(f"{manifest.title} sent no code. Start the connection again.", "no_code")
    return answer["code"]


def fetch_tokens(
    session: Session,
    config: AdapterConfig,
    *,
    redirect_uri: str,
    code: str,
    code_verifier: str,
    headers: Mapping[str, str] | None = None,
    keep: Sequence[str] = (),
) -> TokenSet:
    """Turn an authorization code into tokens. `keep` names further fields of the answer to be kept in `extra`.

    Raises Refused for a code that is expired, used or made for another address, TryAgain when nothing answered.
    """
    url = _token_url(session.manifest, config)
    verifier = {"code_verifier": code_verifier} if session.manifest.pkce else {}

    def ask(oauth: OAuth2Session) -> Mapping[str, object]:
        answer: Mapping[str, object] = oauth.fetch_token(
            url,
            code=code,
            auth=_app(config),
            headers=_form_headers(headers),
            **verifier,  # type: ignore[arg-type]
        )
        return answer

    try:
        return _tokens(_ask(session, config, "token.exchange", redirect_uri, ask), keep, None)
    except InvalidGrantError as error:
        raise Refused(
            f"{session.manifest.title} says the code has expired or was used before. Start the connection again.",
            "invalid_grant",
        ) from error


def refresh_tokens(
    session: Session,
    config: AdapterConfig,
    tokens: TokenSet,
    *,
    headers: Mapping[str, str] | None = None,
    keep: Sequence[str] = (),
) -> TokenSet:
    """Rotate. The caller holds the connection's lease and stores the result before it uses it.

    Raises Disconnected when the grant has ended; after a lost answer TryAgain, because asking with the same refresh
    token once more is what both vendors allow for.
    """
    url = _token_url(session.manifest, config)

    def ask(oauth: OAuth2Session) -> Mapping[str, object]:
        answer: Mapping[str, object] = oauth.refresh_token(
            url, refresh_token=tokens.refresh, auth=_app(config), headers=_form_headers(headers)
        )
        return answer

    try:
        return _tokens(_ask(session, config, "token.refresh", None, ask), keep, tokens)
    except InvalidGrantError as error:
        raise Disconnected(f"{session.manifest.title} has ended our access. Connect again.") from error


def _ask(
    session: Session,
    config: AdapterConfig,
    operation: str,
    redirect_uri: str | None,
    ask: Callable[[OAuth2Session], Mapping[str, object]],
) -> Mapping[str, object]:
    title = session.manifest.title
    # No scope is named: the vendors answer with more or other scopes than asked, which the library takes for a fault.
    with OAuth2Session(config.credentials["client_id"], redirect_uri=redirect_uri) as oauth:
        fit_out(oauth, session.transport)
        try:
            with session.call(operation):
                return ask(oauth)
        except InvalidGrantError:
            raise
        except OAuth2Error as error:
            if error.error in ("invalid_client", "unauthorized_client"):
                raise Refused(
                    f"{title} does not accept this app's client id and secret; the operator must check them.",
                    str(error.error),
                ) from error
            raise TryAgain(f"{title} gave no usable answer to the request for tokens ({error.error}).") from error
        except ValueError as error:
            raise TryAgain(f"{title} gave no readable answer to the request for tokens.") from error


def _token_url(manifest: Manifest, config: AdapterConfig) -> str:
    url = config.endpoints["token"]
    if urlsplit(url).scheme != "https" and not os.environ.get("OAUTHLIB_INSECURE_TRANSPORT"):
        raise Refused(f"The token address of {manifest.title} must start with https://.", "insecure_transport")
    return url


def _app(config: AdapterConfig) -> tuple[str, str]:
    return config.credentials["client_id"], config.credentials["client_secret"]


def _form_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded", **(headers or {})}


def _tokens(answer: Mapping[str, object], keep: Sequence[str], before: TokenSet | None) -> TokenSet:
    now = datetime.now(UTC)
    extra = dict((before.extra if before else None) or {})
    extra.update({name: str(answer[name]) for name in keep if answer.get(name) is not None})
    refresh_seconds = _seconds(answer.get("x_refresh_token_expires_in"))
    scope = answer.get("scope")
    return TokenSet(
        access=str(answer["access_token"]),
        refresh=str(answer.get("refresh_token") or (before.refresh if before else "")),
        access_expires=now + timedelta(seconds=_seconds(answer.get("expires_in")) or 0),
        refresh_expires=now + timedelta(seconds=refresh_seconds) if refresh_seconds else None,
        scope=" ".join(scope) if isinstance(scope, list) else str(scope or (before.scope if before else "")),
        extra=extra or None,
    )


def _seconds(value: object) -> int | None:
    return int(str(value)) if value is not None and str(value).isdigit() else None


class TokenKeeper:
    """Hands out valid access tokens, refreshing them under the connection's lease and storing before use."""

    def __init__(self, store: TokenStore, system: BillingSystem) -> None:
        self._store = store
        self._system = system

    def supplier(self, connection: str) -> Callable[[str | None], str]:
        """The `Access.token` of a connection. It raises Disconnected or TryAgain."""

        def token(refused: str | None = None) -> str:
            return self.token(connection, refused)

        return token

    def token(self, connection: str, refused: str | None = None) -> str:
        """A valid access token; `refused` is one the upstream has just answered with 401."""
        tokens = self._store.read(connection)
        if _lasts(tokens, refused, EARLY):
            return tokens.access
        holder, deadline = uuid.uuid4().hex, time.monotonic() + WAIT_SECONDS
        while not self._store.take_turn(connection, holder, LEASE_SECONDS):
            tokens = self._store.read(connection)
            # While somebody else refreshes, a token that still works is good enough.
            if _lasts(tokens, refused, timedelta(seconds=5)):
                return tokens.access
            if time.monotonic() > deadline:
                raise TryAgain(f"The access to {self._system.manifest.title} is being renewed.", 5.0)
            time.sleep(_POLL)
        return self._refresh(connection, holder, refused)

    def _refresh(self, connection: str, holder: str, refused: str | None) -> str:
        tokens: TokenSet | None = None
        try:
            tokens = self._store.read(connection)
            if _lasts(tokens, refused, EARLY):
                self._store.give_up_turn(connection, holder)
                return tokens.access
            rotated = self._system.refresh(tokens)
        except BaseException as failure:
            self._store.give_up_turn(connection, holder)
            if tokens is None or not isinstance(failure, Answer):
                raise
            return self._after_refusal(connection, tokens, refused, failure)
        if self._store.keep(connection, holder, rotated):
            return rotated.access
        # Somebody took the lease while we were away; theirs may be the later rotation.
        return self._store.read(connection).access

    def _after_refusal(self, connection: str, tried: TokenSet, refused: str | None, answer: Answer) -> str:
        now = self._store.read(connection)
        if now.refresh != tried.refresh and _lasts(now, refused, timedelta(seconds=5)):
            return now.access
        if isinstance(answer, TryAgain) and _lasts(now, refused, timedelta(seconds=5)):
            return now.access
        if isinstance(answer, Disconnected) and now.refresh != tried.refresh:
            raise TryAgain(f"The access to {self._system.manifest.title} is being renewed.", 5.0)
        raise answer


def _lasts(tokens: TokenSet, refused: str | None, at_least: timedelta) -> bool:
    return tokens.access != refused and tokens.access_expires - datetime.now(UTC) > at_least
