"""The simulator's answers against the vendor's own OpenAPI document, and its example bodies loaded back."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
import yaml
from openapi_core import Config, OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse

from integrations.systems.xero.simulator.examples import examples_tenant
from tests.integrations.systems.xero.simulator.conftest import Start
from tests.integrations.systems.xero.simulator.driving import App

_SCOPES = (
    "openid profile email offline_access accounting.invoices accounting.payments accounting.contacts "
    "accounting.settings.read accounting.banktransactions paymentservices"
)
# Answers outside the vendor's document, and why they are not measured by it.
_NOT_DESCRIBED = {
    "BankTransactions": "not among the paths of the subset",
    "401": "the document describes no refused tokens",
    "403": "the document describes no refused tenants",
    "404": "the document describes no missing resources",
    "429": "the document describes no limits",
}


@pytest.fixture(scope="module")
def spec(shared_specs: Path) -> dict[str, Any]:
    """The vendor's document."""
    found: dict[str, Any] = json.loads((shared_specs / "xero_accounting_subset.json").read_text("utf-8"))
    return found


def _validator(spec: dict[str, Any], url: str) -> OpenAPI:
    served = {**spec, "servers": [{"url": f"{url}/api.xro/2.0"}]}
    return OpenAPI.from_dict(served, config=Config(spec_validator_cls=None))  # type: ignore[arg-type]


def _check(openapi: OpenAPI, answer: requests.Response) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Unsupported scheme type")
        openapi.validate_response(RequestsOpenAPIRequest(answer.request), RequestsOpenAPIResponse(answer))


def test_answers_fit_the_vendors_document(start: Start, spec: dict[str, Any]) -> None:
    app = start(partner=True).connect(scope=_SCOPES)
    openapi = _validator(spec, app.xero.url)
    _use_everything(app)
    checked = set()
    for answer in app.seen:
        if str(answer.status_code) in _NOT_DESCRIBED or "/BankTransactions" in answer.url:
            continue
        if answer.headers.get("Content-Type", "").startswith(("application/json", "application/pdf")):
            _check(openapi, answer)
            checked.add((answer.request.method, answer.url.split("/api.xro/2.0/")[1].split("/")[0].split("?")[0]))
    assert len(checked) >= 25, sorted(checked)


def test_a_wrong_answer_would_be_found(start: Start, spec: dict[str, Any]) -> None:
    app = start(invoices=5).connect()
    answer = app.call("GET", "Invoices", page=1)
    body = answer.json()
    body["Invoices"][0]["Total"] = "a lot"
    answer._content = json.dumps(body).encode()
    with pytest.raises(Exception, match=r"(?i)invalid"):
        _check(_validator(spec, app.xero.url), answer)


def _use_everything(app: App) -> None:
    """Call whatever a connector calls."""
    invoice, second, third = (app.open_invoice(number=number) for number in range(3))
    for path in ("Organisation", "Accounts", "Currencies", "BrandingThemes", "PaymentServices", "RepeatingInvoices"):
        app.read(path)
    for path in ("Invoices", "Contacts", "CreditNotes", "Payments", "Overpayments", "Prepayments", "Quotes"):
        listed = app.read(path, page=1)[path]
        app.read(f"{path}/{listed[0][path[:-1] + 'ID']}")
        app.call("GET", path)
    app.read("Invoices", page=1, pageSize=1000, summaryOnly="true")
    app.call("GET", f"Invoices/{invoice['InvoiceID']}/pdf", headers={"Accept": "application/pdf"})
    app.read(f"Invoices/{invoice['InvoiceID']}/OnlineInvoice")
    app.write("PUT", f"Invoices/{invoice['InvoiceID']}/History", {"HistoryRecords": [{"Details": "Paid"}]})
    app.read(f"Invoices/{invoice['InvoiceID']}/History")
    app.write("POST", f"Invoices/{invoice['InvoiceID']}", {"Invoices": [{"Url": "https://app.example.com/1"}]})
    made = app.write("PUT", "Payments", {"Payments": [app.payment(invoice, "1.00")]})["Payments"][0]
    app.write("POST", f"Payments/{made['PaymentID']}", {"Status": "DELETED"})
    app.write("PUT", "Payments", {"Payments": [app.payment(invoice, "99999999")]}, summarizeErrors="false")
    app.call("PUT", "Payments", {"Payments": [app.payment(invoice, "99999999")]})
    parts = [{"Invoice": {"InvoiceID": item["InvoiceID"]}, "Amount": 1.5} for item in (second, third)]
    batch = {"Account": {"AccountID": app.bank()}, "Payments": parts, "Date": "2026-11-22"}
    batched = app.write("PUT", "BatchPayments", {"BatchPayments": [batch]})["BatchPayments"][0]
    app.read("BatchPayments")
    app.write("POST", f"BatchPayments/{batched['BatchPaymentID']}", {"Status": "DELETED"})
    line = {"Description": "Back", "UnitAmount": 5.0}
    credit = {"Type": "ACCRECCREDIT", "Contact": {"ContactID": invoice["Contact"]["ContactID"]}, "Status": "AUTHORISED"}
    note = app.write("PUT", "CreditNotes", {"CreditNotes": [{**credit, "LineItems": [line]}]})["CreditNotes"][0]
    allocation = {"Invoice": {"InvoiceID": invoice["InvoiceID"]}, "Amount": 5.0, "Date": "2026-11-22"}
    path = f"CreditNotes/{note['CreditNoteID']}/Allocations"
    allocated = app.write("PUT", path, {"Allocations": [allocation]})["Allocations"][0]
    app.write("DELETE", f"{path}/{allocated['AllocationID']}", None)
    service = {"PaymentServiceName": "Portal", "PaymentServiceUrl": "https://pay.example.com/", "PayNowText": "Pay"}
    app.write("PUT", "PaymentServices", {"PaymentServices": [service]})
    app.write("PUT", "Contacts", {"Contacts": [{"Name": "Somebody Else"}]})
    quote = app.read("Quotes", Status="SENT")["Quotes"][0]
    accepted = {"Contact": {"ContactID": quote["Contact"]["ContactID"]}, "Date": "2026-11-22", "Status": "ACCEPTED"}
    app.write("POST", f"Quotes/{quote['QuoteID']}", {"Quotes": [accepted]})


def test_the_vendors_examples_load_and_read_back(app: App, spec: dict[str, Any]) -> None:
    loaded = app.xero.control("load-recorded", spec)["loaded"]
    assert loaded["invoice"] == 3
    assert set(loaded) >= {"contact", "account", "payment", "credit_note", "overpayment", "prepayment"}
    assert app.xero.control("load-recorded", spec)["loaded"] == loaded
    reader = app.xero.connect([examples_tenant()])
    openapi = _validator(spec, app.xero.url)
    for path in ("Invoices", "Contacts", "CreditNotes", "Payments", "Overpayments", "Prepayments", "Accounts"):
        examples = _example(spec, path)
        shown = reader.read(path, **({} if path == "Accounts" else {"page": 1, "pageSize": 1000}))[path]
        id_name = f"{path[:-1]}ID"
        assert {item[id_name] for item in examples} <= {item[id_name] for item in shown}
        _check(openapi, reader.seen[-1])
    totals = {item["InvoiceID"]: item["AmountDue"] for item in reader.read("Invoices")["Invoices"]}
    for item in _example(spec, "Invoices"):
        assert float(totals[item["InvoiceID"]]) == item["AmountDue"]


def _example(spec: dict[str, Any], path: str) -> list[dict[str, Any]]:
    content = spec["paths"][f"/{path}"]["get"]["responses"]["200"]["content"]["application/json"]
    examples: list[dict[str, Any]] = content["example"][path]
    return examples


def test_something_else_than_examples_is_refused(app: App) -> None:
    answer = requests.post(f"{app.xero.url}/_control/load-recorded", json={"paths": {}}, timeout=10)
    assert answer.status_code == 400
    assert "no examples" in answer.json()["error"]
    assert len(app.xero.tenants()) == 2


def test_connections_fit_the_identity_document(app: App, shared_specs: Path) -> None:
    identity = yaml.safe_load((shared_specs / "xero_identity.yaml").read_text("utf-8"))
    identity["servers"] = [{"url": app.xero.url}]
    openapi = OpenAPI.from_dict(identity, config=Config(spec_validator_cls=None))  # type: ignore[arg-type]
    bearer = {"Authorization": f"Bearer {app.tokens['access_token']}"}
    answer = requests.get(f"{app.xero.url}/Connections", headers=bearer, timeout=10)
    assert answer.json()
    # The vendor's own example, too, writes these dates without the zone its document asks for.
    answer._content = re.sub(rb'(DateUtc":"[^"]+)"', rb'\1Z"', answer.content)
    _check(openapi, answer)


def test_webhook_bodies_fit_the_webhooks_document(app: App, shared_specs: Path) -> None:
    document = yaml.safe_load((shared_specs / "xero_webhooks.yaml").read_text("utf-8"))
    app.xero.webhooks._status = "ok"
    app.write("PUT", "Payments", {"Payments": [app.payment(app.open_invoice(), "1.00")]})
    line = {"Description": "Back", "UnitAmount": 5.0}
    note = {"Type": "ACCRECCREDIT", "Contact": {"Name": "Somebody"}, "LineItems": [line]}
    app.write("PUT", "CreditNotes", {"CreditNotes": [note]})
    body = json.loads(app.xero.webhooks._gather()[0].body)
    assert {event["eventCategory"] for event in body["events"]} == {"INVOICE", "CONTACT", "CREDITNOTE"}
    jsonschema.validate(body, {"$ref": "#/components/schemas/WebhookEvent", **document})
