"""What goes wrong on the way, and that the journal knows what really happened."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integrations.systems.xero.simulator.conftest import Start
from tests.integrations.systems.xero.simulator.driving import App


def _found(app: App, invoice: dict[str, Any]) -> list[str]:
    where = f'Invoice.InvoiceID==guid("{invoice["InvoiceID"]}")'
    return [item["Reference"] for item in app.read("Payments", where=where)["Payments"]]


@pytest.mark.parametrize(("kind", "happened"), [("drop_before_commit", False), ("drop_after_commit", True)])
def test_no_answer_at_all(app: App, kind: str, happened: bool) -> None:
    invoice = app.open_invoice()
    app.xero.control("faults", {"kind": kind, "operation": "payment.create"})
    with pytest.raises(requests.ConnectionError):
        app.call("PUT", "Payments", {"Payments": [app.payment(invoice, "1.00", "pay_7")]})
    assert _found(app, invoice) == (["pay_7"] if happened else [])
    request = [line for line in app.xero.journal.entries("request") if line["operation"] == "payment.create"]
    assert [line["status"] for line in request] == [None]
    commits = [line for line in app.xero.journal.entries("commit") if line["operation"] == "payment.create"]
    assert bool(commits) is happened


@pytest.mark.parametrize(("kind", "happened"), [("error_before_commit", False), ("error_after_commit", True)])
def test_an_internal_error(app: App, kind: str, happened: bool) -> None:
    invoice = app.open_invoice()
    app.xero.control("faults", {"kind": kind, "operation": "payment.*"})
    assert app.call("PUT", "Payments", {"Payments": [app.payment(invoice, "1.00", "pay_7")]}).status_code == 500
    assert _found(app, invoice) == (["pay_7"] if happened else [])


def test_html_instead_of_json(app: App) -> None:
    app.xero.control("faults", {"kind": "html_503", "operation": "invoice.list"})
    answer = app.call("GET", "Invoices", page=1)
    assert answer.status_code == 503
    assert answer.headers["Content-Type"].startswith("text/html")


def test_half_an_answer(app: App) -> None:
    app.xero.control("faults", {"kind": "truncated_json", "operation": "invoice.list"})
    answer = app.call("GET", "Invoices", page=1)
    assert answer.status_code == 200
    with pytest.raises(ValueError):
        json.loads(answer.text)


def test_slow(app: App) -> None:
    app.xero.control("faults", {"kind": "slow", "operation": "organisation.read", "seconds": 0.3})
    started = time.monotonic()
    app.read("Organisation")
    assert time.monotonic() - started >= 0.3


def test_tokens_fail_too(app: App) -> None:
    app.xero.control("faults", {"kind": "drop_after_commit", "operation": "token.refresh"})
    first = app.tokens["refresh_token"]
    with pytest.raises(requests.ConnectionError):
        app.xero.token(grant_type="refresh_token", refresh_token=first)
    assert app.xero.token(grant_type="refresh_token", refresh_token=first).status_code == 200


def test_an_unknown_fault_is_refused_and_arming_can_be_undone(app: App) -> None:
    answer = requests.post(f"{app.xero.url}/_control/faults", json={"kind": "earthquake"}, timeout=10)
    assert answer.status_code == 400
    assert "earthquake" in answer.json()["error"]
    app.xero.control("faults", {"kind": "html_503", "times": 9})
    app.xero.control("faults/clear", {})
    assert app.call("GET", "Organisation").status_code == 200


def test_every_call_is_in_the_journal(app: App) -> None:
    app.call("GET", "Invoices", page=1)
    app.call("PUT", "Payments", {"Payments": [app.payment(app.open_invoice(), "1.00")]}, key="k1")
    entries = requests.get(f"{app.xero.url}/_control/journal", timeout=10).json()
    operations = [line["operation"] for line in entries if line["entry"] == "request"]
    assert operations[0] == "token.exchange"
    assert {"invoice.list", "account.list", "payment.create"} <= set(operations)
    paid = [line for line in entries if line["operation"] == "payment.create"]
    assert {line["key"] for line in paid} == {"k1"}
    assert {line["tenant"] for line in paid} == {app.tenant}
    state = requests.get(f"{app.xero.url}/_control/state", timeout=10).json()
    assert state["requests"]["payment.create"] == 1
    assert state["invoices"] == 301
    assert state["customers"] == 41


def test_books_tokens_and_settings_survive_a_restart(start: Start, tmp_path: Path) -> None:
    before = start(path=tmp_path / "xero.sqlite")
    app = before.connect()
    invoice = app.open_invoice()
    body = {"Payments": [app.payment(invoice, "1.00", "kept")]}
    first = app.call("PUT", "Payments", body, key="k1")
    after = start(path=tmp_path / "xero.sqlite")
    again = App(after, app.tenant, app.tokens)
    assert _found(again, invoice) == ["kept"]
    assert again.call("PUT", "Payments", body, key="k1").content == first.content
    assert len(again.read("Invoices", page=1, pageSize=1000)["Invoices"]) == 300
    assert after.token(grant_type="refresh_token", refresh_token=app.tokens["refresh_token"]).status_code == 200
