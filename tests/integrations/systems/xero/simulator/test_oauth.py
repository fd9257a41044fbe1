"""Consent, tokens, connections: what a person clicks and what an app exchanges."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from tests.integrations.systems.xero.simulator.driving import BACK, CLIENT, SCOPES, App, Running, claims


def test_consent_names_the_app_and_what_it_may_do(xero: Running) -> None:
    page = xero.authorize()
    assert page.status_code == 200
    assert "Duebridge wants access" in page.text
    assert "View and change your invoices" in page.text
    assert "Northwind IT &amp; Design" in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_allow_sends_back_a_code_and_the_state(xero: Running) -> None:
    back = xero.decide(xero.authorize(), "allow", xero.tenants()[:1])
    assert back["state"] == "st-1"
    tokens = xero.exchange(back["code"]).json()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 1800
    assert {"access_token", "refresh_token", "id_token"} <= set(tokens)
    said = claims(tokens["access_token"])
    assert said["exp"] - said["nbf"] == 1800
    assert said["scope"] == SCOPES.split()
    assert said["authentication_event_id"]


def test_cancel_sends_back_access_denied(xero: Running) -> None:
    back = xero.decide(xero.authorize(), "cancel", [])
    assert back["error"] == "access_denied"
    assert back["state"] == "st-1"
    assert "code" not in back


def test_consent_without_an_organisation_asks_again(xero: Running) -> None:
    page = xero.authorize()
    answer = requests.post(page.url, data={"decision": "allow"}, timeout=10, allow_redirects=False)
    assert answer.status_code == 200
    assert "Choose at least one organisation." in answer.text


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"client_id": "someone-else"}, "unauthorized_client"),
        ({"redirect_uri": "https://evil.example/callback"}, "unauthorized_client"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "openid accounting.transactions"}, "invalid_scope"),
        ({"scope": f"{SCOPES} paymentservices"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
    ],
)
def test_a_wrong_request_stays_on_a_page_of_its_own(xero: Running, change: dict[str, str], error: str) -> None:
    page = xero.authorize(**change)
    assert page.status_code == 400
    assert error in page.text
    assert not page.history


def test_registered_addresses_are_the_only_ones(start: Callable[..., Running]) -> None:
    xero = start(redirect_uris=(BACK,), invoices=5)
    assert xero.authorize().status_code == 200
    assert xero.authorize(redirect_uri=BACK + "/more").status_code == 400


def test_broad_and_partner_scopes_open_by_registration(start: Callable[..., Running]) -> None:
    old = start(new_app=False, partner=True, invoices=5)
    app = old.connect(scope="offline_access accounting.transactions paymentservices")
    assert app.call("GET", "Invoices").status_code == 200
    assert app.call("GET", "Payments").status_code == 200
    assert app.call("GET", "PaymentServices").status_code == 200
    assert app.call("GET", "Contacts").status_code == 401


def test_a_code_works_once(xero: Running) -> None:
    code = xero.code()
    assert xero.exchange(code).status_code == 200
    again = xero.exchange(code)
    assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})


def test_a_code_expires(xero: Running) -> None:
    code = xero.code()
    xero.clock.advance(300)
    assert xero.exchange(code).json() == {"error": "invalid_grant"}


def test_the_verifier_must_fit(xero: Running) -> None:
    assert xero.exchange(xero.code(), verifier="another").json() == {"error": "invalid_grant"}
    assert xero.exchange(xero.code(), verifier="").json() == {"error": "invalid_grant"}


def test_the_app_must_prove_itself(xero: Running) -> None:
    form = {"grant_type": "authorization_code", "code": xero.code(), "redirect_uri": BACK}
    answer = requests.post(f"{xero.url}/connect/token", data=form, auth=(CLIENT[0], "wrong"), timeout=10)
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_client"})


def test_every_refresh_rotates_and_the_old_token_works_for_half_an_hour(app: App) -> None:
    first = app.tokens["refresh_token"]
    second = app.xero.token(grant_type="refresh_token", refresh_token=first).json()["refresh_token"]
    app.xero.clock.advance(1_799)
    third = app.xero.token(grant_type="refresh_token", refresh_token=first).json()["refresh_token"]
    assert len({first, second, third}) == 3
    app.xero.clock.advance(1)
    late = app.xero.token(grant_type="refresh_token", refresh_token=first)
    assert (late.status_code, late.json()) == (400, {"error": "invalid_grant"})
    assert app.xero.token(grant_type="refresh_token", refresh_token=second).status_code == 200


def test_an_unused_refresh_token_lives_60_days(app: App) -> None:
    app.xero.clock.advance(60 * 86_400 - 1)
    assert app.xero.token(grant_type="refresh_token", refresh_token=app.tokens["refresh_token"]).status_code == 200
    app.xero.clock.advance(60 * 86_400)
    answer = app.xero.token(grant_type="refresh_token", refresh_token=app.tokens["refresh_token"])
    assert answer.json() == {"error": "invalid_grant"}


def test_an_access_token_expires(app: App) -> None:
    assert app.call("GET", "Organisation").status_code == 200
    app.xero.clock.advance(1_800)
    answer = app.call("GET", "Organisation")
    assert answer.status_code == 401
    assert answer.json()["Detail"].startswith("TokenExpired: token expired at")


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
def test_a_token_that_is_none(app: App, token: str) -> None:
    app.tokens["access_token"] = token
    assert app.call("GET", "Organisation").status_code == 401


def test_an_id_token_opens_nothing(app: App) -> None:
    app.tokens["access_token"] = app.tokens["id_token"]
    assert app.call("GET", "Organisation").status_code == 401


def test_expired_by_a_switch(app: App) -> None:
    app.xero.control("faults", {"kind": "expire_tokens", "operation": "organisation.read"})
    assert "TokenExpired" in app.call("GET", "Organisation").json()["Detail"]
    assert "TokenExpired" in app.call("GET", "Organisation").json()["Detail"]
    fresh = app.xero.token(grant_type="refresh_token", refresh_token=app.tokens["refresh_token"]).json()
    app.tokens = fresh
    assert app.call("GET", "Organisation").status_code == 200


def test_revoked_by_a_switch(app: App) -> None:
    app.xero.control("faults", {"kind": "revoke_tokens"})
    assert app.call("GET", "Organisation").status_code == 401
    answer = app.xero.token(grant_type="refresh_token", refresh_token=app.tokens["refresh_token"])
    assert answer.json() == {"error": "invalid_grant"}


def test_revocation_ends_tokens_and_connections(app: App) -> None:
    form = {"token": app.tokens["refresh_token"]}
    assert requests.post(f"{app.xero.url}/connect/revocation", data=form, timeout=10).status_code == 400
    assert requests.post(f"{app.xero.url}/connect/revocation", data=form, auth=CLIENT, timeout=10).status_code == 200
    assert app.call("GET", "Organisation").status_code == 401
    other = app.xero.connect(app.xero.tenants()[1:2])
    assert [item["tenantId"] for item in _connections(other)] == app.xero.tenants()[1:2]


def test_one_token_for_several_organisations(xero: Running) -> None:
    first = xero.connect(xero.tenants()[:1])
    second = xero.connect(xero.tenants()[1:2])
    assert {item["tenantId"] for item in _connections(second)} == set(xero.tenants())
    event = claims(second.tokens["access_token"])["authentication_event_id"]
    found = _connections(second, authEventId=event)
    assert [item["tenantId"] for item in found] == xero.tenants()[1:2]
    assert found[0]["tenantType"] == "ORGANISATION"
    assert found[0]["tenantName"] == "Harbour Street Studio"
    second.tenant = xero.tenants()[0]
    assert second.read("Organisation")["Organisations"][0]["Name"] == "Northwind IT & Design"
    assert first.call("GET", "Organisation").status_code == 200


@pytest.mark.parametrize("tenant", ["", "00000000-0000-0000-0000-000000000000"])
def test_without_the_right_tenant_header(app: App, tenant: str) -> None:
    app.tenant = tenant
    answer = app.call("GET", "Organisation")
    assert answer.status_code == 403
    assert answer.json()["Detail"] == "AuthenticationUnsuccessful"


def test_another_users_organisation_is_closed(xero: Running) -> None:
    xero.connect(xero.tenants()[:1], email="one@northwind.example")
    stranger = xero.connect(xero.tenants()[1:2], email="two@harbour.example")
    stranger.tenant = xero.tenants()[0]
    assert stranger.call("GET", "Organisation").status_code == 403


def test_a_scope_that_was_not_granted(xero: Running) -> None:
    app = xero.connect(scope="offline_access accounting.invoices.read accounting.settings.read")
    assert app.call("GET", "Invoices", page=1).status_code == 200
    assert app.call("PUT", "Invoices", {"Invoices": []}).status_code == 401
    assert app.call("GET", "Payments").json()["Detail"] == "AuthorizationUnsuccessful"


def test_disconnecting_takes_the_connections_id(app: App) -> None:
    bearer = {"Authorization": f"Bearer {app.tokens['access_token']}"}
    wrong = requests.delete(f"{app.xero.url}/connections/{app.tenant}", headers=bearer, timeout=10)
    assert wrong.status_code == 404
    id = _connections(app)[0]["id"]
    assert requests.delete(f"{app.xero.url}/connections/{id}", headers=bearer, timeout=10).status_code == 204
    assert app.call("GET", "Organisation").status_code == 403
    assert _connections(app) == []


def test_a_person_disconnects_inside_xero(app: App) -> None:
    page = requests.get(f"{app.xero.url}/settings/connected-apps", timeout=10)
    assert "Northwind IT &amp; Design" in page.text
    id = _connections(app)[0]["id"]
    answer = requests.post(f"{app.xero.url}/settings/connected-apps", data={"connection": id}, timeout=10)
    assert "No app is connected." in answer.text
    assert app.call("GET", "Organisation").status_code == 403


def _connections(app: App, **params: str) -> list[dict[str, str]]:
    bearer = {"Authorization": f"Bearer {app.tokens['access_token']}"}
    answer = requests.get(f"{app.xero.url}/connections", headers=bearer, params=params, timeout=10)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, str]] = answer.json()
    return found
