"""Connecting, refreshing and disconnecting as Intuit does it."""

from __future__ import annotations

import threading

import pytest
import requests

from integrations.simulator.clock import Clock
from tests.integrations.systems.quickbooks.simulator.driving import (
    CLIENT,
    OTHER_REALM,
    REALM,
    REDIRECT,
    Running,
    arguments_of,
    ask,
    authorize,
    exchange,
    refresh,
    running,
)


def test_the_consent_page_shows_the_companies_and_what_is_asked(seeded: Running) -> None:
    page = ask(seeded)
    assert page.status_code == 200
    for text in ("Northwind IT &amp; Design", "Lakeside Studio", "Connect", "Cancel", "invoices"):
        assert text in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action" not in policy
    assert "style=" not in page.text
    assert "<script" not in page.text
    sheet = page.text.split('rel="stylesheet" href="')[1].split('"')[0]
    assert requests.get(f"{seeded.url}{sheet}", timeout=5).headers["Content-Type"].startswith("text/css")


def test_connect_gives_code_state_and_company(seeded: Running) -> None:
    given = authorize(seeded, OTHER_REALM)
    assert given["state"] == "st&te"
    assert given["realmId"] == OTHER_REALM
    tokens = exchange(seeded, given["code"]).json()
    assert tokens["token_type"] == "bearer"
    assert tokens["expires_in"] == 3600
    assert tokens["x_refresh_token_expires_in"] == 8_640_000
    assert "x_refresh_token_hard_expires_in" not in tokens


def test_cancel_sends_back_the_refusal_with_the_state(seeded: Running) -> None:
    given = authorize(seeded, decision="cancel")
    assert given["error"] == "access_denied"
    assert given["state"] == "st&te"
    assert "code" not in given


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"client_id": "somebody-else"}, "client_id"),
        ({"redirect_uri": "https://evil.example/callback"}, "redirect_uri"),
        ({"redirect_uri": REDIRECT + "/"}, "redirect_uri"),
        ({"state": ""}, "state"),
    ],
)
def test_a_request_that_cannot_be_sent_back_ends_on_a_page(seeded: Running, change: dict[str, str], says: str) -> None:
    answer = ask(seeded, **change)
    assert answer.status_code == 400
    assert says in answer.text
    assert "Location" not in answer.headers


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"scope": "com.intuit.quickbooks.everything"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
def test_other_wrong_requests_go_back_as_errors(seeded: Running, change: dict[str, str], error: str) -> None:
    given = arguments_of(ask(seeded, **change))
    assert given == {"error": error, "state": "st&te"}


def test_a_company_that_is_not_offered_cannot_be_chosen(seeded: Running) -> None:
    answer = requests.post(
        ask(seeded).url, data={"realm": "1", "decision": "connect"}, timeout=5, allow_redirects=False
    )
    assert answer.status_code == 400


def test_without_registered_addresses_only_loopback_is_sent_anything() -> None:
    with running(redirect_uris=()) as run:
        assert ask(run, redirect_uri="http://localhost:1/x").status_code == 200
        assert ask(run, redirect_uri="https://evil.example/x").status_code == 400


def test_a_code_works_once_and_using_it_twice_kills_what_it_gave(run: Running) -> None:
    code = authorize(run)["code"]
    first = exchange(run, code).json()
    again = exchange(run, code)
    assert again.status_code == 400
    assert again.json()["error"] == "invalid_grant"
    assert refresh(run, first["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_code_dies_after_minutes_and_is_bound_to_its_address(run: Running) -> None:
    assert exchange(run, authorize(run)["code"], REDIRECT + "x").json()["error"] == "invalid_grant"
    late = authorize(run)["code"]
    run.parts.clock.advance(301)
    assert exchange(run, late).json()["error"] == "invalid_grant"
    assert exchange(run, "made up").json()["error"] == "invalid_grant"


def test_only_the_application_itself_gets_tokens(run: Running) -> None:
    address = f"{run.url}/oauth2/v1/tokens/bearer"
    body = {"grant_type": "authorization_code", "code": authorize(run)["code"], "redirect_uri": REDIRECT}
    for auth in ((CLIENT[0], "wrong"), ("wrong", CLIENT[1])):
        answer = requests.post(address, data=body, auth=auth, timeout=5)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    headers = {"Authorization": "Basic §§"}
    assert (
        requests.post(address, data=body, headers={**headers, "Authorization": "Basic !!"}, timeout=5).status_code
        == 401
    )
    in_form = {**body, "client_id": CLIENT[0], "client_secret": CLIENT[1]}
    assert requests.post(address, data=in_form, timeout=5).status_code == 200
    other = {**in_form, "grant_type": "password"}
    assert requests.post(address, data=other, timeout=5).json()["error"] == "unsupported_grant_type"


def test_the_hard_end_is_told_only_when_asked(run: Running) -> None:
    asked = exchange(run, authorize(run)["code"], **{"x-include-refresh-token-hard-expires-in": "true"}).json()
    assert asked["x_refresh_token_hard_expires_in"] == 157_680_000


def test_a_refresh_keeps_the_token_for_a_day_then_changes_it_and_the_old_one_dies(run: Running) -> None:
    first = run.tokens["refresh_token"]
    same = refresh(run, first).json()
    assert same["refresh_token"] == first
    assert same["access_token"] != run.tokens["access_token"]
    run.parts.clock.advance(86_401)
    changed = refresh(run, first).json()
    assert changed["refresh_token"] != first
    assert refresh(run, first).json()["error"] == "invalid_grant"
    assert refresh(run, changed["refresh_token"]).status_code == 200


def test_of_two_refreshes_at_once_with_a_changing_token_only_one_wins() -> None:
    with running(refresh_rotates_after=0) as run:
        answers: list[requests.Response] = []
        threads = [
            threading.Thread(target=lambda: answers.append(refresh(run, run.tokens["refresh_token"]))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]


def test_reuse_of_a_dead_token_can_kill_the_connection() -> None:
    with running(refresh_rotates_after=0, reuse_revokes=True) as run:
        second = refresh(run, run.tokens["refresh_token"]).json()["refresh_token"]
        assert refresh(run, run.tokens["refresh_token"]).status_code == 400
        assert refresh(run, second).json()["error"] == "invalid_grant"


def test_refresh_tokens_die_after_100_days_unused_and_after_five_years_at_all() -> None:
    clock = Clock()
    with running(clock=clock) as run:
        clock.advance(8_640_001)
        assert refresh(run, run.tokens["refresh_token"]).json()["error"] == "invalid_grant"
    with running(clock=clock, refresh_hard_seconds=1000, access_seconds=10) as run:
        clock.advance(900)
        assert refresh(run, run.tokens["refresh_token"]).status_code == 200
        clock.advance(200)
        assert refresh(run, run.tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_access_tokens_live_an_hour_and_a_401_spells_fault_in_lower_case(run: Running) -> None:
    assert run.get(f"companyinfo/{REALM}").status_code == 200
    run.parts.clock.advance(3601)
    answer = run.get(f"companyinfo/{REALM}")
    assert answer.status_code == 401
    assert "Fault" not in answer.json()
    (error,) = answer.json()["fault"]["error"]
    assert error["code"] == "3200"
    assert answer.json()["fault"]["type"] == "AUTHENTICATION"
    assert answer.headers["intuit_tid"]


def test_a_token_opens_only_its_own_company(seeded: Running) -> None:
    answer = seeded.http.get(f"{seeded.url}/v3/company/{OTHER_REALM}/invoice/1", timeout=5)
    assert answer.status_code == 403
    assert answer.json()["fault"]["error"][0]["code"] == "3100"
    assert requests.get(f"{seeded.api}/invoice/1", timeout=5).status_code == 401


def test_revoking_either_token_ends_the_connection(run: Running) -> None:
    address = f"{run.url}/v2/oauth2/tokens/revoke"
    for name in ("refresh_token", "access_token"):
        tokens = exchange(run, authorize(run)["code"]).json()
        assert requests.post(address, json={"token": tokens[name]}, timeout=5).status_code == 401
        assert requests.post(address, json={"token": tokens[name]}, auth=CLIENT, timeout=5).status_code == 200
        assert refresh(run, tokens["refresh_token"]).json()["error"] == "invalid_grant"
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert requests.get(f"{run.api}/invoice/1", headers=headers, timeout=5).status_code == 401
    assert requests.post(address, json={"token": "unknown"}, auth=CLIENT, timeout=5).status_code == 400


def test_armed_faults_expire_and_revoke_tokens(run: Running) -> None:
    run.parts.faults.arm("expire_tokens", "invoice.read")
    assert run.get("invoice/1").status_code == 401
    renewed = refresh(run, run.tokens["refresh_token"]).json()
    run.http.headers["Authorization"] = f"Bearer {renewed['access_token']}"
    assert run.get("invoice/1").status_code == 200
    run.parts.faults.arm("revoke_tokens", "token.refresh")
    assert refresh(run, renewed["refresh_token"]).json()["error"] == "invalid_grant"
    assert run.get("invoice/1").status_code == 401


def test_the_discovery_document_names_this_server(seeded: Running) -> None:
    document = requests.get(f"{seeded.url}/.well-known/openid_configuration", timeout=5).json()
    assert document["token_endpoint"] == f"{seeded.url}/oauth2/v1/tokens/bearer"
    assert document["authorization_endpoint"].startswith(seeded.url)
