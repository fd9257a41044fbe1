"""The SDK over our session: no token of its own, no urllib3 of its own, answers undecoded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import responses
from requests import PreparedRequest

from connector.contract import Access, Disconnected, Gone, Refused, TryAgain, Unclear
from integrations.http import Session
from integrations.systems.xero.client import Client, idempotency_key
from integrations.systems.xero.manifest import MANIFEST
from tests.integrations.limiters import MemoryLimiter
from tests.integrations.systems.xero.connected import config_for

BASE = "https://xero.example"
API = f"{BASE}/api.xro/2.0"
TENANT = "95d9ae9e-cb1f-5bd1-a86d-076ac2fad7a1"
INVOICE = "002b3c80-7369-5a91-b6bb-3f60610d39de"


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as found:
        yield found


def client(limiter: MemoryLimiter | None = None, tokens: tuple[str, ...] = ("T1", "T2"), **options: str) -> Client:
    config, limiter, given = config_for(BASE, **options), limiter or MemoryLimiter(), iter(tokens)
    access = Access("c1", TENANT, lambda _: next(given), {})
    return Client(Session(MANIFEST, config, limiter), config, access)


def organisation(mock: responses.RequestsMock, **answer: Any) -> None:
    mock.get(f"{API}/Organisation", **{"json": {"Organisations": [{"Name": "N"}]}, **answer})


def test_a_call_carries_token_tenant_and_our_name(mock: responses.RequestsMock) -> None:
    organisation(mock)
    assert client().organisation() == {"Name": "N"}
    headers = mock.calls[0].request.headers
    assert headers["Authorization"] == "Bearer T1"
    assert headers["xero-tenant-id"] == TENANT
    assert headers["Accept"] == "application/json"
    assert headers["User-Agent"] == "Duebridge/1"


def test_a_refused_token_is_refreshed_once_then_the_merchant_is_asked(mock: responses.RequestsMock) -> None:
    organisation(mock, status=401, json={"Title": "Unauthorized"})
    organisation(mock)
    assert client().organisation()["Name"] == "N"
    assert [call.request.headers["Authorization"] for call in mock.calls] == ["Bearer T1", "Bearer T2"]
    mock.reset()
    organisation(mock, status=401, json={"Title": "Unauthorized"})
    with pytest.raises(Disconnected, match="Connect again"):
        client().organisation()


def test_clients_of_many_tenants_never_share_a_token(mock: responses.RequestsMock) -> None:
    """xero-python's Configuration is one object for all clients; a request still carries its own tenant's token."""
    mixed: list[tuple[str, str]] = []

    def answer(request: PreparedRequest) -> tuple[int, dict[str, str], str]:
        tenant, token = request.headers["xero-tenant-id"], request.headers["Authorization"]
        if token != f"Bearer token-of-{tenant}":
            mixed.append((tenant, token))
        return 200, {}, '{"Organisations":[{}]}'

    mock.add_callback(responses.GET, f"{API}/Organisation", answer)
    config, limiter = config_for(BASE), MemoryLimiter()
    session = Session(MANIFEST, config, limiter)

    def work(tenant: str) -> None:
        for _ in range(20):
            Client(session, config, Access("", tenant, lambda _: f"token-of-{tenant}", {})).organisation()

    threads = [threading.Thread(target=work, args=(f"tenant-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mock.calls) == 120
    assert mixed == []


@pytest.mark.parametrize(
    ("status", "body", "kind", "told"),
    [
        (
            404,
            "The resource you're looking for cannot be found",
            "text/html; charset=utf-8",
            "no longer has this record",
        ),
        (404, "{}", "application/json", "no longer has this record"),
    ],
)
def test_what_is_not_there_is_gone_even_as_a_web_page(
    mock: responses.RequestsMock, status: int, body: str, kind: str, told: str
) -> None:
    mock.get(f"{API}/Invoices/{INVOICE}", status=status, body=body, content_type=kind)
    with pytest.raises(Gone, match=told):
        client().invoice(INVOICE)


def test_a_tenant_disconnected_inside_xero_is_told_from_a_missing_right(mock: responses.RequestsMock) -> None:
    organisation(mock, status=403, json={"Title": "Forbidden", "Status": 403, "Detail": "AuthenticationUnsuccessful"})
    with pytest.raises(Disconnected, match="no longer connected"):
        client().organisation()
    mock.reset()
    organisation(mock, status=403, json={"Title": "Forbidden", "Status": 403, "Detail": "Your role is Read Only."})
    with pytest.raises(Refused, match="Read Only"):
        client().organisation()


def test_a_validation_error_is_told_in_xeros_words(mock: responses.RequestsMock) -> None:
    element = {"ValidationErrors": [{"Message": "Account must be valid"}, {"Message": "Account must be valid"}]}
    body = {"ErrorNumber": 10, "Message": "A validation exception occurred", "Elements": [element]}
    mock.put(f"{API}/Payments", status=400, json=body)
    with pytest.raises(Refused) as refused:
        client().create_payment({"Reference": "r"}, "key")
    assert refused.value.why == "Account must be valid."
    assert refused.value.code == "validation"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html><title>503</title></html>", "text/html"),
        (b'{"Payments": [{"PaymentID": "', "application/json"),
        (b"", "application/json"),
        (b"{}", "application/json"),
        (b'{"Payments": []}', "application/json"),
        (b'{"Payments": null}', "application/json"),
    ],
)
def test_an_unreadable_answer_leaves_a_write_open_and_a_read_repeatable(
    mock: responses.RequestsMock, body: bytes, kind: str
) -> None:
    mock.put(f"{API}/Payments", body=body, content_type=kind)
    with pytest.raises(Unclear):
        client().create_payment({"Reference": "r"}, "key")
    mock.get(f"{API}/Payments/{INVOICE}", body=body, content_type=kind)
    with pytest.raises(TryAgain):
        client().payment(INVOICE)


def test_a_web_page_in_place_of_a_refusal_is_not_believed(mock: responses.RequestsMock) -> None:
    mock.put(f"{API}/Payments", status=403, body="<html>Blocked</html>", content_type="text/html")
    with pytest.raises(Unclear, match="web page"):
        client().create_payment({"Reference": "r"}, "key")


def test_a_reused_key_with_another_body_means_look_it_up(mock: responses.RequestsMock) -> None:
    words = "Idempotency-Key k is used with a different request"
    mock.put(f"{API}/Payments", status=400, json={"Type": "BadRequest", "Message": words})
    with pytest.raises(Unclear, match="Look the payment up"):
        client().create_payment({"Reference": "r"}, "k")


def test_a_full_minute_waits_as_long_as_xero_says(mock: responses.RequestsMock) -> None:
    limiter = MemoryLimiter()
    organisation(mock, status=429, headers={"Retry-After": "37", "X-Rate-Limit-Problem": "minute"}, json={})
    with pytest.raises(TryAgain) as waits:
        client(limiter).organisation()
    assert waits.value.after == 37
    assert [seconds for _, seconds in limiter.pushed] == [37]


def test_what_xero_says_is_left_is_believed_once_it_is_little(mock: responses.RequestsMock) -> None:
    limiter = MemoryLimiter()
    organisation(mock, headers={"X-DayLimit-Remaining": "1250", "X-MinLimit-Remaining": "15"})
    client(limiter).organisation()
    assert limiter.left == []
    mock.reset()
    headers = {"X-DayLimit-Remaining": "999", "X-MinLimit-Remaining": "3", "X-AppMinLimit-Remaining": "2000"}
    organisation(mock, headers=headers)
    client(limiter).organisation()
    assert limiter.left == [("xero:c1:60", 3), ("xero:c1:86400", 999), ("xero:app:60", 2000)]


def test_the_days_budget_is_the_operators_to_state(mock: responses.RequestsMock) -> None:
    limiter = MemoryLimiter()
    organisation(mock)
    client(limiter).organisation()
    client(limiter, day_limit="1000").organisation()
    days = [(key, limit, burst) for key, limit, _, burst in limiter.reserved if key.endswith(":86400")]
    assert days == [("xero:c1:86400", 5_000, 0), ("xero:c1:86400", 1_000, 0)]


@pytest.mark.parametrize(("problem", "key"), [("minute", "60"), ("day", "86400"), ("appminute", "60"), ("", "60")])
def test_a_429_silences_the_limit_it_names(mock: responses.RequestsMock, problem: str, key: str) -> None:
    limiter = MemoryLimiter()
    organisation(mock, status=429, headers={"Retry-After": "37", "X-Rate-Limit-Problem": problem}, json={})
    with pytest.raises(TryAgain):
        client(limiter).organisation()
    whose = "app" if problem == "appminute" else "c1"
    assert limiter.pushed == [(f"xero:{whose}:{key}", 37.0)]


def test_a_pdf_comes_by_its_accept_header_and_nothing_else_passes_for_one(mock: responses.RequestsMock) -> None:
    mock.get(f"{API}/Invoices/{INVOICE}", body=b"%PDF-1.7 ...", content_type="application/pdf")
    assert client().invoice_pdf(INVOICE) == b"%PDF-1.7 ..."
    assert mock.calls[0].request.headers["Accept"] == "application/pdf"
    mock.reset()
    mock.get(f"{API}/Invoices/{INVOICE}", json={"Invoices": []})
    with pytest.raises(TryAgain, match="no PDF"):
        client().invoice_pdf(INVOICE)


def test_an_id_that_is_none_never_reaches_a_filter_or_an_address() -> None:
    with pytest.raises(Gone):
        client().payments_of('1") OR true OR Invoice.InvoiceID==guid("1')
    with pytest.raises(Gone):
        client().invoice_pdf("../Organisation")


def test_keys_are_bound_to_the_tenant_and_short() -> None:
    key = idempotency_key(TENANT, "payment", "0" * 32)
    assert len(key) == 64
    assert key == idempotency_key(TENANT, "payment", "0" * 32)
    others = [idempotency_key("other", "payment", "0" * 32), idempotency_key(TENANT, "theme", "0" * 32)]
    assert len({key, *others}) == 3
