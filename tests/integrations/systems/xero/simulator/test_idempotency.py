"""The Idempotency-Key lives six minutes, belongs to the app, and keeps errors too."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from tests.integrations.systems.xero.simulator.driving import App, Running


def _count(app: App, invoice: dict[str, Any]) -> int:
    where = f'Invoice.InvoiceID==guid("{invoice["InvoiceID"]}")'
    return len(app.read("Payments", where=where)["Payments"])


def test_the_same_call_gets_the_same_answer(app: App) -> None:
    invoice = app.open_invoice()
    body = {"Payments": [app.payment(invoice, "1.00")]}
    first = app.call("PUT", "Payments", body, key="k1")
    second = app.call("PUT", "Payments", body, key="k1")
    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert _count(app, invoice) == 1


def test_without_a_key_it_happens_twice(app: App) -> None:
    invoice = app.open_invoice()
    body = {"Payments": [app.payment(invoice, "1.00")]}
    assert app.call("PUT", "Payments", body).content != app.call("PUT", "Payments", body).content
    assert _count(app, invoice) == 2


def test_another_request_under_the_key_is_refused(app: App) -> None:
    invoice = app.open_invoice()
    app.call("PUT", "Payments", {"Payments": [app.payment(invoice, "1.00")]}, key="k1")
    other_body = app.call("PUT", "Payments", {"Payments": [app.payment(invoice, "2.00")]}, key="k1")
    assert other_body.status_code == 400
    assert "used with a different request" in other_body.json()["Message"]
    same = {"Payments": [app.payment(invoice, "1.00")]}
    assert app.call("POST", "Payments", same, key="k1").status_code == 400
    assert app.call("PUT", "Payments", same, key="k1", summarizeErrors="false").status_code == 400
    assert _count(app, invoice) == 1


def test_after_six_minutes_the_key_protects_nothing(app: App) -> None:
    invoice = app.open_invoice()
    body = {"Payments": [app.payment(invoice, "1.00")]}
    app.call("PUT", "Payments", body, key="k1")
    app.xero.clock.advance(358)
    app.call("PUT", "Payments", body, key="k1")
    assert _count(app, invoice) == 1
    app.xero.clock.advance(2)
    app.call("PUT", "Payments", body, key="k1")
    assert _count(app, invoice) == 2


def test_refusals_are_kept_although_their_cause_is_gone(app: App) -> None:
    invoice = app.open_invoice()
    app.xero.control("lock-date", {"date": app.xero.clock.now().date().isoformat()})
    body = {"Payments": [app.payment(invoice, "1.00")]}
    assert app.call("PUT", "Payments", body, key="k1").status_code == 400
    app.xero.control("lock-date", {"date": None})
    assert app.call("PUT", "Payments", body, key="k1").status_code == 400
    assert app.call("PUT", "Payments", body, key="k2").status_code == 200


def test_the_vendors_own_errors_are_kept(app: App) -> None:
    invoice = app.open_invoice()
    body = {"Payments": [app.payment(invoice, "1.00")]}
    app.xero.control("faults", {"kind": "error_before_commit", "operation": "payment.create"})
    assert app.call("PUT", "Payments", body, key="k1").status_code == 500
    assert app.call("PUT", "Payments", body, key="k1").status_code == 500
    assert _count(app, invoice) == 0
    assert app.call("PUT", "Payments", body, key="k2").status_code == 200


def test_an_error_after_the_commit_hides_that_it_happened(app: App) -> None:
    invoice = app.open_invoice()
    body = {"Payments": [app.payment(invoice, "1.00")]}
    app.xero.control("faults", {"kind": "error_after_commit", "operation": "payment.create"})
    assert app.call("PUT", "Payments", body, key="k1").status_code == 500
    assert app.call("PUT", "Payments", body, key="k1").status_code == 500
    assert _count(app, invoice) == 1


def test_a_dropped_answer_comes_with_the_second_try(app: App) -> None:
    invoice = app.open_invoice()
    body = {"Payments": [app.payment(invoice, "1.00")]}
    app.xero.control("faults", {"kind": "drop_after_commit", "operation": "payment.create"})
    try:
        app.call("PUT", "Payments", body, key="k1")
    except requests.ConnectionError:
        pass
    else:
        raise AssertionError("the answer was not dropped")
    assert app.call("PUT", "Payments", body, key="k1").status_code == 200
    assert _count(app, invoice) == 1


def test_keys_belong_to_the_app_and_not_to_the_tenant(xero: Running) -> None:
    app = xero.connect(xero.tenants())
    body = {"Invoices": [{"Status": "VOIDED", "InvoiceID": app.open_invoice()["InvoiceID"]}]}
    first = app.call("POST", "Invoices", body, key="shared")
    app.tenant = xero.tenants()[1]
    assert app.call("POST", "Invoices", body, key="shared").content == first.content
    mine = {"Invoices": [{"Status": "VOIDED", "InvoiceID": app.open_invoice()["InvoiceID"]}]}
    assert app.call("POST", "Invoices", mine, key="shared").status_code == 400


def test_a_key_has_at_most_128_characters(app: App) -> None:
    invoice = app.open_invoice()
    body = {"Payments": [app.payment(invoice, "1.00")]}
    assert app.call("PUT", "Payments", body, key="k" * 129).status_code == 400
    assert app.call("PUT", "Payments", body, key="k" * 128).status_code == 200
    assert _count(app, invoice) == 1


def test_reading_ignores_the_key(app: App) -> None:
    first = app.read("Invoices", page=1, key="k1")["Invoices"]
    second = app.read("Invoices", page=2, key="k1")["Invoices"]
    assert first != second


def test_replays_count_against_the_limits(start: Callable[..., Running]) -> None:
    app = start(minute_limit=10).connect()
    body = {"Payments": [app.payment(app.open_invoice(), "1.00")]}
    left = [int(app.call("PUT", "Payments", body, key="k").headers["X-MinLimit-Remaining"]) for _ in range(3)]
    assert left == [left[0], left[0] - 1, left[0] - 2]


def test_at_the_same_time_it_happens_once(app: App) -> None:
    invoice = app.open_invoice()
    body = {"Payments": [app.payment(invoice, "1.00")]}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: app.call("PUT", "Payments", body, key="k1"), range(4)))
    assert len({answer.content for answer in answers}) == 1
    assert _count(app, invoice) == 1
