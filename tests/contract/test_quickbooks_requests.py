"""Every request the QuickBooks adapter sends, held against Intuit's own schema and the rules that stand beside it.

The schema is machine-made from Intuit's XSDs (closed objects, no lengths, nothing required); lengths, required
properties, addresses and parameters are asserted here. A walk through everything the adapter can do is driven over
real HTTP into the simulated QuickBooks, and each request on its way is looked at; refusals and repetitions too.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses
from jsonschema import Draft202012Validator, ValidationError

from connector.contract import Answer, LinkSpot, PaymentIntent
from connector.domain.records import Kind, UpstreamInvoice
from integrations.systems.quickbooks.links import length
from tests.conftest import SPECIFICATIONS
from tests.integrations.systems.quickbooks.connected import Connected, connected

SCHEMA = SPECIFICATIONS / "qbo_v3.schema.json"
ENTITIES = {"invoice": "Invoice", "payment": "Payment"}
READ_ONLY = {"MetaData", "Balance", "domain", "UnappliedAmt", "time", "EmailStatus", "PrintStatus", "BillAddr"}
QUERY = re.compile(
    r"SELECT (?:\*|COUNT\(\*\)) FROM (?P<entity>[A-Z]\w+)"
    r"(?: WHERE .+?)?(?: ORDERBY (?:Id|MetaData\.LastUpdatedTime))?"
    r"(?: STARTPOSITION [1-9]\d* MAXRESULTS (?P<most>[1-9]\d*))?"
)


@dataclass
class Judge:
    """Looks at requests; `seen` counts what has passed by."""

    validator: Draft202012Validator
    definitions: dict[str, Any]
    seen: Counter[str] = field(default_factory=Counter)

    def judge(self, request: requests.PreparedRequest) -> None:
        parts = urlsplit(str(request.url))
        path, query = parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert request.headers["Accept"] in ("application/json", "application/pdf, application/json")
        found = re.fullmatch(r"/v3/company/(\d+)/([a-z]+)(?:/(\d+))?(/pdf)?", path)
        if not found:
            self._token_request(request, path)
            return
        assert re.fullmatch(r"Bearer \S+", request.headers["Authorization"])
        assert query.get("minorversion") == "75" or found[4]
        if found[2] == "query":
            self._query(request, query)
        elif request.method == "GET":
            assert not request.body
            self._read(found[2], query)
        else:
            assert request.method == "POST" and not found[3]
            self._write(found[2], request, query)

    def _token_request(self, request: requests.PreparedRequest, path: str) -> None:
        assert path in ("/oauth2/v1/tokens/bearer", "/v2/oauth2/tokens/revoke")
        assert request.method == "POST" and request.headers["Authorization"].startswith("Basic ")
        body = request.body.decode() if isinstance(request.body, bytes) else str(request.body)
        if path.endswith("revoke"):
            assert request.headers["Content-Type"] == "application/json" and list(json.loads(body)) == ["token"]
        else:
            assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
            names = {"authorization_code": {"code", "redirect_uri"}, "refresh_token": {"refresh_token"}}
            form = parse_qs(body)
            assert set(form) == {"grant_type"} | names[form["grant_type"][0]]
        self.seen[path.rsplit("/", 1)[1]] += 1

    def _query(self, request: requests.PreparedRequest, query: dict[str, str]) -> None:
        assert request.method == "POST" and request.headers["Content-Type"] == "application/text"
        assert set(query) == {"minorversion"} and isinstance(request.body, bytes)
        found = QUERY.fullmatch(request.body.decode())
        assert found, request.body
        assert found["entity"] in self.definitions
        assert " OR " not in request.body.decode() and int(found["most"] or 1) <= 1000
        self.seen[f"query {found['entity']}"] += 1

    def _read(self, name: str, query: dict[str, str]) -> None:
        if name == "cdc":
            assert set(query) == {"minorversion", "entities", "changedSince"}
            assert query["entities"] in self.definitions
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", query["changedSince"])
        else:
            assert name in {entity.lower() for entity in self.definitions}
            assert set(query) <= {"minorversion", "include"} and query.get("include", "invoiceLink") == "invoiceLink"
        self.seen[f"read {name}"] += 1

    def _write(self, name: str, request: requests.PreparedRequest, query: dict[str, str]) -> None:
        assert request.headers["Content-Type"] == "application/json"
        body = json.loads(request.body or b"")
        entity = ENTITIES[name]
        self.validator.validate({entity: body})
        assert re.fullmatch(r"[0-9a-f]{32}", query["requestid"])
        assert not READ_ONLY & set(body)
        extra = {key: value for key, value in query.items() if key not in ("minorversion", "requestid")}
        if entity == "Invoice":
            self._invoice(body, extra)
        elif "Id" in body:
            self._end_of_payment(body, extra)
        else:
            self._payment(body, extra, query["requestid"])

    def _invoice(self, body: dict[str, Any], extra: dict[str, str]) -> None:
        assert set(body) == {"Id", "SyncToken", "sparse", "CustomerMemo"} and body["sparse"] is True and not extra
        assert set(body["CustomerMemo"]) == {"value"} and length(body["CustomerMemo"]["value"]) <= 1000
        self.seen["write memo"] += 1

    def _end_of_payment(self, body: dict[str, Any], extra: dict[str, str]) -> None:
        if extra == {"operation": "delete"}:
            assert set(body) == {"Id", "SyncToken"}
            self.seen["delete payment"] += 1
        else:
            assert extra == {"operation": "update", "include": "void"}
            assert set(body) == {"Id", "SyncToken", "sparse"} and body["sparse"] is True
            self.seen["void payment"] += 1

    def _payment(self, body: dict[str, Any], extra: dict[str, str], request_id: str) -> None:
        assert not extra and set(body) - {"DepositToAccountRef"} == {
            "CustomerRef",
            "CurrencyRef",
            "TotalAmt",
            "TxnDate",
            "PaymentRefNum",
            "PrivateNote",
            "Line",
        }
        assert len(body["PaymentRefNum"]) <= 21 and request_id.startswith(body["PaymentRefNum"])
        assert length(body["PrivateNote"]) <= 4000 and request_id in body["PrivateNote"]
        assert round(sum(line["Amount"] for line in body["Line"]), 3) <= body["TotalAmt"]
        assert all(link["TxnType"] == "Invoice" for line in body["Line"] for link in line["LinkedTxn"])
        self.seen["write payment"] += 1


@pytest.fixture(scope="module")
def judge() -> Judge:
    if not SCHEMA.exists():
        pytest.skip("../shared/specs/qbo_v3.schema.json is absent: requests cannot be held against Intuit's schema.")
    schema = json.loads(SCHEMA.read_text())
    return Judge(Draft202012Validator({**schema, "additionalProperties": False}), schema["properties"])


@pytest.fixture
def watched(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connected]:
    """A connected simulator; what our adapter sends passes the judge, and then goes its way over real HTTP."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.add_passthru("http://127.0.0.1")
        real = mock._real_send

        def send(adapter: Any, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
            if type(adapter).__module__ == "integrations.http":
                judge.judge(request)
            return real(adapter, request, *args, **kwargs)

        monkeypatch.setattr(mock, "_real_send", send)
        with connected() as upstream:
            yield upstream


def _intent(invoices: list[UpstreamInvoice], key: str, account: str = "") -> PaymentIntent:
    allocations = tuple((each.remote_id, each.balance // 3) for each in invoices)
    total = sum(minor for _, minor in allocations)
    first = invoices[0]
    return PaymentIntent(
        key, first.customer, total, first.currency, date.today(), allocations, account, "reference", "note " * 2000
    )


def test_everything_the_adapter_sends_is_as_intuit_defines_it(watched: Connected, judge: Judge) -> None:
    system, access = watched.system, watched.access
    system.survey(access, date(2026, 6, 1))
    records: dict[Kind, list[Any]] = {}
    for kind in Kind:
        cursor = system.first_cursor(access, kind, date(2025, 1, 1))
        page = system.page(access, kind, cursor)
        records[kind] = page.records
        system.page(access, kind, page.next)
    system.page(access, Kind.INVOICE, '{"mode": "changes", "since": "2020-01-01T00:00:00Z", "history": "2026-01-01"}')
    accounts = {account.currency: account.remote_id for account in system.accounts(access)}
    owing = [record for record in records[Kind.INVOICE] if record.balance > 0 and len(record.memo) < 800]
    for number, each in enumerate(owing[:12]):
        system.invoice(access, each.remote_id)
        url = f"https://pay.example/i/{number:022d}"
        spot = LinkSpot(each.remote_id, url, f"Pay online: {url}", "Pay online: https://pay.example/i/")
        for ask in (system.place_link, system.verify_link, system.place_link, system.withdraw_link):
            ask(access, spot)
    system.invoice_pdf(access, owing[0].remote_id)
    for number, currency in enumerate(("USD", "EUR", "JPY"), 1):
        mine = [record for record in owing if record.currency == currency]
        same = [record for record in mine if record.customer == mine[0].customer][:3]
        intent = _intent(same, f"{number:032x}", accounts.get(currency, ""))
        made = system.record_payment(access, intent)
        assert system.find_payment(access, intent) == made
        system.reverse_payment(access, made)
        system.reverse_payment(access, made._replace(version="77"))
    watched.held.append(system.refresh(watched.tokens))
    system.revoke(watched.tokens, watched.grant.tenants[0])
    needed = {"write memo": 24, "write payment": 3, "void payment": 6, "bearer": 2, "revoke": 1, "read cdc": 5}
    needed |= {"read invoice": 12, "read companyinfo": 1, "read payment": 3, "query Preferences": 1, "query Account": 1}
    needed |= {f"query {entity}": 1 for entity in ("Invoice", "Customer", "CreditMemo", "Estimate", "Payment")}
    needed |= {"query RecurringTransaction": 1}
    assert {name: judge.seen[name] for name, least in needed.items() if judge.seen[name] < least} == {}


def test_what_is_sent_into_trouble_is_as_intuit_defines_it_too(watched: Connected, judge: Judge) -> None:
    system, access = watched.system, watched.access
    rows = watched.find("SELECT * FROM Invoice WHERE Balance > '50' MAXRESULTS 30")
    owing = [system.invoice(access, row["Id"]) for row in rows[:3]]
    before = judge.seen.total()
    for number, kind in enumerate(("drop_after_commit", "throttle", "error_before_commit", "expire_tokens"), 100):
        watched.control("faults", kind=kind, operation="payment.create", times=1)
        intent = _intent(owing[:1], f"{number:032x}")
        for _ in range(2):
            try:
                system.record_payment(access, intent)
            except Answer:
                system.find_payment(access, intent)
    assert judge.seen.total() > before + 8


def test_the_judge_can_say_no(judge: Judge) -> None:
    """A request that is wrong in one place does not pass."""

    def sent(path: str, body: Any, **query: str) -> requests.PreparedRequest:
        return requests.Request(
            "POST",
            f"https://quickbooks.api.intuit.com/v3/company/1/{path}",
            params={"minorversion": "75", **query},
            headers={"Authorization": "Bearer x", "Accept": "application/json", "Content-Type": "application/json"},
            data=json.dumps(body),
        ).prepare()

    memo = {"Id": "1", "SyncToken": "0", "sparse": True, "CustomerMemo": {"value": "x" * 1000}}
    judge.judge(sent("invoice", memo, requestid="a" * 32))
    key = "a" * 32
    payment = {
        "CustomerRef": {"value": "1"},
        "CurrencyRef": {"value": "USD"},
        "TotalAmt": 1.5,
        "TxnDate": "2026-11-22",
        "PaymentRefNum": key[:21],
        "PrivateNote": key,
        "Line": [{"Amount": 1.5, "LinkedTxn": [{"TxnId": "1", "TxnType": "Invoice"}]}],
    }
    judge.judge(sent("payment", payment, requestid=key))
    wrong: list[tuple[str, Any, dict[str, str]]] = [
        ("invoice", {**memo, "CustomerMemo": {"value": "x" * 1001}}, {"requestid": key}),
        ("invoice", {**memo, "CustomerMemo": "text"}, {"requestid": key}),
        ("invoice", {**memo, "CustomerMemoo": {"value": ""}}, {"requestid": key}),
        ("invoice", {**memo, "SyncToken": 0}, {"requestid": key}),
        ("invoice", {**memo, "EmailStatus": "NotSet"}, {"requestid": key}),
        ("invoice", memo, {}),
        ("payment", {**payment, "TotalAmt": "1.50"}, {"requestid": key}),
        ("payment", {**payment, "Line": {"Amount": 1.5}}, {"requestid": key}),
        ("payment", {**payment, "PaymentRefNum": key}, {"requestid": key}),
        ("payment", {name: value for name, value in payment.items() if name != "CustomerRef"}, {"requestid": key}),
        ("payment", payment, {"requestid": "b" * 32}),
    ]
    for path, body, query in wrong:
        with pytest.raises((AssertionError, KeyError, ValidationError)):
            judge.judge(sent(path, body, **query))
