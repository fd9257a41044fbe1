"""OAuth against recorded answers; the keeper of tokens against a store in memory."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
import responses

from connector.contract import BillingSystem, Disconnected, Refused, TokenSet, TryAgain
from connector.manifest import AdapterConfig, Manifest
from integrations import oauth
from integrations.http import Session
from tests.integrations.limiters import MemoryLimiter

TOKEN_URL = "https://id.example/token"
CONFIG = AdapterConfig(
    {"authorize": "https://id.example/authorize", "token": TOKEN_URL},
    {"client_id": "app", "client_secret": "s3cret"},
    (),
    {},
)
REDIRECT = "https://pay.example/oauth/callback"


def _manifest(pkce: bool = False) -> Manifest:
    return Manifest("books", "Books", "system", "oauth_code", CONFIG.endpoints, scopes=("read", "write"), pkce=pkce)


def _session(pkce: bool = False) -> Session:
    return Session(_manifest(pkce), CONFIG, MemoryLimiter())


@pytest.fixture
def upstream() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def _form(mock: responses.RequestsMock) -> dict[str, str]:
    body = mock.calls[-1].request.body
    return {name: values[0] for name, values in parse_qs(str(body)).items()}


def _fetch(pkce: bool = False, **more: Any) -> TokenSet:
    return oauth.fetch_tokens(
        _session(pkce), CONFIG, redirect_uri=REDIRECT, code="c0de", code_verifier="v" * 43, **more
    )


def test_authorize_url_carries_state_and_the_challenge_never_the_verifier() -> None:
    verifier = "v" * 43
    url = oauth.authorize_url(_manifest(True), CONFIG, redirect_uri=REDIRECT, state="st", code_verifier=verifier)
    query = parse_qs(urlsplit(url).query)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert query == {
        "response_type": ["code"],
        "client_id": ["app"],
        "redirect_uri": [REDIRECT],
        "scope": ["read write"],
        "state": ["st"],
        "code_challenge": [challenge],
        "code_challenge_method": ["S256"],
    }
    plain = oauth.authorize_url(_manifest(), CONFIG, redirect_uri=REDIRECT, state="st", code_verifier=verifier)
    assert "challenge" not in plain


def test_a_code_becomes_tokens(upstream: responses.RequestsMock) -> None:
    upstream.post(
        TOKEN_URL,
        json={
            "access_token": "A1",
            "refresh_token": "R1",
            "token_type": "bearer",
            "expires_in": 3600,
            "x_refresh_token_expires_in": 8726400,
            "x_refresh_token_hard_expires_in": 157680000,
            "scope": "other scopes",
        },
    )
    before = datetime.now(UTC)
    tokens = _fetch(headers={"x-extra": "true"}, keep=("x_refresh_token_hard_expires_in", "absent"))
    assert (tokens.access, tokens.refresh, tokens.scope) == ("A1", "R1", "other scopes")
    assert timedelta(seconds=3599) < tokens.access_expires - before < timedelta(seconds=3605)
    assert tokens.refresh_expires is not None and tokens.refresh_expires - before > timedelta(days=100)
    assert tokens.extra == {"x_refresh_token_hard_expires_in": "157680000"}
    sent = upstream.calls[0].request
    assert sent.headers["Authorization"] == "Basic " + base64.b64encode(b"app:s3cret").decode()
    assert sent.headers["x-extra"] == "true"
    assert _form(upstream) == {"grant_type": "authorization_code", "code": "c0de", "redirect_uri": REDIRECT}
    assert "A1" not in repr(tokens) and "R1" not in repr(tokens)


def test_pkce_sends_the_verifier(upstream: responses.RequestsMock) -> None:
    upstream.post(TOKEN_URL, json={"access_token": "A1", "refresh_token": "R1", "token_type": "Bearer"})
    tokens = _fetch(pkce=True)
    assert _form(upstream)["code_verifier"] == "v" * 43
    assert tokens.access_expires <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("reply", "answer", "words"),
    [
        ({"status": 400, "json": {"error": "invalid_grant"}}, Refused, "expired or was used"),
        ({"status": 401, "json": {"error": "invalid_client"}}, Refused, "client id and secret"),
        ({"status": 400, "json": {"error": "temporarily_unavailable"}}, TryAgain, "no usable answer"),
        ({"status": 200, "body": "{", "content_type": "application/json"}, TryAgain, "no "),
        ({"status": 200, "json": {"token_type": "bearer"}}, TryAgain, "no usable answer"),
        ({"status": 503, "body": "<html>"}, TryAgain, "not available"),
        ({"status": 200, "body": "<html>", "content_type": "text/html"}, TryAgain, "web page"),
    ],
)
def test_a_code_that_brings_no_tokens(
    upstream: responses.RequestsMock, reply: dict[str, Any], answer: type[Exception], words: str
) -> None:
    upstream.post(TOKEN_URL, **reply)
    with pytest.raises(answer, match=words) as caught:
        _fetch()
    assert "s3cret" not in str(caught.value) and "c0de" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"error": "access_denied"}, "access_denied"),
        ({"error": "<b>odd</b>", "code": "c"}, "boddb"),
        ({"state": "x"}, "no_code"),
    ],
)
def test_a_callback_without_a_code_says_why(query: dict[str, str], code: str) -> None:
    with pytest.raises(Refused) as caught:
        oauth.code_from(_manifest(), query)
    assert caught.value.code == code and "<" not in caught.value.why


def _tokens(access: str = "A1", refresh: str = "R1", seconds: float = 3600, **more: Any) -> TokenSet:
    return TokenSet(access, refresh, datetime.now(UTC) + timedelta(seconds=seconds), **more)


def test_refresh_keeps_what_the_answer_leaves_out(upstream: responses.RequestsMock) -> None:
    upstream.post(TOKEN_URL, json={"access_token": "A2", "token_type": "bearer", "expires_in": 3600})
    new = oauth.refresh_tokens(_session(), CONFIG, _tokens(scope="read", extra={"realm": "1"}))
    assert (new.access, new.refresh, new.scope, new.extra) == ("A2", "R1", "read", {"realm": "1"})
    assert _form(upstream) == {"grant_type": "refresh_token", "refresh_token": "R1"}


def test_a_dead_refresh_token_means_disconnected(upstream: responses.RequestsMock) -> None:
    upstream.post(TOKEN_URL, status=400, json={"error": "invalid_grant"})
    with pytest.raises(Disconnected):
        oauth.refresh_tokens(_session(), CONFIG, _tokens())


def test_plain_http_needs_the_explicit_permission_of_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OAUTHLIB_INSECURE_TRANSPORT", raising=False)
    local = replace(CONFIG, endpoints={"token": "http://127.0.0.1:9/token"})
    with pytest.raises(Refused, match="must start with https"):
        oauth.refresh_tokens(Session(_manifest(), local, MemoryLimiter()), local, _tokens())


class _Store:
    """Fulfils connector.contract.TokenStore in memory."""

    def __init__(self, tokens: TokenSet) -> None:
        self.tokens, self.holder, self.lock = tokens, "", threading.Lock()
        self.steps: list[str] = []
        self.lose_lease = False

    def read(self, connection: str) -> TokenSet:
        return self.tokens

    def take_turn(self, connection: str, holder: str, seconds: float) -> bool:
        with self.lock:
            if self.holder:
                return False
            self.holder = holder
            return True

    def keep(self, connection: str, holder: str, tokens: TokenSet) -> bool:
        self.steps.append(f"keep {tokens.access}")
        self.tokens, self.holder = tokens, ""
        return not self.lose_lease

    def give_up_turn(self, connection: str, holder: str) -> None:
        self.steps.append("give up")
        self.holder = ""


class _System:
    """A system of which only `refresh` is used."""

    manifest = _manifest()

    def __init__(self, refresh: Callable[[TokenSet], TokenSet]) -> None:
        self.refresh = refresh
        self.count = 0


def _keeper(store: _Store, refresh: Callable[[TokenSet], TokenSet]) -> oauth.TokenKeeper:
    return oauth.TokenKeeper(store, cast(BillingSystem, _System(refresh)))


def _never(tokens: TokenSet) -> TokenSet:
    raise AssertionError("no refresh was due")


def test_a_fresh_token_is_handed_out_as_it_is() -> None:
    assert _keeper(_Store(_tokens()), _never).supplier("c1")(None) == "A1"


def test_a_token_near_its_end_is_rotated_and_stored_before_use() -> None:
    store = _Store(_tokens(seconds=200))
    assert _keeper(store, lambda tokens: _tokens("A2", "R2")).token("c1") == "A2"
    assert store.steps == ["keep A2"] and store.tokens.refresh == "R2"


def test_a_refused_token_is_rotated_though_it_looks_fresh_and_only_that_one() -> None:
    store = _Store(_tokens())
    assert _keeper(store, lambda tokens: _tokens("A2", "R2")).token("c1", refused="A1") == "A2"
    assert _keeper(store, _never).token("c1", refused="A1") == "A2"


def test_many_threads_rotate_once() -> None:
    store, count = _Store(_tokens(seconds=-1)), []
    started = threading.Event()

    def refresh(tokens: TokenSet) -> TokenSet:
        count.append(tokens.refresh)
        started.wait(0.3)
        return _tokens("A2", "R2")

    keeper, got = _keeper(store, refresh), list[str]()
    threads = [threading.Thread(target=lambda: got.append(keeper.token("c1"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == ["R1"] and got == ["A2"] * 8


def test_while_another_refreshes_a_token_that_still_works_is_used() -> None:
    store = _Store(_tokens(seconds=100))
    store.holder = "another"
    assert _keeper(store, _never).token("c1") == "A1"


def test_waiting_for_another_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth, "WAIT_SECONDS", 0.2)
    store = _Store(_tokens(seconds=-1))
    store.holder = "another"
    with pytest.raises(TryAgain):
        _keeper(store, _never).token("c1")


def _raising(answer: Exception, before: Callable[[], None] = lambda: None) -> Callable[[TokenSet], TokenSet]:
    def refresh(tokens: TokenSet) -> TokenSet:
        before()
        raise answer

    return refresh


def test_disconnected_only_when_the_store_still_holds_the_refused_token() -> None:
    store = _Store(_tokens(seconds=-1))
    with pytest.raises(Disconnected):
        _keeper(store, _raising(Disconnected("ended"))).token("c1")
    assert store.steps == ["give up"]

    def rotated_elsewhere() -> None:
        store.tokens = _tokens("A9", "R9")

    assert _keeper(store, _raising(Disconnected("ended"), rotated_elsewhere)).token("c1") == "A9"


def test_a_refresh_that_cannot_be_asked_leaves_a_valid_token_in_use() -> None:
    store = _Store(_tokens(seconds=100))
    keeper = _keeper(store, _raising(TryAgain("busy")))
    assert keeper.token("c1") == "A1"
    with pytest.raises(TryAgain):
        keeper.token("c1", refused="A1")
    assert store.holder == ""


def test_a_lost_lease_trusts_the_store() -> None:
    store = _Store(_tokens(seconds=-1))
    store.lose_lease = True
    assert _keeper(store, lambda tokens: _tokens("A2", "R2")).token("c1") == "A2"


def test_a_crash_gives_the_lease_back() -> None:
    store = _Store(_tokens(seconds=-1))
    with pytest.raises(KeyError):
        _keeper(store, _raising(KeyError("bug"))).token("c1")
    assert store.steps == ["give up"]
