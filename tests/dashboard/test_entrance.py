"""Sign-up and sign-in: clear errors, the same words whatever was wrong, and never another site."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.dashboard.firm import PASSWORD, Firm, Product, sign_up


def send(client: FlaskClient, path: str, **values: str) -> TestResponse:
    """The form of a page, with its token."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text)
    assert found
    return client.post(path.partition("?")[0], data={"csrf_token": found[1], **values})


def test_a_new_company_signs_up_and_in_again(product: Product) -> None:
    firm = sign_up(product)
    assert "Setup mode" in firm.get("/").text
    browser = product.app.test_client()
    answer = send(browser, "/sign-in", email="  Anna@Mueller.example ", password=PASSWORD)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    cookie = browser.get_cookie("duebridge-staff")
    assert cookie and cookie.http_only and cookie.same_site == "Lax"
    assert browser.get("/sign-in").headers["Location"] == "/"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"company": " "}, "company&#39;s name"),
        ({"name": ""}, "Enter your name"),
        ({"email": "anna@localhost"}, "full e-mail address"),
        ({"email": "anna @x.example"}, "full e-mail address"),
        ({"password": "short"}, "at least 12 characters"),
    ],
)
def test_sign_up_says_what_is_missing_and_keeps_the_rest(
    small_product: Product, change: dict[str, str], words: str
) -> None:
    typed = {"company": "Ünlü & Co", "name": "Ayşe", "email": "ayse@unlu.example", "password": PASSWORD}
    answer = send(small_product.app.test_client(), "/sign-up", **(typed | change))
    assert answer.status_code == 400
    assert words in answer.text and 'aria-invalid="true"' in answer.text
    assert PASSWORD not in answer.text
    if "company" not in change:
        assert "Ünlü &amp; Co" in answer.text


def test_an_address_signs_up_once(small_firm: Firm) -> None:
    typed = {"company": "Again", "name": "A", "email": small_firm.email, "password": PASSWORD}
    answer = send(small_firm.product.app.test_client(), "/sign-up", **typed)
    assert answer.status_code == 409
    assert "Sign in instead" in answer.text


@pytest.mark.parametrize(
    ("email", "password"), [("anna@mueller.example", "wrong password"), ("nobody@x.example", PASSWORD), ("", "")]
)
def test_sign_in_says_the_same_whatever_was_wrong(small_firm: Firm, email: str, password: str) -> None:
    answer = send(small_firm.product.app.test_client(), "/sign-in", email=email, password=password)
    assert answer.status_code == 400
    assert "do not belong together" in answer.text
    assert "duebridge-staff" not in answer.headers.get("Set-Cookie", "")


def test_guessing_is_slowed_down(small_firm: Firm) -> None:
    browser = small_firm.product.app.test_client()
    codes = [send(browser, "/sign-in", email=small_firm.email, password=f"guess {n}").status_code for n in range(12)]
    assert codes[:8] == [400] * 8 and codes[-1] == 429


@pytest.mark.parametrize(
    ("after", "where"),
    [
        ("/invoices?state=open", "/invoices?state=open"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
    ],
)
def test_sign_in_goes_on_to_our_own_pages_only(small_firm: Firm, after: str, where: str) -> None:
    browser = small_firm.product.app.test_client()
    answer = send(browser, "/sign-in", email=small_firm.email, password=PASSWORD, next=after)
    assert (answer.status_code, answer.headers["Location"]) == (303, where)


def test_the_answer_of_a_consent_is_carried_nowhere(small_product: Product) -> None:
    answer = small_product.app.test_client().get("/connections/xero/callback?code=secret&state=s")
    assert answer.headers["Location"] == "/sign-in"


def test_who_was_sent_away_comes_back(small_firm: Firm) -> None:
    browser = small_firm.product.app.test_client()
    away = browser.get("/invoices?q=a%26b&state=open").headers["Location"]
    page = browser.get(away).text
    assert 'name="next" value="/invoices?q=a%26b&amp;state=open"' in page
