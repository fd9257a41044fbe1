"""Sign-in by a mailed code, and the second proof a template's link asks for."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from connector.db import tables as t
from connector.domain.records import InvoiceState
from tests.portal.pages import Page
from tests.portal.shop import GATEWAY_PAGE, Shop, open_shop


def mails(shop: Shop) -> list[dict[str, str]]:
    """What the mails written so far say."""
    return [
        {
            **json.loads(shop.wiring.database.vault.open(row.sealed_values, bound_to=f"mail:{row.id}")),
            "to": row.recipient,
            "template": row.template,
        }
        for row in shop.rows(t.mails)
    ]


def ask(client: FlaskClient, email: str) -> tuple[int, str]:
    page = Page(client.get("/portal/northwind"))
    answer = client.post("/portal/northwind", data={"csrf_token": page.value("csrf_token"), "email": email})
    return answer.status_code, answer.location


def enter(client: FlaskClient, path: str, code: str) -> Page:
    page = Page(client.get(path))
    return Page(client.post(path, data={"csrf_token": page.value("csrf_token"), "code": code}, follow_redirects=True))


def test_a_code_signs_in_once(shop: Shop) -> None:
    shop.invoice(100_00)
    client = shop.client
    status, where = ask(client, "Anna@Customer.example")
    (mail,) = mails(shop)
    assert status == 303 and mail["to"] == "anna@customer.example" and mail["template"] == "sign_in"
    page = enter(client, where, f" {mail['code'][:3]} {mail['code'][3:]} ")
    assert page.status == 200 and "€100.00" in page.words and "Sign out" in page.words
    again = enter(shop.client, where, mail["code"])
    assert again.status == 400 and "was used" in again.words and "€100.00" not in again.words


def test_the_mails_button_only_shows_a_form(shop: Shop) -> None:
    client = shop.client
    _, where = ask(client, "ben@customer.example")
    (mail,) = mails(shop)
    scanner = shop.client
    button = mail["url"].removeprefix("http://pay.test")
    assert button.startswith(where)
    for _ in range(3):
        seen = Page(scanner.get(button))
        assert seen.value("code") == mail["code"] and "Press the button to sign in" in seen.words
    assert scanner.get("/portal/northwind/account").status_code == 303
    assert shop.row(t.codes).attempts == 0
    assert "You’re all set" in enter(client, where, mail["code"]).words


def test_strangers_see_the_same_and_get_nothing(shop: Shop) -> None:
    known, stranger = shop.client, shop.client
    (known_status, known_where), (status, where) = (
        ask(known, "anna@customer.example"),
        ask(stranger, "who@else.example"),
    )
    assert known_status == status == 303
    shape = re.compile(r"/portal/northwind/code/[0-9a-f]{32}")
    assert shape.fullmatch(known_where) and shape.fullmatch(where)
    assert len(mails(shop)) == 1
    blank = re.compile(r'(csrf_token" value=")[^"]+|[0-9a-f]{32}')
    pages = [blank.sub("", Page(one.get(path)).html) for one, path in ((known, known_where), (stranger, where))]
    assert pages[0] == pages[1]
    wrong = [blank.sub("", enter(one, path, "000000").html) for one, path in ((known, known_where), (stranger, where))]
    assert wrong[0] == wrong[1] and "not right" in wrong[0]


def test_a_code_dies_after_five_wrong_guesses(shop: Shop) -> None:
    client = shop.client
    _, where = ask(client, "anna@customer.example")
    (mail,) = mails(shop)
    wrong = "111111" if mail["code"] != "111111" else "222222"
    for _ in range(5):
        assert enter(client, where, wrong).status == 400
    assert enter(client, where, mail["code"]).status == 400


@pytest.mark.parametrize("email", ["", "anna", "a b@example.com", "anna@", "x" * 250 + "@example.com", "a@b\nBcc: c@d"])
def test_what_is_no_address_is_said_so(small_shop: Shop, email: str) -> None:
    client = small_shop.client
    page = Page(client.get("/portal/northwind"))
    answer = Page(client.post("/portal/northwind", data={"csrf_token": page.value("csrf_token"), "email": email}))
    assert answer.status == 400 and "Enter an e-mail address" in answer.words and mails(small_shop) == []


def test_sign_in_needs_the_form_we_gave_out(small_shop: Shop) -> None:
    answer = small_shop.client.post("/portal/northwind", data={"email": "anna@customer.example"})
    assert answer.status_code == 400 and mails(small_shop) == []


def test_a_session_ends_on_the_server(shop: Shop) -> None:
    client = shop.client
    _, where = ask(client, "anna@customer.example")
    page = enter(client, where, mails(shop)[0]["code"])
    cookie = client.get_cookie("duebridge-customer")
    assert cookie is not None and cookie.http_only and cookie.same_site == "Lax"
    token = cookie.value
    client.post("/portal/northwind/sign-out", data={"csrf_token": page.value("csrf_token")})
    assert client.get_cookie("duebridge-customer") is None
    thief = shop.client
    thief.set_cookie("duebridge-customer", token)
    assert thief.get("/portal/northwind/account").status_code == 303
    assert token not in str(shop.rows(t.sessions)), "only its hash is kept"


def test_behind_https_the_cookie_is_pinned_to_the_host(sqlite_url: str) -> None:
    shop = open_shop(sqlite_url, {"DUEBRIDGE_PUBLIC_URL": "https://pay.test"})
    client = shop.client
    secure: dict[str, Any] = {"base_url": "https://pay.test"}
    answer = client.get("/portal/northwind", **secure)
    assert "__Host-duebridge-form" in answer.headers["Set-Cookie"] and "Secure" in answer.headers["Set-Cookie"]
    form = {"csrf_token": Page(answer).value("csrf_token"), "email": "anna@customer.example"}
    where = client.post("/portal/northwind", data=form, **secure).location
    form = {"csrf_token": Page(client.get(where, **secure)).value("csrf_token"), "code": mails(shop)[0]["code"]}
    signed_in = client.post(where, data=form, **secure)
    assert signed_in.status_code == 303
    (cookie,) = (one for one in signed_in.headers.getlist("Set-Cookie") if "customer" in one)
    assert cookie.startswith("__Host-duebridge-customer=")
    assert all(f"; {word}" in cookie for word in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"))
    assert "Domain" not in cookie
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=63072000")
    shop.wiring.database.engine.dispose()


def test_one_merchants_session_opens_no_other(shop: Shop) -> None:
    client = shop.client
    _, where = ask(client, "anna@customer.example")
    enter(client, where, mails(shop)[0]["code"])
    assert client.get("/portal/northwind/account").status_code == 200
    assert client.get("/portal/elsewhere/account").status_code == 303
    assert client.get("/portal/elsewhere").status_code == 404


def test_signed_in_customers_pay_and_see_invoices(shop: Shop) -> None:
    shop.invoice(100_00)
    client = shop.client
    _, where = ask(client, "anna@customer.example")
    page = enter(client, where, mails(shop)[0]["code"])
    reference = page.ticks()[0]
    assert client.get(f"/portal/northwind/account/invoice/{reference}").status_code == 200
    assert client.get(f"/portal/northwind/account/invoice/{reference}/pdf").data.startswith(b"%PDF")
    assert client.get("/portal/northwind/account/history").status_code == 200
    data = {"form_key": page.value("form_key"), "pay": reference, f"amount-{reference}": "40"}
    assert client.post("/portal/northwind/account/pay", data=data).location.startswith(GATEWAY_PAGE)
    assert shop.client.post("/portal/northwind/account/pay", data=data).location == "/portal/northwind"


LANDING = "/x/install-key-1"


def query(**changes: str) -> dict[str, str]:
    return {"invoiceNo": "INV-1001", "currency": "EUR", "amount": "100.00", "shortCode": "", **changes}


def test_whoever_knows_the_amount_may_pay_it_and_sees_nothing_else(shop: Shop) -> None:
    shop.invoice(100_00, reference="PO 5")
    client = shop.client
    page = Page(client.get(LANDING, query_string=query()))
    assert page.status == 200 and "Pay €100.00" in page.words
    visible = re.sub(r"<input[^>]*>", "", page.html)
    for hidden in ("Anna", "gardening", "PO 5", "INV-1001"):
        assert hidden not in visible, hidden
    data = {field["name"]: field.get("value", "") for field in page.inputs}
    answer = client.post(f"{LANDING}/pay", data=data)
    assert answer.status_code == 303 and answer.location.startswith(GATEWAY_PAGE)
    assert [request.amount for request in shop.till.asked] == [100_00]


def test_the_original_total_of_a_part_paid_invoice_pays_what_is_left(shop: Shop) -> None:
    shop.invoice(100_00, balance=30_00)
    page = Page(shop.client.get(LANDING, query_string=query()))
    assert "Pay €30.00" in page.words and "€100.00" not in page.words


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": "99.99"},
        {"amount": "1e2"},
        {"amount": "-100.00"},
        {"amount": ""},
        {"amount": "100.00' OR 1=1"},
        {"currency": "USD"},
        {"currency": "eur"},
        {"invoiceNo": "INV-9999"},
        {"invoiceNo": "%"},
        {"invoiceNo": ""},
    ],
)
def test_a_query_that_does_not_know_gets_the_offer_of_a_code_and_nothing_else(
    small_shop: Shop, changes: dict[str, str]
) -> None:
    small_shop.invoice(100_00)
    page = Page(small_shop.client.get(LANDING, query_string=query(**changes)))
    assert page.status == 200 and "Send me a code" in page.words
    assert len(page.buttons) == 1, "no button to pay"
    visible = re.sub(r"<input[^>]*>", "", page.html)
    assert "100.00" not in visible and "Anna" not in visible


def test_a_paid_invoice_looks_like_an_unknown_one(small_shop: Shop) -> None:
    small_shop.invoice(100_00, state=InvoiceState.PAID, balance=0)
    client = small_shop.client
    paid = Page(client.get(LANDING, query_string=query()))
    unknown = Page(client.get(LANDING, query_string=query(invoiceNo="INV-1002")))
    assert re.sub(r'value="[^"]*"', "", paid.html) == re.sub(r'value="[^"]*"', "", unknown.html)


def test_the_code_goes_to_the_billing_contact_and_opens_that_invoice_alone(shop: Shop) -> None:
    shop.invoice(100_00, number="INV-1001")
    shop.invoice(55_00, number="INV-1002")
    client = shop.client
    answer = client.post(f"{LANDING}/code", data=query(amount="1.00"))
    (mail,) = mails(shop)
    assert mail["to"] in ("ben@customer.example", "anna@customer.example") and mail["template"] == "invoice_proof"
    page = enter(client, answer.location, mail["code"])
    assert "Invoice INV-1001" in page.words and "INV-1002" not in page.words
    assert client.get("/portal/northwind/account/history").status_code == 404


def test_asking_a_code_for_an_invented_invoice_answers_the_same(shop: Shop) -> None:
    shop.invoice(100_00)
    known = shop.client.post(f"{LANDING}/code", data=query())
    stranger = shop.client.post(f"{LANDING}/code", data=query(invoiceNo="INV-4711"))
    blank = re.compile("[0-9a-f]{32}")
    assert known.status_code == stranger.status_code == 303
    assert blank.sub("", known.location) == blank.sub("", stranger.location)
    assert len(mails(shop)) == 1


def test_an_amount_that_changed_since_it_was_shown_is_not_charged(shop: Shop) -> None:
    remote = shop.invoice(100_00)
    client = shop.client
    page = Page(client.get(LANDING, query_string=query()))
    shop.books.invoices[remote] = shop.books.invoices[remote]._replace(balance=60_00)
    answer = Page(client.post(f"{LANDING}/pay", data={f["name"]: f.get("value", "") for f in page.inputs}))
    assert answer.status == 409 and "has changed" in answer.words and "Pay €60.00" in answer.words
    assert shop.till.asked == []


def test_a_tampered_form_does_not_pay(small_shop: Shop) -> None:
    small_shop.invoice(100_00)
    small_shop.invoice(1_00)
    client = small_shop.client
    page = Page(client.get(LANDING, query_string=query()))
    form = {field["name"]: field.get("value", "") for field in page.inputs}
    for changes in ({"invoiceNo": "INV-1002", "amount": "1.00", "minor": "100"}, {"minor": "1"}, {"form_key": ""}):
        assert client.post(f"{LANDING}/pay", data=form | changes).status_code == 409
    assert small_shop.till.asked == []


def test_an_unknown_install_key_is_not_found(small_shop: Shop) -> None:
    assert small_shop.client.get("/x/no-such-key", query_string=query()).status_code == 404


def test_a_broken_off_limit_says_when_to_come_back(small_shop: Shop) -> None:
    small_shop.wiring.limiter.waits[:] = [42.0]  # type: ignore[attr-defined]
    answer = small_shop.client.get(LANDING, query_string=query())
    assert answer.status_code == 429 and answer.headers["Retry-After"] == "42"
    assert "wait 42 seconds" in Page(answer).words
