"""Every request the Xero adapter sends, held against Xero's own OpenAPI document and against what that leaves unsaid.

The adapter walks through everything it can do, over real HTTP against the simulator; each request is noted on its way
out and judged as if it had gone to api.xero.com. Schemas are hardened: a misspelt field fails.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
import requests
from openapi_core import Config, OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest
from openapi_core.exceptions import OpenAPIError
from requests.adapters import HTTPAdapter

from connector.contract import PaymentIntent, Refused
from connector.domain.records import InvoiceState, Kind, UpstreamInvoice
from tests.integrations.systems.xero.connected import REDIRECT, VERIFIER, Connected, simulated

VENDOR = "https://api.xero.com/api.xro/2.0"
KEY = "0123456789abcdef0123456789abcdef"
INSTALL = "https://pay.example.com/x/Kq3fV0"
# openapi-core cannot judge OAuth 2 and says so at every request; the tokens are judged below.
pytestmark = pytest.mark.filterwarnings("ignore:Unsupported scheme type:UserWarning")
EXPECTED = {
    ("GET", "/Organisation"),
    ("GET", "/Contacts"),
    ("GET", "/Invoices"),
    ("GET", "/CreditNotes"),
    ("GET", "/Quotes"),
    ("GET", "/RepeatingInvoices"),
    ("GET", "/Payments"),
    ("GET", "/Accounts"),
    ("GET", "/Accounts/{id}"),
    ("GET", "/Invoices/{id}"),
    ("GET", "/Payments/{id}"),
    ("PUT", "/Payments"),
    ("POST", "/Payments/{id}"),
    ("GET", "/BrandingThemes"),
    ("GET", "/PaymentServices"),
    ("PUT", "/PaymentServices"),
    ("GET", "/BrandingThemes/{id}/PaymentServices"),
    ("POST", "/BrandingThemes/{id}/PaymentServices"),
}


def harden(part: Any) -> None:
    """Close every object of a schema to fields it does not name."""
    if isinstance(part, dict):
        if isinstance(part.get("properties"), dict) and "allOf" not in part:
            part.setdefault("additionalProperties", False)
        for value in part.values():
            harden(value)
    elif isinstance(part, list):
        for value in part:
            harden(value)


@pytest.fixture(scope="module")
def strict(shared_specs: Path) -> OpenAPI:
    spec = json.loads((shared_specs / "xero_accounting_subset.json").read_bytes())
    closed = copy.deepcopy(spec)
    harden(closed["components"]["schemas"])
    return OpenAPI.from_dict(closed, config=Config(spec_validator_cls=None))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sent() -> Iterator[list[requests.PreparedRequest]]:
    """All requests of the walk, addressed to the vendor."""
    noted: list[requests.PreparedRequest] = []
    send = HTTPAdapter.send

    def note(self: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        noted.append(request.copy())
        return send(self, request, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
        with simulated(partner=True, options={"payment_services": "1"}) as upstream:
            upstream.consent()
            patch.setattr(HTTPAdapter, "send", note)
            walk(upstream)
            patch.undo()
            for request in noted:
                request.url = (request.url or "").replace(f"{upstream.url}/api.xro/2.0", VENDOR)
    yield noted


def walk(upstream: Connected) -> None:
    """Use every method of the adapter that makes a call."""
    xero = upstream.xero
    grant = upstream.connect()
    access = upstream.access()
    xero.survey(access, date(2026, 1, 1))
    found = []
    for kind in Kind:
        page = xero.page(access, kind, xero.first_cursor(access, kind, date(2026, 1, 1)))
        found += page.records
        assert page.done
        xero.page(access, kind, page.next)
    invoice = next(one for one in found if isinstance(one, UpstreamInvoice) and payable(one, "USD"))
    xero.invoice(access, invoice.remote_id)
    xero.invoice_pdf(access, invoice.remote_id)
    account = xero.accounts(access)[0]
    intent = PaymentIntent(
        key=KEY,
        customer=invoice.customer,
        amount=1250,
        currency="USD",
        paid_on=datetime.now(UTC).date(),
        allocations=((invoice.remote_id, 1250),),
        deposit_account=account.remote_id,
        reference="a reference much longer than what Xero's bank lines can show",
        note="",
    )
    assert xero.find_payment(access, intent) is None
    recorded = xero.record_payment(access, intent)
    foreign = next(one for one in found if isinstance(one, UpstreamInvoice) and payable(one, "JPY"))
    other = replace(intent, currency="JPY", amount=100, allocations=((foreign.remote_id, 100),))
    with pytest.raises(Refused):
        xero.record_payment(access, other)
    xero.reverse_payment(access, recorded)
    xero.reverse_payment(access, recorded)
    themes = xero.themes(access, INSTALL)
    xero.place_on_theme(access, themes[0].ref, INSTALL)
    xero.refresh(grant.tokens)
    xero.revoke(xero.refresh(grant.tokens), grant.tenants[0])


def payable(one: UpstreamInvoice, currency: str) -> bool:
    return (
        one.kind is Kind.INVOICE and one.state is InvoiceState.OPEN and one.currency == currency and one.balance > 1250
    )


def to_api(noted: list[requests.PreparedRequest]) -> list[requests.PreparedRequest]:
    return [request for request in noted if (request.url or "").startswith(VENDOR)]


def operation(request: requests.PreparedRequest) -> tuple[str, str]:
    path = urlsplit(request.url or "").path.removeprefix("/api.xro/2.0")
    return request.method or "", re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "{id}", str(path))


def query(request: requests.PreparedRequest) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(str(urlsplit(request.url or "").query)).items()}


def body(request: requests.PreparedRequest) -> str:
    return request.body.decode() if isinstance(request.body, bytes) else str(request.body or "")


def test_the_walk_sends_every_operation_the_adapter_has(sent: list[requests.PreparedRequest]) -> None:
    assert {operation(request) for request in to_api(sent)} == EXPECTED


def test_every_request_fits_xeros_own_document(strict: OpenAPI, sent: list[requests.PreparedRequest]) -> None:
    for request in to_api(sent):
        judged = request.copy()
        # The document says `date-time`, which has a zone; the guide says "a UTC timestamp (yyyy-mm-ddThh:mm:ss)".
        if since := judged.headers.get("If-Modified-Since"):
            judged.headers["If-Modified-Since"] = f"{since}Z"
        strict.validate_request(RequestsOpenAPIRequest(judged))


def test_the_judge_is_not_blind(strict: OpenAPI, sent: list[requests.PreparedRequest]) -> None:
    """Wrong bodies, names and times are refused, so that passing means something."""
    payment = next(request for request in to_api(sent) if operation(request) == ("PUT", "/Payments"))
    changed = json.loads(body(payment))
    for spoil in (
        {"Payments": "zz"},
        {"Payments": [{**changed["Payments"][0], "Amount": "abc"}]},
        {"Payments": [{**changed["Payments"][0], "Referense": "x"}]},
        {"Payments": [{**changed["Payments"][0], "Invoice": {"InvoiceID": "17"}}]},
    ):
        wrong = payment.copy()
        wrong.prepare_body(json.dumps(spoil).encode(), None)
        with pytest.raises(OpenAPIError):
            strict.validate_request(RequestsOpenAPIRequest(wrong))
    homeless = payment.copy()
    del homeless.headers["xero-tenant-id"]
    with pytest.raises(OpenAPIError):
        strict.validate_request(RequestsOpenAPIRequest(homeless))


def test_every_call_names_its_organisation_and_carries_a_token(sent: list[requests.PreparedRequest]) -> None:
    for request in to_api(sent):
        assert str(UUID(request.headers["xero-tenant-id"]))
        assert re.fullmatch(r"Bearer \S+", request.headers["Authorization"])
        pdf = request.headers["Accept"] == "application/pdf"
        assert pdf or request.headers["Accept"] == "application/json"


def test_writes_are_json_with_a_short_key_of_their_own(sent: list[requests.PreparedRequest]) -> None:
    keys = []
    for request in to_api(sent):
        if request.method == "GET":
            assert not request.body
            assert "Idempotency-Key" not in request.headers
            continue
        assert request.headers["Content-Type"] == "application/json"
        if operation(request) == ("POST", "/Payments/{id}"):
            assert body(request) == '{"Status":"DELETED"}'
            continue
        keys.append(request.headers["Idempotency-Key"])
    assert len(keys) == len(set(keys)) == 3
    assert all(0 < len(key) <= 128 for key in keys)


def test_the_payment_is_exact_and_begins_with_our_mark(sent: list[requests.PreparedRequest]) -> None:
    (request,) = [one for one in to_api(sent) if operation(one) == ("PUT", "/Payments")]
    assert query(request) == {"summarizeErrors": "false"}
    # The text of the amount, not what a parser makes of it: no float has touched it.
    assert '"Amount":12.50,' in body(request)
    (payment,) = json.loads(body(request))["Payments"]
    assert sorted(payment) == ["Account", "Amount", "Date", "Invoice", "Reference"]
    assert payment["Reference"].startswith(f"DB-{KEY} a reference")
    assert len(payment["Reference"]) <= 64
    assert date.fromisoformat(payment["Date"])
    assert list(payment["Invoice"]) == ["InvoiceID"]


def test_lists_are_paged_ordered_and_filtered(sent: list[requests.PreparedRequest]) -> None:
    listed = [one for one in to_api(sent) if one.method == "GET" and operation(one)[1].count("/") == 1]
    paged = {"/Invoices", "/Contacts", "/CreditNotes", "/Payments", "/Quotes"}
    for request in listed:
        path, asked = operation(request)[1], query(request)
        if path in paged:
            assert asked["page"] == "1"
        if path in paged - {"/Quotes"}:
            assert asked["pageSize"] in ("1", "1000")
        if path == "/Invoices":
            assert asked["where"].startswith('Type=="ACCREC"')
            assert {"VOIDED", "DELETED"} <= set(asked["Statuses"].split(",")) or asked["Statuses"] == "AUTHORISED"
        if path == "/Contacts":
            assert asked["includeArchived"] == "true"
    since = {one.headers["If-Modified-Since"] for one in listed if "If-Modified-Since" in one.headers}
    assert since and all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d", text) for text in since)
    assert {query(one)["order"] for one in listed if "If-Modified-Since" in one.headers} == {"UpdatedDateUTC ASC"}
    found = [one for one in listed if "Invoice.InvoiceID" in query(one).get("where", "")]
    assert all(re.fullmatch(r'Invoice\.InvoiceID==guid\("[0-9a-f-]{36}"\)', query(one)["where"]) for one in found)
    assert found


def test_history_starts_where_the_merchant_said(sent: list[requests.PreparedRequest]) -> None:
    imports = [one for one in to_api(sent) if "order" in query(one) and "If-Modified-Since" not in one.headers]
    filters = {operation(one)[1]: query(one) for one in imports}
    assert filters["/Invoices"]["where"] == 'Type=="ACCREC" AND Date>=DateTime(2026,01,01)'
    assert filters["/Payments"]["where"] == 'PaymentType=="ACCRECPAYMENT" AND Date>=DateTime(2026,01,01)'
    assert filters["/Quotes"]["DateFrom"] == "2026-01-01"
    assert "where" not in filters["/Contacts"]


def test_identity_calls_prove_the_app_and_leak_no_token_into_addresses(sent: list[requests.PreparedRequest]) -> None:
    others = [request for request in sent if not (request.url or "").startswith(VENDOR)]
    paths = [(request.method, urlsplit(request.url or "").path) for request in others]
    assert ("POST", "/connect/token") in paths and ("POST", "/connect/revocation") in paths
    connections = [one for one in others if one.method == "GET" and urlsplit(one.url or "").path == "/connections"]
    assert "authEventId" in query(connections[0])
    assert any(method == "DELETE" and str(path).startswith("/connections/") for method, path in paths)
    for request in others:
        path = urlsplit(request.url or "").path
        if path in ("/connect/token", "/connect/revocation"):
            assert request.headers["Authorization"].startswith("Basic ")
            assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    exchange = next(one for one in others if "authorization_code" in body(one))
    form = parse_qs(body(exchange))
    assert form["code_verifier"] == [VERIFIER] and form["redirect_uri"] == [REDIRECT]
    secrets = {value for one in others for name in ("code", "refresh_token", "token") for value in form_of(one, name)}
    secrets |= {request.headers["Authorization"].split()[1] for request in sent if "Authorization" in request.headers}
    assert len(secrets) >= 4
    assert not [request.url for request in sent for secret in secrets if secret in (request.url or "")]


def form_of(request: requests.PreparedRequest, name: str) -> list[str]:
    return parse_qs(body(request)).get(name, [])
