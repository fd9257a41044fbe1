"""From the customer's form to the gateway's page: what is asked for, what is refused, and that twice is once."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from connector.db import tables as t
from connector.domain.links import Scope
from connector.domain.records import InvoiceState
from tests.portal.pages import Page
from tests.portal.shop import GATEWAY_PAGE, Shop


def fill(page: Page, **amounts: str) -> dict[str, str | list[str]]:
    """The form as shown, with the first, second, ... invoice ticked and its amount typed."""
    order = ("first", "second", "third")
    ticked = [page.ticks()[order.index(name)] for name in amounts]
    data: dict[str, str | list[str]] = {
        str(field["name"]): field.get("value", "") for field in page.inputs if field.get("type") != "checkbox"
    }
    data |= {f"amount-{reference}": text for reference, text in zip(ticked, amounts.values(), strict=True)}
    return {**data, "pay": ticked}


def post(client: FlaskClient, path: str, data: Mapping[str, str | list[str]]) -> TestResponse:
    return client.post(path, data=data)


def test_one_invoice_in_part(shop: Shop) -> None:
    shop.invoice(100_00, number="A")
    shop.invoice(50_00, number="B")
    token, client = shop.link(), shop.client
    answer = post(client, f"/i/{token}/pay", fill(Page(client.get(f"/i/{token}")), first="12.5"))
    assert answer.status_code == 303
    (request,) = shop.till.asked
    assert answer.location == GATEWAY_PAGE + request.key
    assert (request.amount, request.currency, request.description) == (12_50, "EUR", ("Invoice A",))
    assert request.success_url.startswith("http://pay.test/r/") and token not in request.success_url


def test_several_invoices_in_one_payment(shop: Shop) -> None:
    shop.invoice(100_00)
    shop.invoice(50_00)
    shop.invoice(25_00)
    token, client = shop.link(), shop.client
    answer = post(client, f"/i/{token}/pay", fill(Page(client.get(f"/i/{token}")), first="100.00", third="25"))
    assert answer.status_code == 303
    assert [request.amount for request in shop.till.asked] == [125_00]
    assert sorted(row.amount for row in shop.rows(t.allocations)) == [25_00, 100_00]


def test_everything_at_once(shop: Shop) -> None:
    for amount in range(60):
        shop.invoice(100 + amount)
    token, client = shop.link(), shop.client
    page = Page(client.get(f"/i/{token}"))
    everything = next(button["value"] for button in page.buttons if button.get("name") == "all")
    answer = post(client, f"/i/{token}/pay", {"form_key": page.value("form_key"), "all": everything})
    assert answer.status_code == 303
    assert [request.amount for request in shop.till.asked] == [sum(range(100, 160))]
    assert len(shop.rows(t.allocations)) == 60


def test_everything_is_what_was_shown_or_nothing(shop: Shop) -> None:
    shop.invoice(100_00)
    shop.invoice(50_00, remote_id="changing")
    token, client = shop.link(), shop.client
    page = Page(client.get(f"/i/{token}"))
    shop.invoice(70_00, remote_id="changing")
    data = {"form_key": page.value("form_key"), "all": "EUR:15000"}
    answer = Page(post(client, f"/i/{token}/pay", data))
    assert answer.status == 409 and "it is €170.00 now" in answer.words and "Nothing was charged" in answer.words
    assert shop.till.asked == [] and shop.rows(t.payments) == []
    for nonsense in ("EUR", "EUR:", "XXX:1", "EUR:17000.00", "eur:17000", "'; DROP TABLE payments;--:1"):
        assert post(client, f"/i/{token}/pay", {"form_key": page.value("form_key"), "all": nonsense}).status_code == 409


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("1e3", "plain digits"),
        ("-5", "plain digits"),
        ("12.345", "EUR has 2 decimals; this amount has 3"),
        ("١٢", "plain digits"),
        ("12,50", "plain digits"),
        ("", "plain digits"),
        ("0", "above zero"),
        ("100.01", "Only €100.00 is due"),
        ("99999999999999999999", "plain digits"),
        ("999999999999999", "too large"),
        ("NaN", "plain digits"),
    ],
)
def test_an_amount_that_cannot_be_is_refused_beside_its_field(small_shop: Shop, typed: str, words: str) -> None:
    small_shop.invoice(100_00, number="A")
    small_shop.invoice(50_00)
    token, client = small_shop.link(), small_shop.client
    answer = Page(post(client, f"/i/{token}/pay", fill(Page(client.get(f"/i/{token}")), first=typed, second="50.00")))
    assert answer.status == 400 and words in answer.words and "Invoice A:" in answer.words
    faulty = [field for field in answer.inputs if field.get("aria-invalid") == "true"]
    assert [field["value"] for field in faulty] == [typed[:20]], "what was typed is kept"
    assert sum(1 for field in answer.inputs if "checked" in field) == 2, "what was ticked is kept"
    assert small_shop.till.asked == [] and small_shop.rows(t.payments) == []


def test_an_amount_in_yen_has_no_decimals(small_shop: Shop) -> None:
    small_shop.invoice(12_000, currency="JPY")
    token, client = small_shop.link(), small_shop.client
    page = Page(client.get(f"/i/{token}"))
    assert page.value(f"amount-{page.ticks()[0]}") == "12000"
    refused = Page(post(client, f"/i/{token}/pay", fill(page, first="12000.00")))
    assert refused.status == 400 and "JPY has 0 decimals" in refused.words


def test_two_currencies_never_meet(small_shop: Shop) -> None:
    small_shop.invoice(100_00)
    small_shop.invoice(100_00, currency="USD")
    token, client = small_shop.link(), small_shop.client
    form = fill(Page(client.get(f"/i/{token}")), first="100", second="100")
    answer = Page(post(client, f"/i/{token}/pay", form))
    assert answer.status == 400 and "Pay one currency at a time" in answer.words and small_shop.till.asked == []


def test_nothing_ticked_says_so(small_shop: Shop) -> None:
    small_shop.invoice(100_00)
    small_shop.invoice(100_00)
    token, client = small_shop.link(), small_shop.client
    answer = Page(post(client, f"/i/{token}/pay", fill(Page(client.get(f"/i/{token}")))))
    assert answer.status == 400 and "Tick at least one invoice" in answer.words


def test_somebody_elses_invoice_cannot_be_slipped_in(shop: Shop) -> None:
    shop.invoice(100_00)
    shop.invoice(1_00, customer="c2")
    mine, theirs, client = shop.link(), shop.link("c2"), shop.client
    foreign = Page(client.get(f"/i/{theirs}")).ticks()[0]
    form = fill(Page(client.get(f"/i/{mine}")), first="100")
    answer = post(client, f"/i/{mine}/pay", {**form, "pay": [foreign], f"amount-{foreign}": "1"})
    assert answer.status_code == 409 and shop.till.asked == []
    alone = shop.link(shop.invoice(7_00), Scope.INVOICE)
    answer = post(client, f"/i/{alone}/pay", {**form, "form_key": Page(client.get(f"/i/{alone}")).value("form_key")})
    assert answer.status_code == 409 and shop.till.asked == []


def test_the_same_form_twice_and_a_second_tab_are_one_payment(shop: Shop) -> None:
    shop.invoice(100_00)
    shop.invoice(50_00)
    token, client = shop.link(), shop.client
    one, other = Page(client.get(f"/i/{token}")), Page(client.get(f"/i/{token}"))
    assert one.value("form_key") != other.value("form_key")
    answers = [
        post(client, f"/i/{token}/pay", fill(page, first="100.00", second="50.00")) for page in (one, one, other, one)
    ]
    assert [answer.status_code for answer in answers] == [303] * 4
    assert len({answer.location for answer in answers}) == 1
    assert len(shop.rows(t.payments)) == 1 and len({request.key for request in shop.till.asked}) == 1


@pytest.mark.parametrize("key", ["", "invented", "a.b.c", "x" * 500, "é"])
def test_a_form_that_is_not_ours_is_refused(small_shop: Shop, key: str) -> None:
    small_shop.invoice(100_00)
    token, client = small_shop.link(), small_shop.client
    form = fill(Page(client.get(f"/i/{token}")), first="100") | {"form_key": key}
    answer = Page(post(client, f"/i/{token}/pay", form))
    assert answer.status == 409 and "not filled in on this page" in answer.words and small_shop.rows(t.payments) == []


def test_a_form_key_of_another_link_is_refused(small_shop: Shop) -> None:
    small_shop.invoice(100_00)
    small_shop.invoice(100_00, customer="c2")
    mine, theirs, client = small_shop.link(), small_shop.link("c2"), small_shop.client
    form = fill(Page(client.get(f"/i/{mine}")), first="100")
    form["form_key"] = Page(client.get(f"/i/{theirs}")).value("form_key")
    assert post(client, f"/i/{mine}/pay", form).status_code == 409


def test_where_parts_are_not_allowed_the_whole_is_paid_whatever_is_sent(shop: Shop) -> None:
    remote = shop.invoice(100_00)
    shop.change(t.merchants, allow_partial=False)
    token, client = shop.link(), shop.client
    page = Page(client.get(f"/i/{token}"))
    assert not [field for field in page.inputs if field.get("name", "").startswith("amount")]
    assert post(client, f"/i/{token}/pay", {**fill(page, first="1.00")}).status_code == 303
    assert [request.amount for request in shop.till.asked] == [100_00]
    link = shop.link(remote, Scope.INVOICE)
    assert "Pay €100.00" in Page(client.get(f"/i/{link}")).words


def test_an_invoice_paid_elsewhere_meanwhile_is_refused_kindly(shop: Shop) -> None:
    remote = shop.invoice(100_00, number="A")
    token, client = shop.link(), shop.client
    form = fill(Page(client.get(f"/i/{token}")), first="100.00")
    shop.books.invoices[remote] = shop.books.invoices[remote]._replace(balance=0, state=InvoiceState.PAID)
    answer = Page(post(client, f"/i/{token}/pay", form))
    assert answer.status == 409 and "Nothing was charged" in answer.words and shop.till.asked == []
    assert "You’re all set" in answer.words


def test_a_gateway_that_refuses_is_reported_and_frees_the_invoice(shop: Shop) -> None:
    shop.invoice(100_00)
    shop.till.refusal = "Amounts above 50 are not accepted."
    token, client = shop.link(), shop.client
    answer = Page(post(client, f"/i/{token}/pay", fill(Page(client.get(f"/i/{token}")), first="100.00")))
    assert answer.status == 409 and "Amounts above 50" in answer.words
    assert shop.rows(t.invoice_locks) == []
    shop.till.refusal = ""
    assert post(client, f"/i/{token}/pay", fill(answer, first="40.00")).status_code == 303


def test_an_upstream_that_is_silent_is_relied_on_for_a_quarter_of_an_hour(shop: Shop) -> None:
    shop.invoice(100_00)
    shop.books.silent = True
    token, client = shop.link(), shop.client
    page = Page(client.get(f"/i/{token}"))
    shop.change(t.invoices, confirmed_at=shop.wiring.clock().replace(hour=16, minute=10))
    answer = Page(post(client, f"/i/{token}/pay", fill(page, first="100.00")))
    assert answer.status == 503 and "QuickBooks Online does not answer" in answer.words and shop.till.asked == []
    shop.change(t.invoices, confirmed_at=shop.wiring.clock().replace(hour=16, minute=20))
    assert post(client, f"/i/{token}/pay", fill(answer, first="100.00")).status_code == 303


def test_one_invoice_on_its_own_page(shop: Shop) -> None:
    token, client = shop.link(shop.invoice(100_00), Scope.INVOICE), shop.client
    page = Page(client.get(f"/i/{token}"))
    path = page.html.split('action="')[1].split('"')[0]
    wrong = Page(client.post(path, data={"form_key": page.value("form_key"), "amount": "100.5O"}))
    assert wrong.status == 400 and "plain digits" in wrong.words and wrong.value("amount") == "100.5O"
    answer = client.post(path, data={"form_key": wrong.value("form_key"), "amount": "30"})
    assert answer.status_code == 303 and [request.amount for request in shop.till.asked] == [30_00]
    assert "A payment was started and not finished" in Page(client.get(f"/i/{token}")).words


def test_the_answer_leads_only_where_the_policy_allows(small_shop: Shop) -> None:
    small_shop.invoice(100_00)
    token, client = small_shop.link(), small_shop.client
    first = client.get(f"/i/{token}")
    policy = first.headers["Content-Security-Policy"]
    assert "form-action 'self' https://consent.example https://pay.gateway.example" in policy
    location = post(client, f"/i/{token}/pay", fill(Page(first), first="100")).location
    assert location.startswith("https://pay.gateway.example/")
