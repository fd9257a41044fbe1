"""Connecting, several organisations in one consent, rotation, disconnecting."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses

from connector.contract import Disconnected, Refused, Tenant, TokenSet, TryAgain
from integrations.systems.xero.adapter import Xero
from integrations.systems.xero.grants import claim
from integrations.systems.xero.manifest import MANIFEST
from tests.integrations.limiters import MemoryLimiter
from tests.integrations.systems.xero.connected import REDIRECT, VERIFIER, Connected, config_for, simulated


def test_consent_is_asked_with_pkce_and_granular_scopes() -> None:
    xero = Xero(config_for("https://xero.example"), MemoryLimiter())
    url = xero.authorize_url(redirect_uri=REDIRECT, state="s", code_verifier=VERIFIER)
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert query["code_challenge_method"] == "S256" and query["code_challenge"]
    assert VERIFIER not in url
    scopes = query["scope"].split()
    assert "offline_access" in scopes and "accounting.invoices" in scopes
    assert "accounting.transactions" not in scopes and "paymentservices" not in scopes


def test_only_a_partner_asks_for_payment_services() -> None:
    partner = Xero(config_for("https://xero.example", payment_services="1"), MemoryLimiter())
    scopes = parse_qs(urlsplit(partner.authorize_url(redirect_uri=REDIRECT, state="s", code_verifier=VERIFIER)).query)
    assert scopes["scope"][0].split()[-1] == "paymentservices"
    assert partner.manifest.capabilities.link_by_api
    assert not MANIFEST.capabilities.link_by_api and not Xero.manifest.capabilities.link_by_api


def test_a_new_app_may_ask_for_every_scope_of_the_manifest() -> None:
    """The simulator refuses broad scopes for new apps, and payment services for all but partners, as Xero does."""
    with simulated(new_app=True) as upstream:
        assert upstream.connect().tokens.scope.split()
        partner = Xero(config_for(upstream.url, payment_services="1"), MemoryLimiter())
        url = partner.authorize_url(redirect_uri=REDIRECT, state="s", code_verifier=VERIFIER)
        assert requests.get(url, timeout=10).status_code == 400


def test_one_consent_opens_several_organisations(upstream: Connected) -> None:
    grant = upstream.connect(2)
    assert [tenant.name for tenant in grant.tenants] == ["Northwind IT & Design", "Harbour Street Studio"]
    first, second = grant.tenants
    assert first.currency == "USD"
    assert first.extra is not None and second.extra is not None
    assert first.extra["short_code"].startswith("!") and first.extra["base_currency"] == "USD"
    assert first.extra["connection_id"] != second.extra["connection_id"]
    assert first.extra["connection_id"] != first.ref


def test_only_the_organisations_of_this_consent_are_taken(upstream: Connected) -> None:
    """The user's earlier connections are listed by Xero too; the consent's own id tells them apart."""
    upstream.connect(2)
    again = upstream.connect(1)
    assert [tenant.name for tenant in again.tenants] == ["Northwind IT & Design"]


def test_tokens_carry_their_ends_and_their_consent(upstream: Connected) -> None:
    assert upstream.grant is not None
    tokens, now = upstream.grant.tokens, datetime.now(UTC)
    assert timedelta(minutes=29) < tokens.access_expires - now <= timedelta(minutes=30)
    assert tokens.refresh_expires is not None
    assert timedelta(days=59) < tokens.refresh_expires - now <= timedelta(days=60)
    assert (tokens.extra or {})["auth_event_id"]
    assert tokens.access not in repr(tokens) and tokens.refresh not in repr(tokens)


def test_every_refresh_rotates(upstream: Connected) -> None:
    assert upstream.tokens is not None
    before = upstream.tokens
    after = upstream.xero.refresh(before)
    assert (after.access, after.refresh) != (before.access, before.refresh) and after.refresh != before.refresh
    assert after.extra == before.extra
    # The one before works for half an hour, should the answer have been lost.
    assert upstream.xero.refresh(before).refresh
    upstream.control("clock", advance_seconds=1801)
    with pytest.raises(Disconnected):
        upstream.xero.refresh(before)


def test_a_code_works_once_and_a_no_is_a_no(upstream: Connected) -> None:
    answer = upstream.consent()
    upstream.xero.exchange(redirect_uri=REDIRECT, answer=answer, code_verifier=VERIFIER)
    with pytest.raises(Refused, match="expired or was used before"):
        upstream.xero.exchange(redirect_uri=REDIRECT, answer=answer, code_verifier=VERIFIER)
    with pytest.raises(Refused, match="was not allowed"):
        upstream.xero.exchange(redirect_uri=REDIRECT, answer={"error": "access_denied"}, code_verifier=VERIFIER)
    with pytest.raises(Refused):
        upstream.xero.exchange(redirect_uri=REDIRECT, answer=upstream.consent(), code_verifier="w" * 64)


def test_a_hiccup_after_the_code_is_spent_does_not_cost_the_consent(upstream: Connected) -> None:
    answer = upstream.consent()
    upstream.control("faults", kind="html_503", operation="organisation.read", times=1)
    grant = upstream.xero.exchange(redirect_uri=REDIRECT, answer=answer, code_verifier=VERIFIER)
    (tenant,) = grant.tenants
    assert (tenant.name, tenant.currency) == ("Northwind IT & Design", "")
    assert tenant.extra is not None and set(tenant.extra) == {"connection_id"}


def test_disconnecting_ends_one_organisation_and_the_last_one_ends_the_tokens(upstream: Connected) -> None:
    grant = upstream.connect(2)
    first, second = grant.tenants
    upstream.xero.revoke(grant.tokens, first)
    upstream.xero.revoke(grant.tokens, first)
    with pytest.raises(Disconnected):
        upstream.xero.accounts(upstream.access(0))
    assert upstream.xero.accounts(upstream.access(1))
    assert upstream.requests_to("token.revoke") == 0
    upstream.xero.revoke(grant.tokens, second)
    with pytest.raises(Disconnected):
        upstream.xero.refresh(grant.tokens)
    upstream.xero.revoke(grant.tokens, second)


def test_disconnecting_with_an_old_token_renews_it_first(upstream: Connected) -> None:
    assert upstream.grant is not None and upstream.tokens is not None
    old = replace(upstream.tokens, access_expires=datetime.now(UTC) - timedelta(hours=1))
    upstream.control("clock", advance_seconds=3600)
    upstream.xero.revoke(old, upstream.grant.tenants[0])
    with pytest.raises(Disconnected):
        upstream.xero.refresh(upstream.tokens)


def test_disconnecting_without_a_connection_id_finds_it_by_tenant(upstream: Connected) -> None:
    assert upstream.grant is not None
    named = upstream.grant.tenants[0]
    upstream.xero.revoke(upstream.grant.tokens, Tenant(named.ref, named.name))
    with pytest.raises(Disconnected):
        upstream.xero.accounts(upstream.access())


def test_disconnecting_what_is_already_dead_is_success(upstream: Connected) -> None:
    assert upstream.grant is not None
    dead = TokenSet("dead", "dead", datetime.now(UTC) - timedelta(days=1))
    upstream.xero.revoke(dead, upstream.grant.tenants[0])


def test_a_lost_answer_while_disconnecting_is_asked_again(upstream: Connected) -> None:
    assert upstream.grant is not None
    upstream.control("faults", kind="drop_after_commit", operation="connection.delete", times=1)
    with pytest.raises(TryAgain):
        upstream.xero.revoke(upstream.grant.tokens, upstream.grant.tenants[0])
    upstream.xero.revoke(upstream.grant.tokens, upstream.grant.tenants[0])


def test_a_practice_is_no_organisation() -> None:
    xero = Xero(config_for("https://xero.example"), MemoryLimiter())
    with responses.RequestsMock() as mock:
        tokens = {"access_token": "a.b.c", "refresh_token": "r", "expires_in": 1800, "token_type": "Bearer"}
        mock.post("https://xero.example/connect/token", json=tokens)
        row = {"id": "1", "tenantId": "2", "tenantType": "PRACTICE", "tenantName": "Accountants"}
        mock.get("https://xero.example/connections", json=[row])
        with pytest.raises(Refused, match="No organisation was chosen"):
            xero.exchange(redirect_uri=REDIRECT, answer={"code": "c"}, code_verifier=VERIFIER)


@pytest.mark.parametrize("token", ["", "opaque", "a.b.c", "a.!!.c", "a.W10.c", "a.eyJ4IjoxfQ.c"])
def test_a_token_without_the_claim_says_nothing(token: str) -> None:
    assert claim(token, "x") == ""


def test_a_claim_is_read() -> None:
    assert claim("h.eyJ4IjoieSJ9.s", "x") == "y"
