"""Connecting: consent, tokens that rotate, access that ends. Every system of the registry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import pytest

from connector.contract import Access, Answer, Disconnected, Grant, Refused, TryAgain, Unclear
from connector.domain.records import Kind
from integrations.registry import SYSTEMS
from tests.contract.rigs import SYSTEM_RIGS, SystemRig


@pytest.fixture(params=sorted(SYSTEMS))
def alone(request: pytest.FixtureRequest) -> Iterator[SystemRig]:
    """A simulator for one test: its access is going to end."""
    with patch.dict(os.environ, OAUTHLIB_INSECURE_TRANSPORT="1"), SYSTEM_RIGS[request.param](60) as opened:
        if opened.system.manifest.auth != "oauth_code":
            pytest.skip(
                f"{opened.system.manifest.title} is not connected by OAuth (auth={opened.system.manifest.auth})."
            )
        yield opened


def exchanged(rig: SystemRig) -> Grant:
    redirect_uri, verifier = rig.redirect()
    return rig.system.exchange(redirect_uri=redirect_uri, answer=rig.consent(), code_verifier=verifier)


def reads(rig: SystemRig, access: Access) -> bool:
    return bool(rig.system.page(access, Kind.CUSTOMER, rig.system.first_cursor(access, Kind.CUSTOMER, None)).records)


def test_the_consent_asks_for_what_the_manifest_says_and_no_more(alone: SystemRig) -> None:
    redirect_uri, verifier = alone.redirect()
    address = alone.system.authorize_url(redirect_uri=redirect_uri, state="s t&te", code_verifier=verifier)
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    manifest = alone.system.manifest
    assert set(query["scope"].split()) == set(manifest.scopes)
    assert (query["state"], query["redirect_uri"], query["response_type"]) == ("s t&te", redirect_uri, "code")
    assert (query.get("code_challenge_method") == "S256") == manifest.pkce
    assert verifier not in address


def test_a_consent_brings_tokens_and_organisations(alone: SystemRig) -> None:
    grant = exchanged(alone)
    assert grant.tenants and all(tenant.ref and tenant.name and tenant.currency for tenant in grant.tenants)
    assert grant.tokens.access and grant.tokens.refresh and grant.tokens.access != grant.tokens.refresh
    for secret in (grant.tokens.access, grant.tokens.refresh):
        assert secret not in repr(grant), "tokens are never shown"


def test_a_code_works_once(alone: SystemRig) -> None:
    redirect_uri, verifier = alone.redirect()
    answer = alone.consent()
    alone.system.exchange(redirect_uri=redirect_uri, answer=answer, code_verifier=verifier)
    with pytest.raises(Answer):
        alone.system.exchange(redirect_uri=redirect_uri, answer=answer, code_verifier=verifier)


def test_a_consent_refused_is_told_in_words(alone: SystemRig) -> None:
    redirect_uri, verifier = alone.redirect()
    for answer in ({"error": "access_denied", "state": "s"}, {}, {"code": ""}, {"code": "invented", "state": "s"}):
        with pytest.raises(Answer) as told:
            alone.system.exchange(redirect_uri=redirect_uri, answer=answer, code_verifier=verifier)
        assert told.value.why.endswith(".") and not isinstance(told.value, Unclear)


def test_tokens_rotate_and_the_new_ones_work(alone: SystemRig) -> None:
    first = alone.tokens
    second = alone.system.refresh(first)
    assert second.access != first.access and second.access_expires > first.access_expires.replace(year=2020)
    access = replace(alone.access, token=lambda refused: second.access)
    assert reads(alone, access)
    assert alone.system.refresh(second).access != second.access


def test_a_refresh_token_nobody_gave_out_ends_the_access(alone: SystemRig) -> None:
    with pytest.raises(Disconnected):
        alone.system.refresh(replace(alone.tokens, refresh="invented"))


def test_a_token_that_ran_out_is_refreshed_once_and_the_call_goes_on(alone: SystemRig) -> None:
    before = alone.refreshes
    alone.fault("expire_tokens", alone.operations["page"])
    cursor = alone.system.first_cursor(alone.access, Kind.INVOICE, None)
    assert alone.system.page(alone.access, Kind.INVOICE, cursor).records
    assert alone.refreshes == before + 1


def test_a_token_refused_again_and_again_is_the_end(alone: SystemRig) -> None:
    asked: list[str | None] = []

    def token(refused: str | None) -> str:
        asked.append(refused)
        return "never good"

    with pytest.raises(Disconnected):
        reads(alone, replace(alone.access, token=token))
    assert asked == [None, "never good"], "one forced renewal, and no more"


def test_access_taken_away_upstream_is_the_end(alone: SystemRig) -> None:
    alone.fault("revoke_tokens")
    with pytest.raises(Disconnected):
        for _ in range(2):
            reads(alone, alone.access)


def test_revoking_twice_is_success_and_ends_everything(alone: SystemRig) -> None:
    tokens, tenant = alone.tokens, alone.grant.tenants[0]
    alone.system.revoke(tokens, tenant)
    alone.system.revoke(tokens, tenant)
    with pytest.raises(Disconnected):
        alone.system.refresh(tokens)
    with pytest.raises(Disconnected):
        reads(alone, replace(alone.access, token=lambda refused: tokens.access))


@pytest.mark.parametrize("fault", ["html_503", "error_before_commit", "truncated_json", "drop_before_commit"])
def test_tokens_are_asked_for_again_when_the_vendor_is_in_trouble(alone: SystemRig, fault: str) -> None:
    alone.fault(fault, "token.refresh")
    with pytest.raises((TryAgain, Unclear)):
        alone.system.refresh(alone.tokens)
    assert alone.system.refresh(alone.tokens).access


def test_a_wrong_app_secret_is_the_operators_matter(alone: SystemRig) -> None:
    adapter = alone.fresh()
    config = adapter._config  # type: ignore[attr-defined]
    wrong = replace(config, credentials={**config.credentials, "client_secret": "wrong"})
    with pytest.raises(Refused) as told:
        type(adapter)(wrong, adapter._session.transport._limiter).refresh(alone.tokens)  # type: ignore[attr-defined]
    assert "wrong" not in told.value.why
