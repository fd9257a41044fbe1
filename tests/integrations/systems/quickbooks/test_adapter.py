"""Connecting, keeping access, the dry run and the small readings, against the simulated QuickBooks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from connector.contract import Disconnected, Gone, Refused, TryAgain, Unclear
from connector.domain.records import InvoiceState
from integrations import registry
from integrations.oauth import TokenKeeper
from integrations.systems.quickbooks.adapter import QuickBooks
from tests.integrations.limiters import MemoryLimiter
from tests.integrations.systems.quickbooks.canned import system
from tests.integrations.systems.quickbooks.connected import REALM, REDIRECT, Connected, config_for, connected, consent


def test_it_is_in_the_registry_as_system_and_sender() -> None:
    assert registry.SYSTEMS["quickbooks"] is QuickBooks
    assert registry.senders()["quickbooks"] is QuickBooks


def test_consent_is_asked_for_the_accounting_scope_without_pkce() -> None:
    url = system().authorize_url(redirect_uri=REDIRECT, state="st", code_verifier="v" * 43)
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://appcenter.intuit.com/connect/oauth2"
    query = parse_qs(parts.query)
    assert query["scope"] == ["com.intuit.quickbooks.accounting"] and "code_challenge" not in query


def test_a_grant_names_the_company_its_currency_and_both_ends_of_the_tokens(upstream: Connected) -> None:
    (tenant,) = upstream.grant.tenants
    assert (tenant.ref, tenant.name, tenant.currency) == (REALM, "Northwind IT & Design", "USD")
    assert tenant.extra == {"name": "Northwind IT & Design", "currency": "USD"}
    now = datetime.now(UTC)
    assert timedelta(minutes=59) < upstream.tokens.access_expires - now <= timedelta(minutes=60)
    assert upstream.tokens.refresh_expires is not None
    assert timedelta(days=99) < upstream.tokens.refresh_expires - now <= timedelta(days=100)
    hard_end = datetime.fromisoformat((upstream.tokens.extra or {})["hard_end"])
    assert timedelta(days=5 * 365 - 2) < hard_end - now < timedelta(days=5 * 365 + 2)


def test_the_five_year_end_comes_before_the_rolling_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    with connected(refresh_hard_seconds=1000) as upstream:
        assert upstream.tokens.refresh_expires is not None
        assert upstream.tokens.refresh_expires - datetime.now(UTC) <= timedelta(seconds=1000)
        renewed = upstream.system.refresh(upstream.tokens)
        assert (renewed.extra or {}).keys() == {"hard_end"}


@pytest.mark.parametrize("realm", ["", "abc", "12/34", "١٢", "9" * 40])
def test_a_callback_without_a_company_is_refused(realm: str) -> None:
    with pytest.raises(Refused, match="which company"):
        system().exchange(redirect_uri=REDIRECT, answer={"code": "c", "realmId": realm}, code_verifier="")


def test_a_code_works_once_and_only_for_its_address(upstream: Connected) -> None:
    answer = consent(upstream.url, upstream.system)
    upstream.system.exchange(redirect_uri=REDIRECT, answer=answer, code_verifier="")
    for reused, address in ((answer, REDIRECT), (consent(upstream.url, upstream.system), REDIRECT + "2")):
        with pytest.raises(Refused, match="expired or was used"):
            upstream.system.exchange(redirect_uri=address, answer=reused, code_verifier="")


def test_saying_no_is_a_plain_no(upstream: Connected) -> None:
    with pytest.raises(Refused, match="not allowed"):
        upstream.system.exchange(
            redirect_uri=REDIRECT, answer=consent(upstream.url, upstream.system, decision="no"), code_verifier=""
        )


def test_a_company_that_cannot_be_read_at_once_is_connected_all_the_same(upstream: Connected) -> None:
    upstream.control("faults", kind="html_503", operation="companyinfo.read", times=1)
    answer = consent(upstream.url, upstream.system)
    (tenant,) = upstream.system.exchange(redirect_uri=REDIRECT, answer=answer, code_verifier="").tenants
    assert tenant.name == f"QuickBooks company {REALM}" and tenant.ref == REALM


def test_an_expired_access_token_is_renewed_under_way(upstream: Connected) -> None:
    upstream.control("clock", advance_seconds=3700)
    assert len(upstream.system.accounts(upstream.access)) == 6
    assert len(upstream.held) == 2


def test_the_keeper_renews_by_the_store(upstream: Connected) -> None:
    from tests.integrations.test_oauth import _Store

    store = _Store(upstream.tokens)
    keeper = TokenKeeper(store, upstream.system)
    assert keeper.token("connection-1", refused=upstream.tokens.access) != upstream.tokens.access
    assert store.steps == [f"keep {store.tokens.access}"]


def test_a_revoked_access_says_connect_again(upstream: Connected) -> None:
    upstream.system.revoke(upstream.tokens, upstream.grant.tenants[0])
    upstream.system.revoke(upstream.tokens, upstream.grant.tenants[0])
    with pytest.raises(Disconnected):
        upstream.system.accounts(upstream.access)
    with pytest.raises(Disconnected):
        upstream.system.refresh(upstream.tokens)


def test_a_wrong_secret_is_the_operators_matter(upstream: Connected) -> None:
    config = config_for(upstream.url)
    wrong = QuickBooks(
        type(config)(config.endpoints, {**config.credentials, "client_secret": "wrong"}, (), {}), MemoryLimiter()
    )
    with pytest.raises(Refused, match="operator"):
        wrong.refresh(upstream.tokens)
    with pytest.raises(Refused):
        wrong.revoke(upstream.tokens, upstream.grant.tenants[0])


def test_the_dry_run_counts_what_is_there_and_writes_nothing(upstream: Connected) -> None:
    full = next(row["Id"] for row in upstream.find("SELECT * FROM Invoice WHERE Balance > '0'"))
    upstream.control(f"invoices/{full}/memo", memo="x" * 950)
    survey = upstream.system.survey(upstream.access, None)
    assert survey.organisation == "Northwind IT & Design" and survey.currency == "USD"
    counts = dict(survey.lines)
    unpaid = upstream.find("SELECT * FROM Invoice WHERE Balance > '0' MAXRESULTS 1000")
    assert survey.links == counts["open invoices"] == len(unpaid)
    assert (counts["customers"], counts["invoices"], counts["recurring invoices"]) == (40, 300, 3)
    told = "\n".join(survey.warnings)
    assert "no room for the link" in told and "already e-mailed" in told and "EUR, GBP, JPY" in told
    assert "closed" not in told
    assert not any(name.endswith((".create", ".update")) for name in upstream.operations())
    since = date.today() - timedelta(days=60)
    later = upstream.system.survey(upstream.access, since)
    assert 0 < later.links < survey.links and 0 < dict(later.lines)["invoices"] < 300


def test_the_dry_run_tells_of_closed_books(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    with connected(closing_date=date(2026, 1, 31)) as upstream:
        warnings = upstream.system.survey(upstream.access, None).warnings
        assert any("closed up to 2026-01-31" in warning for warning in warnings)


def test_one_invoice_complete_and_fresh(upstream: Connected) -> None:
    raw = upstream.find("SELECT * FROM Invoice WHERE Balance > '0' MAXRESULTS 1")[0]
    found = upstream.system.invoice(upstream.access, raw["Id"])
    assert found.number == raw["DocNumber"] and found.state is InvoiceState.OPEN and found.lines
    assert sum(line.amount for line in found.lines) + found.tax == found.total
    assert upstream.system.invoice_pdf(upstream.access, raw["Id"]).startswith(b"%PDF")
    upstream.control(f"invoices/{raw['Id']}/delete")
    for ask in (upstream.system.invoice, upstream.system.invoice_pdf):
        with pytest.raises(Gone):
            ask(upstream.access, raw["Id"])


def test_accounts_are_those_a_payment_can_go_to(upstream: Connected) -> None:
    accounts = upstream.system.accounts(upstream.access)
    assert {account.kind for account in accounts} == {"Bank", "Other Current Asset"}
    assert {account.currency for account in accounts} == {"USD", "EUR"}


@pytest.mark.parametrize(
    ("kind", "answer"),
    [("throttle", TryAgain), ("html_503", TryAgain), ("drop_before_commit", TryAgain), ("truncated_json", TryAgain)],
)
def test_a_reading_that_fails_may_be_repeated(upstream: Connected, kind: str, answer: type[Exception]) -> None:
    remote_id = upstream.find("SELECT * FROM Invoice MAXRESULTS 1")[0]["Id"]
    upstream.control("faults", kind=kind, operation="invoice.read", times=1)
    with pytest.raises(answer) as caught:
        upstream.system.invoice(upstream.access, remote_id)
    assert not isinstance(caught.value, Unclear)
    assert upstream.system.invoice(upstream.access, remote_id).remote_id == remote_id


def test_links_stand_on_invoices_not_on_templates(upstream: Connected) -> None:
    assert upstream.system.guide("https://pay.example/x/k") is None
    assert upstream.system.themes(upstream.access, "https://pay.example/x/k") == ()
    with pytest.raises(Refused):
        upstream.system.place_on_theme(upstream.access, "1", "https://pay.example/x/k")


def test_the_vendors_limits_are_kept_in_its_manifest() -> None:
    limits: Any = [(limit.limit, limit.period, limit.in_flight, limit.rest) for limit in QuickBooks.manifest.limits]
    assert limits == [(500, 60.0, 10, 1.0)]
