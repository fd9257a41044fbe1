"""The thin transport: what goes out, what comes in, and what every kind of trouble is called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses

from connector.contract import Answer, Disconnected, Gone, Refused, Stale, TryAgain, Unclear
from integrations.systems.quickbooks.client import Client, literal, literals
from tests.integrations.systems.quickbooks.canned import API, BOOKS, access, client, fault, system


@pytest.fixture
def books() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def _sent(mock: responses.RequestsMock) -> tuple[str, dict[str, list[str]], Any]:
    request = mock.calls[-1].request
    parts = urlsplit(str(request.url))
    return parts.path, parse_qs(parts.query), request


def test_a_query_goes_out_as_text_and_comes_back_exact(books: responses.RequestsMock) -> None:
    books.post(f"{BOOKS}/query", body='{"QueryResponse":{"Invoice":[{"Id":"1","TotalAmt":0.10}]},"time":"t"}')
    assert client().rows("Invoice", " WHERE DocNumber = " + literal("Ø'1\\")) == [
        {"Id": "1", "TotalAmt": Decimal("0.10")}
    ]
    path, query, request = _sent(books)
    assert path == "/v3/company/1234/query" and query == {"minorversion": ["75"]}
    assert request.headers["Content-Type"] == "application/text"
    assert request.headers["Authorization"] == "Bearer token-1"
    expected = "SELECT * FROM Invoice WHERE DocNumber = 'Ø\\'1\\\\' STARTPOSITION 1 MAXRESULTS 1000"
    assert request.body == expected.encode()


def test_a_write_goes_out_with_its_request_id_and_numbers_keep_all_digits(books: responses.RequestsMock) -> None:
    books.post(f"{BOOKS}/payment", json={"Payment": {"Id": "9"}})
    found = client().write("create", "Payment", {"TotalAmt": Decimal("1234567890.10")}, request_id="ab" * 16)
    assert found == {"Id": "9"}
    path, query, request = _sent(books)
    assert path == "/v3/company/1234/payment"
    assert query == {"minorversion": ["75"], "requestid": ["ab" * 16]}
    assert request.body == b'{"TotalAmt":1234567890.10}'


def test_counting_tells_the_upstreams_clock(books: responses.RequestsMock) -> None:
    books.post(f"{BOOKS}/query", json={"QueryResponse": {"totalCount": 41}, "time": "2026-11-22T01:00:00-08:00"})
    assert client().count("Customer", " WHERE Active IN (true, false)") == (41, "2026-11-22T01:00:00-08:00")


def test_an_empty_answer_is_no_rows(books: responses.RequestsMock) -> None:
    books.post(f"{BOOKS}/query", json={"QueryResponse": {}, "time": "t"})
    assert client().rows("Payment") == []
    assert client().count("Payment") == (0, "t")


def test_a_401_in_its_own_spelling_is_refreshed_once(books: responses.RequestsMock, recorded: list[Any]) -> None:
    body = next(each["response"] for each in recorded if each["status"] == 401)
    books.get(f"{BOOKS}/invoice/1", status=401, json=body)
    books.get(f"{BOOKS}/invoice/1", json={"Invoice": {"Id": "1"}})
    fresh = system()
    one = Client(fresh._session, API, access(["old", "new"]))
    assert one.read("Invoice", "1") == {"Id": "1"}
    assert [call.request.headers["Authorization"] for call in books.calls] == ["Bearer old", "Bearer new"]


def test_a_second_401_is_the_end_of_the_connection(books: responses.RequestsMock) -> None:
    books.get(f"{BOOKS}/invoice/1", status=401, json={"fault": {"error": [{"code": "3200"}]}})
    with pytest.raises(Disconnected):
        client().read("Invoice", "1")


CASES: list[tuple[int, Any, type[Answer], type[Answer], str]] = [
    (400, fault("610"), Gone, Refused, "no longer|Something"),
    (400, fault("5010"), Stale, Stale, "changed"),
    (400, fault("3001"), TryAgain, TryAgain, "slow down"),
    (429, fault("3001"), TryAgain, TryAgain, "slow down"),
    (400, fault("6210"), Refused, Refused, "closing date"),
    (400, fault("6000", "Business", "The account period has closed"), Refused, Refused, "closing date"),
    (400, fault("2050", "String too long", "Max 1,000"), Refused, Refused, "String too long. Max 1,000"),
    (400, fault("6240", "Duplicate Name Exists Error", ""), Refused, Refused, "Duplicate"),
    (403, {"fault": {"error": [{"message": "x", "code": "3100"}]}}, Disconnected, Disconnected, "Connect again"),
    (403, {}, Refused, Refused, "administrator"),
    (400, fault("120"), Refused, Refused, "administrator"),
    (400, fault("10000"), TryAgain, Unclear, "fault of its own"),
    (400, {"Fault": {"Error": [{"Message": "no code at all"}]}}, Refused, Refused, "no code at all"),
    (400, {"Fault": {"Error": []}}, Refused, Refused, "HTTP 400"),
    (400, [], Refused, Refused, "HTTP 400"),
    (404, {}, Gone, Gone, "no longer"),
    (500, fault("1"), TryAgain, Unclear, "HTTP 500"),
    (200, fault("6000", "Inside", "a success"), Refused, Refused, "Inside. a success"),
    (200, {"BatchItemResponse": [{"bId": "1"}, fault("5010")]}, Stale, Stale, "changed"),
    (200, {"Invoice": []}, TryAgain, Unclear, "without the record"),
    (200, {}, TryAgain, Unclear, "without the record"),
]


@pytest.mark.parametrize(("status", "body", "read", "write", "words"), CASES)
def test_trouble_has_a_name(
    books: responses.RequestsMock, status: int, body: Any, read: type[Answer], write: type[Answer], words: str
) -> None:
    books.get(f"{BOOKS}/invoice/1", status=status, json=body)
    books.post(f"{BOOKS}/invoice", status=status, json=body)
    with pytest.raises(read, match=words) as caught:
        client().read("Invoice", "1")
    assert type(caught.value) is read
    with pytest.raises(write, match=words) as caught:
        client().write("update", "Invoice", {"Id": "1"}, request_id="1")
    assert type(caught.value) is write


@pytest.mark.parametrize("body", [b"", b"{", b"5", b'"text"', b"null", b"\xff"])
def test_what_cannot_be_read_is_a_lost_answer_and_is_not_repeated_in_words(
    books: responses.RequestsMock, body: bytes
) -> None:
    books.get(f"{BOOKS}/invoice/1", body=body, content_type="application/json")
    books.post(f"{BOOKS}/payment", body=body, content_type="application/json")
    with pytest.raises(TryAgain, match="cannot be read"):
        client().read("Invoice", "1")
    with pytest.raises(Unclear, match="cannot be read") as caught:
        client().write("create", "Payment", {}, request_id="1")
    assert caught.value.__cause__ is None and (caught.value.__suppress_context__ or not caught.value.__context__)


def test_every_recorded_refusal_is_understood(books: responses.RequestsMock, recorded: list[Any]) -> None:
    refusals = [each for each in recorded if each["status"] >= 400]
    assert len(refusals) >= 6
    for each in refusals:
        books.get(f"{BOOKS}/customer/1", status=each["status"], json=each["response"])
        with pytest.raises((Refused, Disconnected)) as caught:
            client().read("Customer", "1")
        assert len(caught.value.why) < 320 and "EXPIRED" not in caught.value.why
        books.remove("GET", f"{BOOKS}/customer/1")


def test_a_recorded_fault_inside_a_success_is_understood(books: responses.RequestsMock, recorded: list[Any]) -> None:
    body = next(each["response"] for each in recorded if each["cassette"] == "attachment/error_estimate.yml")
    books.post(f"{BOOKS}/invoice", json=body)
    with pytest.raises(Refused, match="does not exist") as caught:
        client().write("update", "Invoice", {}, request_id="1")
    assert caught.value.code == "6000"


def test_a_pdf_is_one(books: responses.RequestsMock) -> None:
    books.get(f"{BOOKS}/invoice/130/pdf", body=b"%PDF-1.4 ...", content_type="application/pdf")
    assert client().pdf("Invoice", "130") == b"%PDF-1.4 ..."
    assert books.calls[0].request.headers["Accept"].startswith("application/pdf")
    books.get(f"{BOOKS}/invoice/131/pdf", body=b"{}", content_type="application/pdf")
    with pytest.raises(TryAgain, match="else than a PDF"):
        client().pdf("Invoice", "131")
    books.get(f"{BOOKS}/invoice/132/pdf", status=400, json=fault("610"))
    with pytest.raises(Gone):
        client().pdf("Invoice", "132")


@pytest.mark.parametrize("remote_id", ["", "1/../../2", "1?x", "١", "-1", "1 "])
def test_an_id_that_quickbooks_never_gave_out_goes_nowhere(remote_id: str) -> None:
    with pytest.raises(Gone):
        client().read("Invoice", remote_id)


def test_literals_are_escaped() -> None:
    assert literals(["Bank", "O'Brien\\"]) == "('Bank', 'O\\'Brien\\\\')"


def test_revoking_is_json_with_the_apps_name_and_dead_is_fine(books: responses.RequestsMock) -> None:
    from datetime import UTC, datetime

    from connector.contract import Tenant, TokenSet

    url = "https://developer.api.intuit.com/v2/oauth2/tokens/revoke"
    tokens = TokenSet("A", "R", datetime.now(UTC))
    for status in (200, 400):
        books.post(url, status=status, body="")
        system().revoke(tokens, Tenant("1234", "Books"))
        books.remove("POST", url)
    request = books.calls[0].request
    assert json.loads(request.body or b"") == {"token": "R"}
    assert (
        request.headers["Authorization"].startswith("Basic ") and request.headers["Content-Type"] == "application/json"
    )
    books.post(url, status=401, json={"error": "invalid_client"})
    with pytest.raises(Refused):
        system().revoke(tokens, Tenant("1234", "Books"))
